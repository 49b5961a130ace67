"""What collectives cost on a cluster: the time of its most loaded link.

The ranks of a class (host group) are alike, so each formula answers once per class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.communication.groups import Level, Union
from shardplan.costs.communication.links import (
    host_link_bw,
    leaf_of_host,
    load_time,
    nic_bw_per_host,
)
from shardplan.costs.scopes import Scope

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.records.arrays import Floats
    from shardplan.records.cost_model import CostModel


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
    return _spread_s_per_byte(cluster, cost_model, Scope.RANK)


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
    scope : Scope
        What a group is; of `Scope.ALL`, nothing is left.

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
    return _spread_s_per_byte(cluster, cost_model, scope) / size


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
    scope : Scope
        Which ranks reduce together.

    Returns
    -------
    float array of shape (C,)
        Seconds per byte of one rank's whole array [s/byte].

    Notes
    -----
    Of the g ranks of a group, n share a host or the larger domain. First these
    reduce, then the ``g / n`` parts of the group, both at the same time:
    ``max((n - 1) / n / bw, (g - n) / (n g) / nic_bw)``; a ring enters each leaf once.
    Classes that share a group wait for the slowest.

    References
    ----------
    nccl-tests, doc/PERFORMANCE.md; Cho et al. 2019, BlueConnect, MLSys.
    """
    model = cost_model.collectives
    group = group_size(cluster, scope)
    near = np.minimum(group, near_size(cluster))
    efficiency = model.reduce_scale_up.bw_efficiency.value
    inside = load_time((near - 1.0) / near, efficiency * inside_bw(cluster, near))
    crossing = (1.0 / near - 1.0 / group) * ring_slowdown(cluster, scope)
    nic = nic_bw(cluster) * model.reduce_scale_out.bw_efficiency.value
    own = np.maximum(inside, load_time(crossing, nic))
    return _slowest_of_group(cluster, scope, own)


def group_size(cluster: Cluster, scope: Scope) -> Floats:
    """Ranks that reduce together, per class (C,); of unequal groups, the most."""
    return cluster.class_group_size(scope).astype(float)


def near_size(cluster: Cluster) -> Floats:
    """Ranks of a host or the larger domain, per class (C,)."""
    return np.maximum(
        group_size(cluster, Scope.HOST), group_size(cluster, Scope.DOMAIN)
    )


def _slowest_of_group(cluster: Cluster, scope: Scope, times: Floats) -> Floats:
    """Let each class wait for the slowest class that it shares a group with (C,)."""
    groups = cluster.groups(scope)
    slowest = np.zeros(len(groups.num_ranks))
    np.maximum.at(slowest, groups.of_rank, times[cluster.rank_class])
    result = np.zeros(len(times))
    np.maximum.at(result, cluster.rank_class, slowest[groups.of_rank])
    return result


def _spread_s_per_byte(cluster: Cluster, cost_model: CostModel, scope: Scope) -> Floats:
    """Seconds per byte that a rank sends evenly to all; inside its group it is free."""
    model = cost_model.collectives
    up = model.all_to_all_scale_up.bw_efficiency.value
    out = model.all_to_all_scale_out.bw_efficiency.value
    group, local = group_size(cluster, scope), group_size(cluster, Scope.HOST)
    domain, ranks = group_size(cluster, Scope.DOMAIN), cluster.world_size
    by_scale_up = np.maximum(domain - group, 0.0) / ranks
    by_pcie = np.maximum(local - np.maximum(domain, group), 0.0) / ranks
    # A domain that the end of its class cuts off has the most peers outside.
    near = np.maximum(np.maximum(local, _least_domain(cluster)), group)
    by_nic = np.maximum(ranks - near, 0.0) / ranks
    times = [
        load_time(by_scale_up, up * _scale_up_bw(cluster, domain)),
        load_time(by_pcie, up * _pcie_bw(cluster)),
        load_time(by_nic, out * nic_bw(cluster)),
        _leaf_s_per_byte(cluster, out, scope),
    ]
    return np.asarray(np.max(times, axis=0))


def _least_domain(cluster: Cluster) -> Floats:
    """Ranks of the smallest domain of each class (C,)."""
    size = group_size(cluster, Scope.DOMAIN)
    np.minimum.at(size, cluster.rank_class, cluster.groups(Scope.DOMAIN).size)
    return size


def _leaf_s_per_byte(cluster: Cluster, efficiency: float, scope: Scope) -> Floats:
    """Seconds on the leafs' uplinks while all ranks send a byte evenly to all (C,)."""
    leaf = leaf_of_host(cluster)
    rank_leaf = leaf[cluster.rank_host]
    below = Level(rank_leaf)
    near = Level(cluster.rank_domain).grown(Level(cluster.groups(scope).of_rank))
    away = 1.0 - Union.of(below, near).size / cluster.world_size
    uplink = np.bincount(leaf, efficiency * nic_bw_per_host(cluster))
    oversubscription = cluster.topology.fabric.oversubscription
    time = load_time(np.bincount(rank_leaf, away) * oversubscription, uplink)
    slowest = np.zeros(len(cluster.host_groups))
    np.maximum.at(slowest, cluster.rank_class, time[rank_leaf])
    return slowest


def ring_slowdown(cluster: Cluster, scope: Scope) -> float:
    """Return by how much an uplink is slower than one host's flow of a ring.

    The ring of each group with ranks under several leafs enters each of these once; the
    slowest uplink is that of the leaf with the fewest hosts for its rings.
    """
    leaf_hosts = np.bincount(leaf_of_host(cluster))
    leaf = leaf_of_host(cluster)[cluster.rank_host]
    together = Level(cluster.groups(scope).of_rank)
    part = together.split(leaf)
    _, one_each = np.unique(part.ids, return_index=True)
    crossing = one_each[part.size[one_each] < together.size[one_each]]
    rings = np.bincount(leaf[crossing], minlength=len(leaf_hosts))
    oversubscription = cluster.topology.fabric.oversubscription
    return max(1.0, float((oversubscription * rings / leaf_hosts).max()))


def inside_bw(cluster: Cluster, group: Floats) -> Floats:
    """Peak of a rank inside a group: scale-up if it spans the group, else PCIe."""
    fits = group <= group_size(cluster, Scope.DOMAIN)
    scale_up, pcie = _scale_up_bw(cluster, group), _pcie_bw(cluster)
    return np.where(fits, scale_up, pcie)


def _scale_up_bw(cluster: Cluster, group: Floats) -> Floats:
    """Peak of a rank's scale-up links to `group` ranks; a mesh uses only theirs."""
    domain = group_size(cluster, Scope.DOMAIN)
    bandwidth = np.array([g.scale_up.bw for g in cluster.host_groups])
    is_mesh = np.array([g.scale_up.kind == "mesh" for g in cluster.host_groups])
    links = (np.minimum(group, domain) - 1.0) / np.maximum(domain - 1.0, 1.0)
    return np.where(is_mesh, bandwidth * links, bandwidth)


def _pcie_bw(cluster: Cluster) -> Floats:
    """Peak of a rank's share of its link to the host, or to a CPU host's memory."""
    sharing = [
        g.local_world_size if cluster.is_cpu else g.host.ranks_per_pcie_link
        for g in cluster.host_groups
    ]
    return np.asarray(host_link_bw(cluster) / np.array(sharing))


def nic_bw(cluster: Cluster) -> Floats:
    """Peak of a rank's share of the NICs of its host (C,)."""
    outs = [g.scale_out for g in cluster.host_groups]
    total = np.array([out.nics_per_host * out.nic_bw for out in outs])
    return np.asarray(total / group_size(cluster, Scope.HOST))
