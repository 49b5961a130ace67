"""Ranks that start and end an operation together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats, Ints


@dataclass(frozen=True, eq=False)
class Meeting:
    """Groups of ranks that follow each other, as those of every scope do.

    Attributes
    ----------
    first : int array (G,)
        The first rank of each group.
    of_rank : int array (W,)
        The group of each rank.
    """

    first: Ints
    of_rank: Ints

    @classmethod
    def of(cls, meets: Ints) -> Self:
        """Take the groups of ranks with the same number (W,)."""
        is_first = np.r_[True, meets[1:] != meets[:-1]]
        return cls(np.flatnonzero(is_first), np.cumsum(is_first) - 1)

    def latest(self, values: Floats) -> Floats:
        """Return the largest value in the group of each rank (W,)."""
        if len(self.first) == 1:
            return np.full_like(values, values.max())
        return np.asarray(np.maximum.reduceat(values, self.first)[self.of_rank])

    def ranks(self, rank: int) -> slice:
        """Return the ranks of the group of a rank."""
        group = self.of_rank[rank]
        is_last = group + 1 == len(self.first)
        end = len(self.of_rank) if is_last else int(self.first[group + 1])
        return slice(int(self.first[group]), end)
