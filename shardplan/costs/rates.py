"""What each class of ranks achieves: peak rates times efficiencies, shared fairly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.communication.collectives import Collectives
from shardplan.costs.scopes import SCOPES, Scope

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.records.arrays import Floats
    from shardplan.records.cost_model import CostModel


@dataclass(frozen=True, eq=False)
class ClassRates:
    """Effective rates of one rank, per class: arrays of shape (C,).

    Attributes
    ----------
    forward_bw, backward_bw : device memory in the two passes [bytes/s]
    uvm_forward_bw, uvm_backward_bw, miss_bw : the rank's share of the way to host
        memory, for reads in place, for updates and for cache misses [bytes/s]
    ssd_iops, ssd_read_bw, ssd_write_bw : the rank's share of the host's SSD
    collectives : where the bytes of collectives go, and how fast
    all_to_all : seconds per byte that a rank sends to all ranks evenly
    reduce_scatter : scope to seconds per byte of the whole array
    across_groups : scope to seconds per byte of the whole array, for the
        all-to-all between groups after a reduce-scatter inside them; a rank alone
        has nothing to reduce, and all ranks together have nothing left to exchange
    """

    cost_model: CostModel
    world_size: int
    is_cpu: bool
    forward_bw: Floats
    backward_bw: Floats
    uvm_forward_bw: Floats
    uvm_backward_bw: Floats
    miss_bw: Floats
    ssd_iops: Floats
    ssd_read_bw: Floats
    ssd_write_bw: Floats
    collectives: Collectives
    all_to_all: Floats
    reduce_scatter: dict[Scope, Floats]
    across_groups: dict[Scope, Floats]

    @classmethod
    def of(cls, cluster: Cluster, cost_model: CostModel) -> ClassRates:
        """Combine a cluster's peaks with a cost model's efficiencies."""
        local = np.array([g.local_world_size for g in cluster.host_groups], dtype=float)
        hosts = [g.host for g in cluster.host_groups]
        host = cost_model.host_memory
        ddr = np.array([h.ddr_bw for h in hosts]) / local * host.ddr_efficiency.value
        pcie = np.array([h.pcie_bw / h.ranks_per_pcie_link for h in hosts])
        memory = np.array([g.device.hbm_bw for g in cluster.host_groups])
        memory = ddr if cluster.is_cpu else memory
        lookup, ssd = cost_model.lookup, host.ssd_efficiency.value
        reads = (host.ssd_iops_efficiency or host.ssd_efficiency).value
        collectives = Collectives.of(cluster, cost_model)
        across = {s: collectives.all_to_all_s_per_byte(s) for s in SCOPES}
        return cls(
            cost_model=cost_model,
            world_size=cluster.world_size,
            is_cpu=cluster.is_cpu,
            forward_bw=memory * lookup.forward_efficiency.value,
            backward_bw=memory * lookup.backward_efficiency.value,
            uvm_forward_bw=np.minimum(pcie * host.uvm_forward_efficiency.value, ddr),
            uvm_backward_bw=np.minimum(pcie * host.uvm_backward_efficiency.value, ddr),
            miss_bw=np.minimum(pcie * host.miss_efficiency.value, ddr),
            ssd_iops=np.array([h.ssd_read_iops for h in hosts]) * reads / local,
            ssd_read_bw=np.array([h.ssd_read_bw for h in hosts]) * ssd / local,
            ssd_write_bw=np.array([h.ssd_write_bw for h in hosts]) * ssd / local,
            collectives=collectives,
            all_to_all=across[Scope.RANK],
            reduce_scatter={s: collectives.reduce_s_per_byte(s) for s in SCOPES},
            across_groups=across,
        )
