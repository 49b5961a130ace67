"""Which ranks are interchangeable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class Zones:
    """Z zones: ranks of one class and room, which the same bundles may use.

    Attributes
    ----------
    of_rank : int array (W,)
        The zone of each rank.
    rank_class, size : int arrays (Z,)
        Class and number of its ranks.
    room : float array (Z, 3)
        Bytes per tier that each rank may use: of pools that ranks share, as many as of
        every other rank of the pool.
    """

    of_rank: Ints
    rank_class: Ints
    size: Ints
    room: Floats

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """Divide the ranks of a problem's cluster."""
        pool = problem.capacity.rank_pool
        sharing = np.bincount(pool)[pool]
        hbm, ddr, ssd = problem.rooms
        room = np.stack([hbm, ddr[pool] / sharing, ssd[pool] / sharing], axis=1)
        rank_class = problem.cluster.rank_class
        masks = [mask[:, None] for mask in problem.allowed.values()]
        key = np.hstack([rank_class[:, None], room, *masks])
        _, first, of_rank = np.unique(
            key, axis=0, return_index=True, return_inverse=True
        )
        of_rank = of_rank.ravel()
        return cls(of_rank, rank_class[first], np.bincount(of_rank), room[first])

    def __len__(self) -> int:
        """Return the number of zones."""
        return len(self.size)

    def groups_inside(self, problem: Problem, scope: int, places: Ints) -> Ints:
        """Zone of each place of a scope; -1 for one that lies in several (N,)."""
        groups = problem.cluster.groups(scope)
        first = groups.first_rank[places]
        last = first + groups.num_ranks[places] - 1
        # Ranks of a place follow each other: it lies in one zone if none begins in it.
        begun = np.cumsum(np.r_[False, np.diff(self.of_rank) != 0])
        return np.where(begun[first] == begun[last], self.of_rank[first], -1)

    def ranks(self, zone: int) -> Bools:
        """Ranks of a zone, bool array (W,)."""
        return np.asarray(self.of_rank == zone)
