"""Samples of rows by a hash of the row: the same rows, however a log is divided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.statistics.gaps import Gaps
from shardplan.statistics.lookups import in_groups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.records.arrays import Bools, Ints
    from shardplan.statistics.lookups import Lookups


def row_level(rows: Ints) -> Ints:
    """Return the leading zeros of a hash of each row: half of the rows have level 0.

    Parameters
    ----------
    rows : int array of shape (N,)

    Returns
    -------
    int array of shape (N,)
        0 to 64; a share 2^-b of all rows has a level of at least b.

    References
    ----------
    Steele, Lea, Flood 2014, Fast Splittable Pseudorandom Number Generators, OOPSLA
    (the finaliser of SplitMix64).
    """
    x = rows.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    # A float keeps the leading bits; rounding up to the next power is as good a hash.
    exponent = x.astype(np.float64).view(np.int64) >> 52
    level: Ints = np.clip(1023 + 63 - exponent, 0, 64)
    return level


def sampled(rows: Ints, level: int) -> Bools:
    """Tell which rows are in the sample of a share 2^-level of all."""
    if level == 0:
        return np.ones(len(rows), dtype=bool)
    return row_level(rows) >= level


SIGMAS = 2.6
"""Standard deviations that bounds of errors have: 99 of 100 where errors are normal, so
that 95 of 100 hold where they are not quite."""
LEVELS = 24
"""Samples have up to this level."""


@dataclass(frozen=True, eq=False)
class RowSample:
    """Exact lookups of sampled rows; samples of consecutive parts of a log add up.

    The level rises until at most `most` rows are left, so that it is that of the whole
    log, whatever its parts were.

    Attributes
    ----------
    most : int
        Rows to keep.
    level : int
        A share of 2^-level of all rows is kept; 0 keeps all, which is exact.
    num_lookups : int
        Of all rows.
    rows, counts, visits : int arrays of shape (U,)
        Ascending rows, their lookups, and the blocks that have some.
    first, last : int arrays of shape (U,)
        Their first and last lookup, among those of all rows, from 0.
    across : tuple of Gaps
        Gaps between parts, by level of the row up to LEVELS; below `level` none.
    """

    most: int
    level: int
    num_lookups: int
    rows: Ints
    counts: Ints
    visits: Ints
    first: Ints
    last: Ints
    across: tuple[Gaps, ...]

    @classmethod
    def of(cls, found: Lookups, num_lookups: int, most: int) -> Self:
        """Sample the rows of one block."""
        none = (Gaps.none(),) * (LEVELS + 1)
        rows, counts, first, last = found.rows, found.counts, found.first, found.last
        once = np.ones_like(rows)
        whole = cls(most, 0, num_lookups, rows, counts, once, first, last, none)
        return whole.at(whole.fitting_level())

    @classmethod
    def sum(cls, parts: Sequence[Self]) -> Self:
        """Return the sample of consecutive parts together."""
        level = max(part.level for part in parts)
        kept = [part.at(level) for part in parts]
        *starts, size = accumulate((p.num_lookups for p in parts), initial=0)
        each = list(zip(kept, starts, strict=True))
        order, rows, new = in_groups(np.concatenate([p.rows for p in kept]))
        first = np.concatenate([p.first + start for p, start in each])[order]
        last = np.concatenate([p.last + start for p, start in each])[order]
        again = np.flatnonzero(~new)
        levels = np.minimum(row_level(rows[again]), LEVELS)
        gaps = first[again] - last[again - 1]
        across = [Gaps.by_group(gaps, levels, LEVELS + 1), *(p.across for p in kept)]
        starts_ = np.flatnonzero(new)
        counts, visits = (
            _summed(np.concatenate([getattr(p, name) for p in kept])[order], starts_)
            for name in ("counts", "visits")
        )
        ends = np.append(starts_, len(rows))[1:] - 1
        found = cls(
            parts[0].most,
            level,
            size,
            rows[starts_],
            counts,
            visits,
            first[starts_],
            last[ends],
            tuple(sum_of(*gaps) for gaps in zip(*across, strict=True)),
        )
        return found.at(found.fitting_level())

    def __add__(self, later: Self) -> Self:
        """Return the sample of this part and the next one."""
        return self.sum((self, later))

    def fitting_level(self) -> int:
        """Return the least level from this one on at which the rows are few enough."""
        if len(self.rows) <= self.most:
            return self.level
        levels = np.minimum(row_level(self.rows), LEVELS)
        left = np.cumsum(np.bincount(levels, minlength=LEVELS + 1)[::-1])[::-1]
        fits = np.flatnonzero(left <= self.most)
        return int(fits[0]) if len(fits) else LEVELS

    def at(self, level: int) -> Self:
        """Return the part of the sample that has at least a level."""
        if level <= self.level:
            return self
        kept = sampled(self.rows, level)
        return replace(
            self,
            level=level,
            rows=self.rows[kept],
            counts=self.counts[kept],
            visits=self.visits[kept],
            first=self.first[kept],
            last=self.last[kept],
            across=(Gaps.none(),) * level + self.across[level:],
        )

    @property
    def rate(self) -> float:
        """Share of the rows that is kept."""
        return 0.5**self.level

    def num_rows(self) -> tuple[float, float]:
        """Return how many rows were looked up, and a bound of the error (95 %)."""
        count = len(self.rows) / self.rate
        return count, SIGMAS * float(
            np.sqrt(len(self.rows) * (1 - self.rate))
        ) / self.rate

    def luck(self) -> float:
        """Return the relative error (95 %) of what visits of all rows add up to."""
        visits = self.visits.astype(float)
        total = max(float(visits.sum()), 1.0)
        return SIGMAS * float(np.sqrt((visits**2).sum() * (1 - self.rate))) / total

    def gaps_across(self) -> Gaps:
        """Return the gaps between parts of the sampled rows."""
        return sum_of(*self.across[self.level :])

    def borders(self) -> Gaps:
        """Return the gaps of the sampled rows to both ends of the log."""
        return Gaps.of(self.first + 1) + Gaps.of(self.num_lookups - self.last)


def sum_of(*gaps: Gaps) -> Gaps:
    """Add histograms up."""
    first, *rest = gaps
    for other in rest:
        first = first + other
    return first


def _summed(values: Ints, starts: Ints) -> Ints:
    """Return the sums of values up to the next start each."""
    return np.add.reduceat(values, starts) if len(starts) else values
