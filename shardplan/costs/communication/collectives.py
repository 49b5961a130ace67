"""What collectives cost on a cluster: the time of its most loaded link.

The ranks of a class (host group) are alike, so each formula answers once per class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from shardplan.costs.communication.links import (
    host_link_bw,
    leaf_of_host,
    load_time,
    nic_bw_per_host,
)

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.records.arrays import Floats
    from shardplan.records.cost_model import CostModel


Scope = Literal["all", "host", "domain"]
"""The ranks that reduce together."""


def uniform_all_to_all_s_per_byte(cluster: Cluster, cost_model: CostModel) -> Floats:
    """Return what a byte costs that a rank sends evenly to all ranks, itself included.

    Parameters
    ----------
    cluster : Cluster
        Of C classes and W ranks.
    cost_model : CostModel
        Its ``collectives.all_to_all_*`` efficiencies are used.

    Returns
    -------
    float array of shape (C,)
        Seconds per byte sent by a rank of the class [s/byte].

    Notes
    -----
    Of every byte, 1/W goes to each rank. The time is that of the slowest of: the
    scale-up links (ranks of the domain), PCIe (other domains of the host), the NICs
    that the host's ranks share (other hosts), and the uplinks of the leaf, slower by
    the oversubscription (hosts under other leaves).

    References
    ----------
    nccl-tests, doc/PERFORMANCE.md; Mudigere et al. 2022, arXiv:2104.05158.
    """
    return _spread_s_per_byte(cluster, cost_model, np.ones(len(cluster.groups)))


def cross_group_all_to_all_s_per_byte(
    cluster: Cluster, cost_model: CostModel, scope: Scope
) -> Floats:
    """Return what the exchange between groups costs after a reduce-scatter in each.

    Parameters
    ----------
    cluster : Cluster
        Of C classes and W ranks.
    cost_model : CostModel
        Its ``collectives.all_to_all_*`` efficiencies are used.
    scope : str
        What a group is: a ``host`` or a ``domain``; with ``all``, nothing is left.

    Returns
    -------
    float array of shape (C,)
        Seconds per byte of a rank's array before the reduce-scatter [s/byte].

    Notes
    -----
    In a group of g ranks each keeps 1/g of the array and sends it evenly to all W
    ranks; only ``1 - g/W`` of that leaves the group.

    References
    ----------
    Mudigere et al. 2022, arXiv:2104.05158 (table-wise then row-wise).
    """
    size = group_size(cluster, scope)
    return _spread_s_per_byte(cluster, cost_model, size) / size


def reduce_scatter_s_per_byte(
    cluster: Cluster, cost_model: CostModel, scope: Scope
) -> Floats:
    """Return what a byte of the array before a reduce-scatter costs.

    Parameters
    ----------
    cluster : Cluster
        Of C classes and W ranks.
    cost_model : CostModel
        Its ``collectives.reduce_*`` efficiencies are used.
    scope : str
        Over ``all`` ranks, those of a ``host``, or those of a ``domain``.

    Returns
    -------
    float array of shape (C,)
        Seconds per byte of one rank's whole array [s/byte].

    Notes
    -----
    Inside a group of g ranks: ``(g - 1) / g / bw``. Over all ranks, first inside the
    host or the larger domain, then between the ``G = W/g`` groups, both at the same
    time: ``max((g - 1) / g / bw, (G - 1) / (G g) / nic_bw)``; a ring enters each leaf
    once. All classes wait for the slowest.

    References
    ----------
    nccl-tests, doc/PERFORMANCE.md; Cho et al. 2019, BlueConnect, MLSys.
    """
    model = cost_model.collectives
    group = group_size(cluster, scope)
    if scope == "all":
        group = np.maximum(group_size(cluster, "host"), group_size(cluster, "domain"))
    efficiency = model.reduce_scale_up.bw_efficiency.value
    share = (group - 1.0) / group
    inside = load_time(share, efficiency * inside_bw(cluster, group))
    if scope != "all":
        return inside
    crossing = (1.0 / group - 1.0 / cluster.world_size) * ring_slowdown(cluster)
    nic = nic_bw(cluster) * model.reduce_scale_out.bw_efficiency.value
    slowest = max(inside.max(), load_time(crossing, nic).max())
    return np.full(len(group), slowest)


def group_size(cluster: Cluster, scope: Scope) -> Floats:
    """Ranks that reduce together, per class (C,)."""
    if scope == "all":
        return np.full(len(cluster.groups), float(cluster.world_size))
    if scope == "domain":
        return cluster.class_domain_size.astype(float)
    return np.array([float(group.local_world_size) for group in cluster.groups])


def _spread_s_per_byte(
    cluster: Cluster, cost_model: CostModel, group: Floats
) -> Floats:
    """Seconds per byte that a rank sends evenly to all; inside its group it is free."""
    model = cost_model.collectives
    up = model.all_to_all_scale_up.bw_efficiency.value
    out = model.all_to_all_scale_out.bw_efficiency.value
    local, domain = group_size(cluster, "host"), group_size(cluster, "domain")
    ranks = cluster.world_size
    by_scale_up = np.maximum(domain - group, 0.0) / ranks
    by_pcie = np.maximum(local - np.maximum(domain, group), 0.0) / ranks
    # A domain that the end of its class cuts off has the most peers outside.
    near = np.maximum(np.maximum(local, _least_domain(cluster)), group)
    by_nic = np.maximum(ranks - near, 0.0) / ranks
    times = [
        load_time(by_scale_up, up * _scale_up_bw(cluster, domain)),
        load_time(by_pcie, up * _pcie_bw(cluster)),
        load_time(by_nic, out * nic_bw(cluster)),
    ]
    if group.max() < ranks:
        times.append(_leaf_s_per_byte(cluster, out))
    return np.asarray(np.max(times, axis=0))


def _least_domain(cluster: Cluster) -> Floats:
    """Ranks of the smallest domain of each class (C,)."""
    size = cluster.class_domain_size.astype(float)
    ranks = cluster.domain_num_ranks[cluster.rank_domain]
    np.minimum.at(size, cluster.rank_class, ranks)
    return size


def _leaf_s_per_byte(cluster: Cluster, efficiency: float) -> Floats:
    """Seconds on the leafs' uplinks while all ranks send a byte evenly to all (C,)."""
    leaf = leaf_of_host(cluster)
    rank_leaf, domain = leaf[cluster.rank_host], cluster.rank_domain
    _, pair, both = np.unique(
        np.stack([rank_leaf, domain]), axis=1, return_inverse=True, return_counts=True
    )
    near = np.bincount(rank_leaf)[rank_leaf] + cluster.domain_num_ranks[domain]
    away = 1.0 - (near - both[pair.ravel()]) / cluster.world_size
    uplink = np.bincount(leaf, efficiency * nic_bw_per_host(cluster))
    oversubscription = cluster.topology.fabric.oversubscription
    time = load_time(np.bincount(rank_leaf, away) * oversubscription, uplink)
    slowest = np.zeros(len(cluster.groups))
    np.maximum.at(slowest, cluster.rank_class, time[rank_leaf])
    return slowest


def ring_slowdown(cluster: Cluster) -> float:
    """Return by how much an uplink is slower than the one host's flow of a ring.

    The leaf with the fewest hosts, which may be the last, has the slowest uplink.
    """
    fabric = cluster.topology.fabric
    if not 0 < fabric.hosts_per_leaf < cluster.num_hosts:
        return 1.0
    fewest = int(np.bincount(leaf_of_host(cluster)).min())
    return max(1.0, fabric.oversubscription / fewest)


def inside_bw(cluster: Cluster, group: Floats) -> Floats:
    """Peak of a rank inside a group: scale-up if it spans the group, else PCIe."""
    fits = group <= group_size(cluster, "domain")
    scale_up, pcie = _scale_up_bw(cluster, group), _pcie_bw(cluster)
    return np.where(fits, scale_up, pcie)


def _scale_up_bw(cluster: Cluster, group: Floats) -> Floats:
    """Peak of a rank's scale-up links to `group` ranks; a mesh uses only theirs."""
    domain = group_size(cluster, "domain")
    bandwidth = np.array([g.scale_up.bw for g in cluster.groups])
    is_mesh = np.array([g.scale_up.kind == "mesh" for g in cluster.groups])
    links = (np.minimum(group, domain) - 1.0) / np.maximum(domain - 1.0, 1.0)
    return np.where(is_mesh, bandwidth * links, bandwidth)


def _pcie_bw(cluster: Cluster) -> Floats:
    """Peak of a rank's share of its link to the host, or to a CPU host's memory."""
    sharing = [
        g.local_world_size if cluster.is_cpu else g.host.ranks_per_pcie_link
        for g in cluster.groups
    ]
    return np.asarray(host_link_bw(cluster) / np.array(sharing))


def nic_bw(cluster: Cluster) -> Floats:
    """Peak of a rank's share of the NICs of its host (C,)."""
    outs = [g.scale_out for g in cluster.groups]
    total = np.array([out.nics_per_host * out.nic_bw for out in outs])
    return np.asarray(total / group_size(cluster, "host"))
