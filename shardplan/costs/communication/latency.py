"""The latency of a collective: what software adds, and the way over the links."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.communication.link_time import first_time, measured_ranks

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.records.cost_model import CollectiveModel
    from shardplan.records.network import LinkModel

_MEASURED_RANKS = 8


def link_latency(
    link: LinkModel,
    cluster: Cluster,
    model: CollectiveModel,
    num_ranks: float,
    *,
    leaves: bool,
    rounds: float,
) -> float:
    """Return the time of an empty collective on a cluster [s].

    Parameters
    ----------
    link : LinkModel
        Measured: its latency, and of it the way over one link of that machine.
    cluster : Cluster
    model : CollectiveModel
        Its ``latency_growth`` is used.
    num_ranks : float
        Ranks of a domain that take part; 1 between hosts.
    leaves : bool
        Whether it passes NICs.
    rounds : float
        Messages that follow each other: 1 for an all-to-all, ``log2 n`` for a
        reduction.

    Notes
    -----
    ``alpha growth + rounds (own - measured)``: alpha was measured on links with a
    latency of their own, in whose place come this cluster's, unless it is unknown
    (0); through the spine, if there are several leafs, its latency is added.

    References
    ----------
    NVIDIA/nccl, tuning.cc (latency of an algorithm: base and per-hop hardware part).
    """
    measured = measured_ranks(link, _MEASURED_RANKS)
    growth = latency_growth(num_ranks, model, measured)
    alpha = first_time(link, num_ranks) * growth
    more = _spine_latency(cluster, leaves=leaves)
    own = max(
        (group.scale_out if leaves else group.scale_up).latency_s
        for group in cluster.host_groups
    )
    if link.link_latency_s is not None and own > 0:
        more += own - link.link_latency_s.value
    return max(alpha + rounds * more, 0.0)


def between_hosts_latency(
    inside: float,
    near: LinkModel,
    cluster: Cluster,
    model: CollectiveModel,
    groups: HostGroups,
) -> float | None:
    """Return the time of an empty reduction that leaves hosts [s].

    Parameters
    ----------
    inside : float
        That of the operation inside a host or a domain [s].
    near : LinkModel
        The operation inside a host or a domain.
    groups : HostGroups
        Who takes part, and whether in a tree.

    Returns
    -------
    float or None
        None where a model has one latency for all numbers of hosts.

    Notes
    -----
    On n ranks of N hosts with g ranks each, a tree goes up and down again:
    ``alpha_near(g) + 2 log2(N) hop``. A ring of reduce-scatter or all-gather passes
    N - 1 times between hosts and n - N times inside one, of which alpha_near(g) has
    g - 1: ``alpha_near(g) + (N - 1) lambda_far + ((n - N) - (g - 1)) lambda_near``.

    References
    ----------
    NVIDIA/nccl, tuning.cc, ncclTopoTuneModel (latencies of trees and rings).
    """
    far = model.reduce_scale_out
    if far.hop_s is None:
        return None
    own = max(group.scale_out.latency_s for group in cluster.host_groups)
    measured = far.link_latency_s.value if far.link_latency_s is not None else own
    message = (own or measured) + _spine_latency(cluster, leaves=True)
    if groups.tree:
        steps = 2.0 * float(np.log2(max(groups.hosts, 2.0)))
        between = steps * (far.hop_s.value + message - measured)
    else:
        here = near.link_latency_s.value if near.link_latency_s is not None else 0.0
        more = max(groups.ranks - groups.hosts - (groups.near - 1.0), 0.0)
        between = (groups.hosts - 1.0) * message + more * here
    return max(inside + far.latency_s.value + between, 0.0)


class HostGroups(NamedTuple):
    """Who takes part in a reduction between hosts.

    Attributes
    ----------
    ranks : float
    near : float
        Of them, on one host or in one domain.
    tree : bool
        They add up in a tree, not in a ring.
    """

    ranks: float
    near: float
    tree: bool

    @property
    def hosts(self) -> float:
        """Hosts, or domains."""
        return self.ranks / self.near


def latency_growth(
    num_ranks: float, model: CollectiveModel, measured: int = _MEASURED_RANKS
) -> float:
    """Return by how much latency in a domain exceeds that of the most ranks measured.

    Notes
    -----
    ``1 + c log2(n / m)`` for n ranks above m: rounds of a tree.
    """
    growth = 0.0 if model.latency_growth is None else model.latency_growth.value
    return 1.0 + growth * max(float(np.log2(num_ranks / measured)), 0.0)


def _spine_latency(cluster: Cluster, *, leaves: bool) -> float:
    """Latency of the way through the spine, if messages pass it [s]."""
    fabric = cluster.topology.fabric
    passes = leaves and 0 < fabric.hosts_per_leaf < cluster.num_hosts
    return fabric.spine_latency_s if passes else 0.0
