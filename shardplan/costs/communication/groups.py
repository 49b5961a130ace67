"""Groups of ranks that are near each other, and sums over them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats, Ints


class RankSets(Protocol):
    """For each of W ranks a set of ranks, itself included."""

    @property
    def size(self) -> Floats:
        """Ranks in each rank's set (W,)."""

    def sum(self, values: Floats) -> Floats:
        """Sum values over each rank's set (W,)."""


@dataclass(frozen=True, eq=False)
class Level:
    """A partition of the ranks, such as hosts; ranks with equal ids are together."""

    ids: Ints

    @cached_property
    def size(self) -> Floats:
        """Ranks in each rank's part (W,)."""
        return np.bincount(self.ids)[self.ids].astype(float)

    def sum(self, values: Floats) -> Floats:
        """Sum values over each rank's part (W,)."""
        return np.asarray(np.bincount(self.ids, values)[self.ids])

    def mean(self, values: Floats) -> Floats:
        """Average values over each rank's part (W,)."""
        return self.sum(values) / self.size

    def split(self, other: Ints) -> Level:
        """Return the parts of this partition cut by another one's ids."""
        pair = self.ids * (int(other.max()) + 1) + other
        return Level(np.unique(pair, return_inverse=True)[1])

    def grown(self, other: Level) -> Level:
        """Return the larger part of each rank, where one part holds the other."""
        ids = np.where(
            other.size > self.size, other.ids + int(self.ids.max()) + 1, self.ids
        )
        return Level(np.unique(ids, return_inverse=True)[1])


@dataclass(frozen=True, eq=False)
class Union:
    """Ranks that are together in at least one of two partitions."""

    first: Level
    second: Level
    both: Level

    @classmethod
    def of(cls, first: Level, second: Level) -> Self:
        """Join two partitions."""
        return cls(first, second, first.split(second.ids))

    @property
    def size(self) -> Floats:
        """Ranks in each rank's set (W,)."""
        return self.first.size + self.second.size - self.both.size

    def sum(self, values: Floats) -> Floats:
        """Sum values over each rank's set (W,)."""
        total = self.first.sum(values) + self.second.sum(values)
        return np.asarray(total - self.both.sum(values))
