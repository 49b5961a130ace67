"""Closed forms of what even collectives cost: an oracle of sums over routes.

One formula per kind of link and class of ranks, for clusters whose domains and hosts
are equal within a class and in which bytes for other rails, if there are rails, are
forwarded over scale-up links.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.communication.groups import Level, Union
from shardplan.costs.communication.link_time import efficiency
from shardplan.costs.communication.links import (
    host_link_bw,
    leaf_of_host,
    load_time,
    nic_bw_per_host,
)
from shardplan.costs.communication.networks import collectives_on
from shardplan.costs.scopes import Scope

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.records.arrays import Bools, Floats
    from shardplan.records.cost_model import CostModel
    from shardplan.records.network import LinkModel


def all_to_all_s_per_byte(
    cluster: Cluster, cost_model: CostModel, scope: Scope = Scope.RANK
) -> Floats:
    """Seconds per byte of a rank's array, reduced in its group and sent to all (C,).

    Of W ranks, ``d - g`` are in the domain beside the group, ``h - d`` on the host, the
    others behind NICs.
    """
    model = collectives_on(cluster.topology, cost_model)
    near, far = model.all_to_all_scale_up, model.all_to_all_scale_out
    group, local = group_size(cluster, scope), group_size(cluster, Scope.HOST)
    domain, ranks = group_size(cluster, Scope.DOMAIN), cluster.world_size
    by_scale_up = np.maximum(domain - group, 0.0) / ranks
    by_pcie = np.maximum(local - np.maximum(domain, group), 0.0) / ranks
    by_nic = np.maximum(ranks - np.maximum(np.maximum(local, domain), group), 0) / ranks
    if _has_rails(cluster) and group.max() < local.max():
        by_scale_up += by_nic * (1.0 - group / local)
    up_bw = near_efficiency(cluster, near) * _scale_up_bw(cluster, domain)
    times = [
        load_time(by_scale_up, up_bw),
        *_shared_links(cluster, cost_model, near, by_pcie, by_nic),
        load_time(by_nic, far.bw_efficiency.value * nic_bw(cluster)),
        _leaf_s_per_byte(cluster, far.bw_efficiency.value, scope),
    ]
    return np.asarray(np.max(times, axis=0) / group)


def reduce_s_per_byte(
    cluster: Cluster,
    cost_model: CostModel,
    scope: Scope,
    near: LinkModel | None = None,
    *,
    adds_up: bool = False,
) -> Floats:
    """Seconds per byte of a rank's array that groups reduce-scatter (C,).

    ``max((n - 1) / n / bw, (1/n - 1/g) / nic_bw)`` in a group of g ranks, of which n
    share a host or the larger domain; ``1/2n`` where switches add up. A ring enters
    each leaf once, and classes that share a group wait for the slowest.
    """
    model = collectives_on(cluster.topology, cost_model)
    near, far = near or model.reduce_scale_up, model.reduce_scale_out
    group, domain = group_size(cluster, scope), group_size(cluster, Scope.DOMAIN)
    part = np.minimum(group, near_size(cluster))
    moved, fits = (part - 1.0) / part, part <= domain
    share = 0.5 / part if adds_up else 1.0 / part - 1.0 / group
    by_nic = np.where(part < group, share, 0.0)
    up_bw = near_efficiency(cluster, near) * _scale_up_bw(cluster, part)
    nic = far.bw_efficiency.value * nic_bw(cluster)
    times = [
        load_time(np.where(fits, moved, 0.0), up_bw),
        *_shared_links(cluster, cost_model, near, np.where(fits, 0.0, moved), by_nic),
        load_time(by_nic * ring_slowdown(cluster, scope), nic),
    ]
    return _slowest_of_group(cluster, scope, np.max(times, axis=0))


def group_size(cluster: Cluster, scope: Scope) -> Floats:
    """Ranks that reduce together, per class (C,); of unequal groups, the most."""
    return cluster.class_group_size(scope).astype(float)


def near_size(cluster: Cluster) -> Floats:
    """Ranks of a host or the larger domain, per class (C,)."""
    return np.maximum(
        group_size(cluster, Scope.HOST), group_size(cluster, Scope.DOMAIN)
    )


def near_efficiency(cluster: Cluster, link: LinkModel) -> float:
    """Share of the line rate that a link reaches in the largest host or domain."""
    return efficiency(link, near_size(cluster).max())


def _shared_links(
    cluster: Cluster,
    cost_model: CostModel,
    link: LinkModel,
    by_pcie: Floats,
    by_nic: Floats,
) -> tuple[Floats, Floats]:
    """Seconds on the link to the host, and on the lane that peers and NIC use (C,)."""
    on_link = by_pcie + np.where(_nics_on_host(cluster), by_nic, 0.0)
    lane = np.array([group.host.pcie_bw for group in cluster.host_groups])
    lane = lane * cost_model.host_memory.miss_efficiency.value
    if cluster.is_cpu:
        lane = np.full_like(lane, np.inf)
    to_host = load_time(on_link, near_efficiency(cluster, link) * _pcie_bw(cluster))
    return to_host, load_time(by_pcie + by_nic, lane)


def _slowest_of_group(cluster: Cluster, scope: Scope, times: Floats) -> Floats:
    """Let each class wait for the slowest class that it shares a group with (C,)."""
    groups = cluster.groups(scope)
    slowest = np.zeros(len(groups.num_ranks))
    np.maximum.at(slowest, groups.of_rank, times[cluster.rank_class])
    result = np.zeros(len(times))
    np.maximum.at(result, cluster.rank_class, slowest[groups.of_rank])
    return result


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
    """By how much an uplink is slower than one host's flow of a ring.

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


def _nics_on_host(cluster: Cluster) -> Bools:
    """Whether what NICs carry passes the links to the host: there are fewer (C,)."""
    groups = cluster.host_groups
    links = [g.local_world_size / g.host.ranks_per_pcie_link for g in groups]
    nics = np.array([g.scale_out.nics_per_host for g in groups])
    return np.asarray((nics < np.array(links)) & (not cluster.is_cpu))


def _has_rails(cluster: Cluster) -> bool:
    """Whether NIC i of every host is on leaf switch i."""
    outs = [group.scale_out for group in cluster.host_groups]
    return all(out.rail_optimized and out.nics_per_host > 1 for out in outs)
