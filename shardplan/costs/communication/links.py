"""The rates of a cluster's links, and which ranks share them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shardplan.costs.cluster import Cluster
    from shardplan.records.arrays import Floats, Ints


def load_time(load: ArrayLike, capacity: ArrayLike) -> Floats:
    """Return load / capacity: 0 without load, infinite without capacity."""
    load, capacity = np.broadcast_arrays(np.asarray(load, float), capacity)
    with np.errstate(divide="ignore"):
        time: Floats = np.divide(
            load, capacity, out=np.zeros(load.shape), where=load > 0
        )
    return time


def pcie_links(cluster: Cluster) -> tuple[Ints, Ints]:
    """Return each rank's PCIe link (W,) and each link's class.

    The ranks of a CPU host meet in its memory, so it counts as their one link.
    """
    per_link = np.array(
        [group.host.ranks_per_pcie_link for group in cluster.host_groups]
    )
    if cluster.is_cpu:
        return cluster.rank_host, cluster.host_class
    local = np.arange(cluster.world_size) - cluster.host_first_rank[cluster.rank_host]
    slot = local // per_link[cluster.rank_class]
    key = cluster.rank_host * (int(slot.max()) + 1) + slot
    _, first, link = np.unique(key, return_index=True, return_inverse=True)
    return link, cluster.rank_class[first]


def host_link_bw(cluster: Cluster) -> Floats:
    """Return the peak of one link of :func:`pcie_links` per class (C,) [bytes/s]."""
    hosts = [group.host for group in cluster.host_groups]
    return np.array([h.ddr_bw if cluster.is_cpu else h.pcie_bw for h in hosts])


def nic_bw_per_host(cluster: Cluster) -> Floats:
    """Return the line rate of all NICs of each host (N,) [bytes/s]."""
    outs = [group.scale_out for group in cluster.host_groups]
    bandwidth = np.array([out.nics_per_host * out.nic_bw for out in outs])
    return np.asarray(bandwidth[cluster.host_class])


def joined_by_switch(cluster: Cluster) -> bool:
    """Whether the ranks of every host are in one switched scale-up domain."""
    return all(
        group.scale_up.kind == "switch"
        and group.scale_up.domain_size >= group.local_world_size
        for group in cluster.host_groups
    )


def leaf_of_host(cluster: Cluster) -> Ints:
    """Return the leaf switch of each host (N,)."""
    per_leaf = cluster.topology.fabric.hosts_per_leaf or cluster.num_hosts
    return np.arange(cluster.num_hosts) // per_leaf
