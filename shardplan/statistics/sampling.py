"""Samples of rows by a hash of the row: the same rows, however a log is divided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.statistics.gaps import Gaps
from shardplan.statistics.lookups import in_groups
from shardplan.statistics.row_hash import LEVELS, has_level, level_of, row_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.statistics.hot_rows import HotRows
    from shardplan.statistics.lookups import Lookups

SIGMAS = 2.6
"""Standard deviations that bounds of errors have: 99 of 100 where errors are normal, so
that 95 of 100 hold where they are not quite."""
HOT = LEVELS + 1
"""The level of hot rows: no sample is without them."""


@dataclass(frozen=True, eq=False)
class RowSample:
    """Exact lookups of hot and of sampled rows; those of consecutive parts add up.

    The level rises until at most `most` rows are left besides the hot ones, so that it
    is that of the whole log, whatever its parts were.

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
    levels : uint8 array of shape (U,)
        Of their hashes, or HOT.
    first, last : int arrays of shape (U,)
        Their first and last lookup, among those of all rows, from 0.
    across : Gaps
        Gaps between parts, by level of the row up to HOT; below `level` none.
    """

    most: int
    level: int
    num_lookups: int
    rows: Ints
    levels: Ints
    counts: Ints
    visits: Ints
    first: Ints
    last: Ints
    across: Gaps

    @classmethod
    def of(
        cls, found: Lookups, num_lookups: int, most: int, hot: HotRows, level: int = 0
    ) -> Self:
        """Sample the rows of one block.

        Parameters
        ----------
        level : int
            That the sample of the whole log is known to have at least.
        """
        hashes = row_hash(found.rows)
        is_hot = hot.has(hashes)
        kept = np.flatnonzero(is_hot | has_level(hashes, level))
        rows = found.rows[kept]
        levels = level_of(hashes[kept])
        levels[is_hot[kept]] = HOT
        return cls(
            most,
            level,
            num_lookups,
            rows,
            levels,
            found.counts[kept],
            np.ones_like(rows),
            found.first[kept],
            found.last[kept],
            Gaps.none(HOT + 1),
        ).fitting()

    @classmethod
    def sum(cls, parts: Sequence[Self]) -> Self:
        """Return the sample of consecutive parts together."""
        level = max(part.level for part in parts)
        kept = [part.at(level) for part in parts]
        *starts, size = accumulate((p.num_lookups for p in parts), initial=0)
        each = list(zip(kept, starts, strict=True))
        order, rows, new = in_groups(
            np.concatenate([p.rows for p in kept]), kind="stable"
        )
        levels, counts, visits = (
            np.concatenate([getattr(p, name) for p in kept])[order]
            for name in ("levels", "counts", "visits")
        )
        first = np.concatenate([p.first + start for p, start in each])[order]
        last = np.concatenate([p.last + start for p, start in each])[order]
        again = np.flatnonzero(~new)
        gaps = first[again] - last[again - 1]
        across = Gaps.by_group(gaps, levels[again].astype(np.int64), HOT + 1)
        begins = np.flatnonzero(new)
        ends = np.append(begins, len(rows))[1:] - 1
        return cls(
            parts[0].most,
            level,
            size,
            rows[begins],
            levels[begins],
            _summed(counts, begins),
            _summed(visits, begins),
            first[begins],
            last[ends],
            sum((p.across for p in kept), start=across),
        ).fitting()

    def __add__(self, later: Self) -> Self:
        """Return the sample of this part and the next one."""
        return self.sum((self, later))

    def fitting(self) -> Self:
        """Return the part at the least level at which the rows are few enough."""
        if len(self.rows) <= self.most:
            return self
        number = np.bincount(self.levels, minlength=HOT + 1)[:HOT]
        left = np.cumsum(number[::-1])[::-1]
        fits = np.flatnonzero(left <= self.most)
        return self.at(int(fits[0]) if len(fits) else LEVELS)

    def at(self, level: int) -> Self:
        """Return the part of the sample that has at least a level."""
        if level <= self.level:
            return self
        kept = np.flatnonzero(self.levels >= level)
        names = ("rows", "levels", "counts", "visits", "first", "last")
        arrays = {name: getattr(self, name)[kept] for name in names}
        across = self.across.from_group(level)
        return replace(self, level=level, across=across, **arrays)

    @property
    def rate(self) -> float:
        """Share of the rows that is kept of those that are not hot."""
        return 0.5**self.level

    @property
    def is_hot(self) -> Bools:
        """Which rows are kept for being hot."""
        found: Bools = self.levels == HOT
        return found

    @property
    def weights(self) -> Floats:
        """Return how many rows each stands for: 1 for a hot one, others 1 / rate."""
        return np.where(self.is_hot, 1.0, 1.0 / self.rate)

    def error(self, values: Ints | Floats) -> float:
        """Return the bound (95 %) of the error of a sum over all rows.

        Parameters
        ----------
        values : array of shape (U,)
            What each row adds.

        Notes
        -----
        The variance of independent draws at rate R, ``sum x^2 (1 - R) / R^2`` over what
        was drawn.

        References
        ----------
        Horvitz, Thompson 1952, JASA 47(260).
        """
        drawn = values[~self.is_hot].astype(float)
        return SIGMAS * float(np.sqrt(drawn @ drawn * (1 - self.rate))) / self.rate

    def num_rows(self) -> tuple[float, float]:
        """Return how many rows were looked up, and a bound of the error (95 %)."""
        return float(self.weights.sum()), self.error(np.ones(len(self.rows)))

    def luck(self) -> float:
        """Return the relative error (95 %) of what visits of all rows add up to."""
        total = max(float(self.visits @ self.weights), 1.0)
        return self.error(self.visits) / total

    def gaps_across(self) -> tuple[Gaps, Gaps]:
        """Return the gaps between parts of hot rows, and of drawn ones."""
        drawn = self.across.of_groups(0, HOT)
        return self.across.of_groups(HOT, HOT + 1), drawn

    def borders(self) -> tuple[Gaps, Gaps]:
        """Return the gaps to both ends of the log of hot rows, and of drawn ones."""
        group = self.is_hot.astype(np.int64)
        gaps = Gaps.by_group(self.first + 1, group, 2)
        gaps += Gaps.by_group(self.num_lookups - self.last, group, 2)
        return gaps.of_groups(1, 2), gaps.of_groups(0, 1)


def _summed(values: Ints, starts: Ints) -> Ints:
    """Return the sums of values up to the next start each."""
    return np.add.reduceat(values, starts) if len(starts) else values
