"""What each class of ranks achieves: peak rates times efficiencies, shared fairly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.communication.collectives import Collectives
from shardplan.costs.replica_sync import sync_s_per_byte, whole_collectives
from shardplan.costs.scopes import SCOPES, Scope

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.records.arrays import Floats
    from shardplan.records.coefficient import Coefficient
    from shardplan.records.cost_model import CostModel


@dataclass(frozen=True, eq=False)
class ClassRates:
    """Effective rates of one rank, per class: arrays of shape (C,).

    Attributes
    ----------
    forward_bw, backward_bw : device memory in the two passes [bytes/s]
    l2_forward_bytes, l2_backward_bytes : the device's last-level cache, for what is
        read again in a pass; 0 where the cost model has no rate for it [bytes]
    l2_forward_bw, l2_backward_bw : its rate, infinite then [bytes/s]
    num_sms : multiprocessors, each with a cache of its own; 0 where unknown
    pass_bw, scatter_bw : device memory in passes over vectors, and in atomic sums
        [bytes/s]
    uvm_forward_bw, uvm_backward_bw, miss_bw : the rank's share of the way to host
        memory, for reads in place, for updates and for cache misses [bytes/s]
    ssd_iops, ssd_read_bw, ssd_write_bw : the rank's share of the host's SSD
    collectives : where the bytes of collectives go, and how fast
    whole : the same among the ranks of all replicas, where there are several
    all_to_all : seconds per byte that a rank sends to all ranks evenly
    reduce_scatter : scope to seconds per byte of the whole array
    across_groups : scope to seconds per byte of the whole array, for the
        all-to-all between groups after a reduce-scatter inside them; a rank alone
        has nothing to reduce, and all ranks together have nothing left to exchange
    all_reduce : seconds per byte of gradients that all ranks of all replicas add up,
        one pass of two
    replica_sync : seconds of a step per byte that is kept equal to its copies
    replica_copy : the same for the way to host memory and back, for rows that are there
    """

    cost_model: CostModel
    world_size: int
    is_cpu: bool
    forward_bw: Floats
    backward_bw: Floats
    l2_forward_bytes: Floats
    l2_backward_bytes: Floats
    l2_forward_bw: Floats
    l2_backward_bw: Floats
    num_sms: Floats
    pass_bw: Floats
    scatter_bw: Floats
    uvm_forward_bw: Floats
    uvm_backward_bw: Floats
    miss_bw: Floats
    ssd_iops: Floats
    ssd_read_bw: Floats
    ssd_write_bw: Floats
    collectives: Collectives
    whole: Collectives
    all_to_all: Floats
    reduce_scatter: dict[Scope, Floats]
    across_groups: dict[Scope, Floats]
    all_reduce: Floats
    replica_sync: Floats
    replica_copy: Floats

    @classmethod
    def of(cls, cluster: Cluster, cost_model: CostModel) -> ClassRates:
        """Combine a cluster's peaks with a cost model's efficiencies.

        Notes
        -----
        What a lookup reads comes through the last-level cache, so that memory is no
        faster than that. Rows that are read in place reach at most the rate that
        copies were measured to reach on the same link.
        """
        local = np.array([g.local_world_size for g in cluster.host_groups], dtype=float)
        hosts = [g.host for g in cluster.host_groups]
        host = cost_model.host_memory
        ddr = np.array([h.ddr_bw for h in hosts]) / local * host.ddr_efficiency.value
        pcie = np.array([h.pcie_bw / h.ranks_per_pcie_link for h in hosts])
        memory = np.array([g.device.hbm_bw for g in cluster.host_groups])
        memory = ddr if cluster.is_cpu else memory
        lookup, ssd = cost_model.lookup, host.ssd_efficiency.value
        reads = (host.ssd_iops_efficiency or host.ssd_efficiency).value
        size_f, rate_f = _last_level_cache(cluster, lookup.l2_forward_efficiency)
        size_b, rate_b = _last_level_cache(cluster, lookup.l2_backward_efficiency)
        sequences = cost_model.sequences
        passes = sequences.pass_efficiency if sequences else lookup.forward_efficiency
        sums = sequences.scatter_efficiency if sequences else lookup.backward_efficiency
        in_place, link = host.uvm_forward_efficiency.value, host.miss_efficiency.value
        miss_bw = np.minimum(pcie * link, ddr)
        collectives = Collectives.of(cluster, cost_model)
        across = {s: collectives.all_to_all_s_per_byte(s) for s in SCOPES}
        replication = cluster.topology.replication
        whole = whole_collectives(cluster, cost_model) if replication else collectives
        return cls(
            cost_model=cost_model,
            world_size=cluster.world_size,
            is_cpu=cluster.is_cpu,
            forward_bw=np.minimum(memory * lookup.forward_efficiency.value, rate_f),
            backward_bw=np.minimum(memory * lookup.backward_efficiency.value, rate_b),
            l2_forward_bytes=size_f,
            l2_backward_bytes=size_b,
            l2_forward_bw=rate_f,
            l2_backward_bw=rate_b,
            num_sms=np.array([float(g.device.num_sms) for g in cluster.host_groups]),
            pass_bw=memory * passes.value,
            scatter_bw=memory * sums.value,
            uvm_forward_bw=np.minimum(pcie * min(in_place, link), ddr),
            uvm_backward_bw=np.minimum(pcie * host.uvm_backward_efficiency.value, ddr),
            miss_bw=miss_bw,
            ssd_iops=np.array([h.ssd_read_iops for h in hosts]) * reads / local,
            ssd_read_bw=np.array([h.ssd_read_bw for h in hosts]) * ssd / local,
            ssd_write_bw=np.array([h.ssd_write_bw for h in hosts]) * ssd / local,
            collectives=collectives,
            whole=whole,
            all_to_all=across[Scope.RANK],
            reduce_scatter={s: collectives.reduce_s_per_byte(s) for s in SCOPES},
            across_groups=across,
            all_reduce=whole.reduce_s_per_byte(Scope.ALL),
            replica_sync=sync_s_per_byte(cluster, whole),
            replica_copy=2.0 / miss_bw / replication.sync_every
            if replication
            else np.zeros(len(hosts)),
        )


def _last_level_cache(
    cluster: Cluster, efficiency: Coefficient | None
) -> tuple[Floats, Floats]:
    """Size [bytes] and rate [bytes/s] of the last-level cache of each class (C,)."""
    devices = [g.device for g in cluster.host_groups]
    share = efficiency.value if efficiency else 0.0
    rate = np.array([d.cache_bw * share for d in devices])
    size = np.array([float(d.l2_bytes) for d in devices])
    return np.where(rate > 0, size, 0.0), np.where(rate > 0, rate, np.inf)
