"""How many lookups samples have: presence, mean, mean square, distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Ints

MOST_EXACT = 1 << 13
"""Lengths up to here are counted one by one."""


@dataclass(frozen=True, eq=False)
class Lengths:
    """Lookups per sample of a table; those of several parts of a log add up.

    Attributes
    ----------
    counts : int array of shape (MOST_EXACT + 1,)
        Samples of each length; the last has all longer ones, too.
    total, squares, longest : int
        Sum of lengths, of their squares, and the greatest.
    """

    counts: Ints
    total: int
    squares: int
    longest: int

    @classmethod
    def none(cls) -> Self:
        """Return those of no sample."""
        return cls(np.zeros(MOST_EXACT + 1, dtype=np.int64), 0, 0, 0)

    @classmethod
    def of(cls, lengths: Ints) -> Self:
        """Count the lengths of samples, int array of shape (S,)."""
        least, most = int(lengths.min(initial=MOST_EXACT)), int(lengths.max(initial=0))
        if least == most <= MOST_EXACT:
            counts = np.zeros(MOST_EXACT + 1, dtype=np.int64)
            counts[most] = len(lengths)
        else:
            short = np.minimum(lengths, MOST_EXACT) if most > MOST_EXACT else lengths
            counts = np.bincount(short, minlength=MOST_EXACT + 1).astype(np.int64)
        if most > MOST_EXACT:
            long = lengths.astype(np.int64)
            return cls(counts, int(long.sum()), int(long @ long), most)
        each = np.arange(MOST_EXACT + 1)
        return cls(counts, int(counts @ each), int(counts @ each**2), most)

    def __add__(self, other: Self) -> Self:
        """Return those of both parts."""
        return type(self)(
            self.counts + other.counts,
            self.total + other.total,
            self.squares + other.squares,
            max(self.longest, other.longest),
        )

    @property
    def num_samples(self) -> int:
        """All samples, those without a lookup as well."""
        return int(self.counts.sum())

    @property
    def num_present(self) -> int:
        """Samples with a lookup at least."""
        return self.num_samples - int(self.counts[0])

    def quantile(self, share: float) -> int:
        """Return the least length that so many of the present samples do not exceed."""
        present = np.cumsum(self.counts[1:])
        if not present[-1]:
            return 0
        place = int(np.searchsorted(present, share * present[-1], side="left")) + 1
        return self.longest if place == MOST_EXACT else place
