"""What shards put on ranks and pools, and the two objectives over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.records.sharding import PHASES, Objective

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.costs.memory.capacity import Capacity
    from shardplan.records.arrays import Floats, Ints


@dataclass(frozen=True, eq=False)
class Loads:
    """Seconds and bytes on every rank, and in every pool of DDR and SSD.

    Attributes
    ----------
    cluster : Cluster
        Which class a rank is of.
    cost : float array (W, P)
        Seconds per rank and phase.
    hbm : float array (W,)
        Bytes per rank.
    ddr, ssd : float arrays (Q,)
        Bytes per pool.
    rank_pool : int array (W,)
        The pool of DDR and SSD of each rank: its host's, or its own.
    """

    cluster: Cluster
    cost: Floats
    hbm: Floats
    ddr: Floats
    ssd: Floats
    rank_pool: Ints

    @classmethod
    def empty(
        cls, cluster: Cluster, rank_pool: Ints, num_phases: int = len(PHASES)
    ) -> Self:
        """Nothing anywhere yet."""
        ranks, pools = cluster.world_size, int(rank_pool.max()) + 1
        return cls(
            cluster,
            np.zeros((ranks, num_phases)),
            np.zeros(ranks),
            np.zeros(pools),
            np.zeros(pools),
            rank_pool,
        )

    def add(self, rank: Ints, cost: Floats, tier_bytes: Floats) -> None:
        """Put K shards on ranks: rank (K,), cost (K, C, P), tier_bytes (K, 3)."""
        own_class = self.cluster.rank_class[rank]
        np.add.at(self.cost, rank, cost[np.arange(len(rank)), own_class])
        pool = self.rank_pool[rank]
        hbm, ddr, ssd = tier_bytes.T
        np.add.at(self.hbm, rank, hbm)
        np.add.at(self.ddr, pool, ddr)
        np.add.at(self.ssd, pool, ssd)

    def add_everywhere(self, cost: Floats, tier_bytes: Floats) -> None:
        """Put K shards on every rank each: cost (K, C, P), tier_bytes (K, 3)."""
        self.cost[:] += cost.sum(axis=0)[self.cluster.rank_class]
        hbm, ddr, ssd = tier_bytes.sum(axis=0)
        self.hbm[:] += hbm
        ranks = np.bincount(self.rank_pool)
        self.ddr[:] += ddr * ranks
        self.ssd[:] += ssd * ranks

    def fits(self, capacity: Capacity) -> bool:
        """Whether every pool holds what is put there."""
        return bool(
            (self.hbm <= capacity.rank_hbm).all()
            and (self.ddr <= capacity.pool_ddr).all()
            and (self.ssd <= capacity.pool_ssd).all()
        )

    def value(self, objective: Objective) -> float:
        """Value of the objective [s].

        Raises
        ------
        ValueError
            For `time`, which takes more than sums of seconds; see `Problem.value_of`.

        Notes
        -----
        step: sum over phases of the slowest rank, sum_p max_r cost[r, p];
        max-rank: the slowest rank's sum over phases, max_r sum_p cost[r, p].
        """
        if objective is Objective.STEP:
            return float(self.cost.max(axis=0).sum())
        if objective is Objective.TIME:
            raise ValueError("loads alone have no value under objective 'time'")
        return float(self.cost.sum(axis=1).max())
