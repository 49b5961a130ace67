"""The bandwidths of TorchRec's `Topology`, from ours, per class of ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.records.arrays import Floats
    from shardplan.records.host_group import HostGroup
    from shardplan.records.torchrec_cost_model import TorchRecCollectives


@dataclass(frozen=True, eq=False)
class Bandwidths:
    """Arrays of shape (C,) [bytes/s], and sizes [ranks].

    Attributes
    ----------
    world_size : int
    group_size : ranks of a host group, as floats (C,)
    local_size : ranks of a machine; host groups may be pods of machines
    hbm, ddr, ssd, host_link : memories, and the link between device and host
    all_to_all, reduce_scatter, all_gather, all_reduce : over all ranks
    group_reduce_scatter, group_all_gather : inside a host group
    across_groups : all-to-all of one rank per host group
    """

    world_size: int
    is_cpu: bool
    group_size: Floats
    local_size: Floats
    hbm: Floats
    ddr: Floats
    ssd: Floats
    host_link: Floats
    all_to_all: Floats
    reduce_scatter: Floats
    all_gather: Floats
    all_reduce: Floats
    group_reduce_scatter: Floats
    group_all_gather: Floats
    across_groups: Floats

    @classmethod
    def of(cls, cluster: Cluster, given: TorchRecCollectives) -> Self:
        """Read a cluster's bandwidths.

        Notes
        -----
        Collectives over the ranks of one host run at the rate of the scale-up
        links, all others at that of the NICs ("one NIC per GPU"): the NICs of a
        host over its ranks. All-reduce has all NICs of the host.
        """
        groups, world = cluster.host_groups, cluster.world_size
        local = np.array([g.local_world_size for g in groups], dtype=np.float64)
        intra = np.array([intra_host_bw(group) for group in groups])
        inter = np.array([inter_host_bw(group) for group in groups])
        everywhere = np.where(world <= local, intra, inter)
        num_groups = np.maximum(1, world // local)

        def rate(value: float | None, default: Floats) -> Floats:
            return default if value is None else np.full(len(default), value)

        return cls(
            world_size=world,
            is_cpu=cluster.is_cpu,
            group_size=local,
            local_size=rate(given.local_world_size, local),
            hbm=np.array([g.device.hbm_bw for g in groups]),
            ddr=np.array([g.host.ddr_bw for g in groups]) / local,
            ssd=np.array([g.host.ssd_read_bw for g in groups]) / local,
            host_link=np.array(
                [g.host.pcie_bw / g.host.ranks_per_pcie_link for g in groups]
            ),
            all_to_all=rate(given.all_to_all_bw, everywhere),
            reduce_scatter=rate(given.reduce_scatter_bw, everywhere),
            all_gather=rate(given.all_gather_bw, everywhere),
            all_reduce=rate(given.all_reduce_bw, inter * local),
            group_reduce_scatter=rate(given.group_reduce_scatter_bw, intra),
            group_all_gather=rate(given.group_all_gather_bw, intra),
            across_groups=rate(
                given.across_groups_bw, np.where(num_groups <= 1, intra, inter)
            ),
        )

    @property
    def num_groups(self) -> Floats:
        """Host groups among all ranks, rounded down, at least 1; shape (C,)."""
        return np.asarray(np.maximum(1, self.world_size // self.group_size))


def intra_host_bw(group: HostGroup) -> float:
    """Bandwidth of a rank to the others of its host [bytes/s]."""
    host = group.host
    return group.scale_up.bw or host.pcie_bw / host.ranks_per_pcie_link


def inter_host_bw(group: HostGroup) -> float:
    """Bandwidth of a rank to other hosts [bytes/s]."""
    out = group.scale_out
    nics = out.nics_per_host * out.nic_bw / group.local_world_size
    return nics or intra_host_bw(group)
