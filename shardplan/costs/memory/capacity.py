"""Memory that is left for embeddings after everything else took its share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.layers.activations import activation_bytes
from shardplan.costs.layers.times import dense_parameters
from shardplan.costs.memory import storage

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.costs.usage import TableUsage
    from shardplan.records.arrays import Floats, Ints
    from shardplan.records.cost_model import CostModel


@dataclass(frozen=True, eq=False)
class Capacity:
    """Bytes for embeddings and their buffers, and what was taken off before.

    Attributes
    ----------
    rank_hbm : float array (W,)
        HBM of each rank [bytes].
    pool_ddr, pool_ssd : float arrays (Q,)
        DDR and SSD of each pool [bytes].
    rank_pool : int array (W,)
        The pool that a rank uses: its host's, or its own share of it.
    reserved : dict of str to float
        Items taken off one rank's memory (of the first class) [bytes].
    pool_place : str
        Whose the pools are: ``host`` or ``rank``.
    """

    rank_hbm: Floats
    pool_ddr: Floats
    pool_ssd: Floats
    rank_pool: Ints
    reserved: dict[str, float]
    pool_place: str = "host"

    @classmethod
    def of(cls, cluster: Cluster, usage: TableUsage, cost_model: CostModel) -> Capacity:
        """Subtract reserves, the dense model and received embeddings.

        Notes
        -----
        HBM: capacity * (1 - fraction) - context - dense part; CPU ranks take all
        of it off their host's DDR instead.
        """
        memory = cost_model.memory
        ranks = dense_rank_bytes(usage, cluster.world_size)
        ranks["context and libraries"] = memory.hbm_reserve_bytes.value
        taken = sum(ranks.values())
        hbm = cluster.rank_hbm_bytes
        ddr = np.array([float(g.host.ddr_bytes) for g in cluster.host_groups])
        ssd = np.array([float(g.host.ssd_bytes) for g in cluster.host_groups])
        share = memory.hbm_reserve_fraction.value
        ddr = ddr * (1.0 - memory.ddr_reserve_fraction.value)
        if cluster.is_cpu:
            ddr -= taken * np.array([g.local_world_size for g in cluster.host_groups])
        else:
            ranks["kept free"] = float(hbm[0] * share)
            hbm = hbm * (1.0 - share) - taken
        return cls(
            rank_hbm=np.maximum(hbm, 0.0),
            pool_ddr=np.maximum(ddr, 0.0)[cluster.host_class],
            pool_ssd=ssd[cluster.host_class],
            rank_pool=cluster.rank_host,
            reserved=ranks,
        )

    def of_tier(self, tier: int) -> Floats:
        """Return a tier's pools: ranks for HBM (0), pools of DDR (1) and SSD (2)."""
        return (self.rank_hbm, self.pool_ddr, self.pool_ssd)[tier]

    def classes(self, cluster: Cluster) -> tuple[Ints, Ints, Ints]:
        """Class of each pool, per tier."""
        pools = np.empty(len(self.pool_ddr), dtype=np.int64)
        pools[self.rank_pool] = cluster.rank_class
        return cluster.rank_class, pools, pools


def dense_rank_bytes(usage: TableUsage, world_size: int) -> dict[str, float]:
    """Bytes of the dense part on every rank, by item [bytes].

    Notes
    -----
    Parameters: fp32 weights, gradients and optimizer state. Activations: see
    :func:`shardplan.costs.layers.activations.activation_bytes`. Received embeddings:
    the pooled (or sequence) outputs of all tables for the rank's samples, and their
    gradients; where ids are sent once, also the different ones that came.
    """
    workload = usage.workload
    dense, local_batch = workload.dense, usage.batch_size / world_size
    vectors = usage.num_outputs + np.where(usage.sends_once, usage.num_sent, 0.0)
    outputs = float(vectors @ usage.embedding_dim) / world_size
    parameters = dense_parameters(dense, *usage.sample_shape)
    optimizer = dense.optimizer or workload.optimizer
    state = float(storage.state_bytes(optimizer, 1.0))
    activations = activation_bytes(dense, *usage.sample_shape, local_batch)
    return {
        "dense parameters": parameters * (2.0 * storage.FP32_BYTES + state),
        "dense activations": activations,
        "received embeddings": 2.0 * storage.FP32_BYTES * outputs,
    }
