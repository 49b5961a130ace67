"""What shards put on ranks and hosts, and the two objectives over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.sharding import PHASES, Objective

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.cluster import Cluster
    from shardplan.costs.capacity import Capacity

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Loads:
    """Seconds and bytes on every rank and host.

    Attributes
    ----------
    cluster : Cluster
    cost : float array (W, P)
        Seconds per rank and phase.
    hbm : float array (W,)
        Bytes per rank.
    ddr, ssd : float arrays (N,)
        Bytes per host.
    """

    cluster: Cluster
    cost: Floats
    hbm: Floats
    ddr: Floats
    ssd: Floats

    @classmethod
    def empty(cls, cluster: Cluster, num_phases: int = len(PHASES)) -> Self:
        """Nothing anywhere yet."""
        ranks, hosts = cluster.world_size, cluster.num_hosts
        return cls(
            cluster,
            np.zeros((ranks, num_phases)),
            np.zeros(ranks),
            np.zeros(hosts),
            np.zeros(hosts),
        )

    def add(self, rank: Ints, cost: Floats, tier_bytes: Floats) -> None:
        """Put K shards on ranks: rank (K,), cost (K, C, P), tier_bytes (K, 3)."""
        own_class = self.cluster.rank_class[rank]
        np.add.at(self.cost, rank, cost[np.arange(len(rank)), own_class])
        host = self.cluster.rank_host[rank]
        hbm, ddr, ssd = tier_bytes.T
        np.add.at(self.hbm, rank, hbm)
        np.add.at(self.ddr, host, ddr)
        np.add.at(self.ssd, host, ssd)

    def add_everywhere(self, cost: Floats, tier_bytes: Floats) -> None:
        """Put K shards on every rank each: cost (K, C, P), tier_bytes (K, 3)."""
        self.cost[:] += cost.sum(axis=0)[self.cluster.rank_class]
        hbm, ddr, ssd = tier_bytes.sum(axis=0)
        self.hbm[:] += hbm
        self.ddr[:] += ddr * self.cluster.host_num_ranks
        self.ssd[:] += ssd * self.cluster.host_num_ranks

    def fits(self, capacity: Capacity) -> bool:
        """Whether every pool holds what is put there."""
        return bool(
            (self.hbm <= capacity.rank_hbm).all()
            and (self.ddr <= capacity.host_ddr).all()
            and (self.ssd <= capacity.host_ssd).all()
        )

    def value(self, objective: Objective) -> float:
        """Value of the objective [s].

        Notes
        -----
        step: sum over phases of the slowest rank, sum_p max_r cost[r, p];
        max-rank: the slowest rank's sum over phases, max_r sum_p cost[r, p].
        """
        if objective is Objective.STEP:
            return float(self.cost.max(axis=0).sum())
        return float(self.cost.sum(axis=1).max())
