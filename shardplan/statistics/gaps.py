"""Histograms of how many lookups after the last one a row is looked up again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats, Ints

STEPS = 16
"""Bins between a gap and twice as long a one; shorter gaps than this are exact."""
_OCTAVES = 40
_BINS = _OCTAVES * STEPS
_SHIFT = 52 - (STEPS.bit_length() - 1)
_BIAS = 1023


def _edges() -> Ints:
    octave, step = np.divmod(np.arange(_BINS), STEPS)
    return np.ceil(np.ldexp(1.0 + step / STEPS, octave)).astype(np.int64)


EDGES = _edges()
"""The shortest gap of each bin; equal for bins that no whole number falls into."""


@dataclass(frozen=True, eq=False)
class Gaps:
    """How many gaps there are of each bin, and their sum; histograms add up.

    Attributes
    ----------
    counts, sums : int or float arrays of shape (BINS,), or (G, BINS) by group
    """

    counts: Ints | Floats
    sums: Ints | Floats

    @classmethod
    def none(cls, *size: int) -> Self:
        """Return the histogram of no gap, or those of so many groups."""
        zeros = np.zeros((*size, _BINS), dtype=np.int64)
        return cls(zeros, zeros)

    @classmethod
    def of(cls, gaps: Ints) -> Self:
        """Count gaps, int array of shape (N,), at least 1."""
        return cls.by_group(gaps, 0, 1).of_groups(0, 1)

    @classmethod
    def by_group(cls, gaps: Ints, group: Ints | int, size: int) -> Self:
        """Count gaps of each of so many groups.

        Parameters
        ----------
        gaps : int array of shape (N,)
            At least 1.
        group : int array of shape (N,), or int
            0 to ``size - 1``.
        """
        long = gaps.astype(np.float64)
        # Exponent and leading bits of the mantissa, which are the octave and the step.
        place = (long.view(np.int64) >> _SHIFT) + (group * _BINS - _BIAS * STEPS)
        counts = np.bincount(place, minlength=size * _BINS).reshape(size, _BINS)
        sums = np.bincount(place, long, size * _BINS).astype(np.int64)
        return cls(counts, sums.reshape(size, _BINS))

    def of_groups(self, first: int, last: int) -> Self:
        """Return the histogram of some groups together, the last one excluded."""
        each = slice(first, last)
        return type(self)(self.counts[each].sum(axis=0), self.sums[each].sum(axis=0))

    def from_group(self, first: int) -> Self:
        """Return the histograms of a group and those after it; others are empty."""
        counts, sums = self.counts.copy(), self.sums.copy()
        counts[:first], sums[:first] = 0, 0
        return type(self)(counts, sums)

    def __add__(self, other: Self) -> Self:
        """Return the histogram of both."""
        return type(self)(self.counts + other.counts, self.sums + other.sums)

    def __mul__(self, factor: float) -> Self:
        """Return that of so many times the gaps."""
        counts: Floats = self.counts * np.float64(factor)
        sums: Floats = self.sums * np.float64(factor)
        return type(self)(counts, sums)
