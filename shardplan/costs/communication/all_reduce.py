"""How long an all-reduce over all ranks of a cluster takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.communication.collectives import (
    inside_bw,
    near_size,
    nic_bw,
    ring_slowdown,
)
from shardplan.costs.communication.latency import link_latency
from shardplan.costs.communication.links import load_time
from shardplan.costs.communication.message_time import p_norm_time
from shardplan.costs.scopes import Scope

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shardplan.costs.cluster import Cluster
    from shardplan.records.arrays import Floats
    from shardplan.records.cost_model import CostModel


def all_reduce_seconds(
    num_bytes: ArrayLike, cluster: Cluster, cost_model: CostModel
) -> Floats:
    """Return the time of an all-reduce over all ranks.

    Parameters
    ----------
    num_bytes : float array
        Size S of the array [bytes].
    cluster : Cluster
        Of W ranks in G groups (hosts or larger domains) of g.
    cost_model : CostModel
        Its ``collectives.all_reduce_scale_up`` (``reduce_scale_up`` where ranks of
        a host are not joined by a switch) and ``reduce_scale_out`` are used.

    Returns
    -------
    float array of the shape of `num_bytes`
        Time [s]; 0 for one rank.

    Notes
    -----
    Inside a group ``2 (g - 1) / g S`` pass each rank's links; between groups
    ``2 (1/g - 1/W) S`` each NIC in a ring, or ``S / g`` where switches add up. The
    uplink of a leaf carries one host's flow, summed up or in a ring. The two levels
    go on at once, so ``t = (alpha^p + max(x_in, x_out)^p)^(1/p)``. The latency
    is that of ``2 log2`` messages in a row; where switches add up, that of the group
    and one way up and down.

    References
    ----------
    nccl-tests, doc/PERFORMANCE.md; Cho et al. 2019, BlueConnect, MLSys; Graham et
    al. 2016, SHARP, COMHPC.
    """
    model = cost_model.collectives
    near = model.reduce_scale_up
    if model.all_reduce_scale_up is not None and joined_by_switch(cluster):
        near = model.all_reduce_scale_up
    ranks = float(cluster.world_size)
    group = np.minimum(near_size(cluster), ranks)
    peak = near.bw_efficiency.value * inside_bw(cluster, group)
    seconds = load_time(2.0 * (group - 1.0) / group, peak).max()
    inside = float(group.max())
    latency = near_latency = link_latency(
        near, cluster, model, inside, leaves=False, rounds=_rounds(inside)
    )
    exponent = near.exponent.value
    if group.min() < ranks:
        far = model.reduce_scale_out
        slowdown = ring_slowdown(cluster, Scope.ALL)
        crossing = 2.0 * (1.0 / group - 1.0 / ranks) * slowdown
        exponent = far.exponent.value
        latency = link_latency(
            far, cluster, model, 1, leaves=True, rounds=_rounds(ranks / inside)
        )
        if cluster.topology.fabric.in_network_reduction:
            crossing = slowdown / group
            hops = max(2.0 * one.scale_out.latency_s for one in cluster.host_groups)
            latency = near_latency + hops
        nic = nic_bw(cluster) * far.bw_efficiency.value
        seconds = max(seconds, load_time(crossing, nic).max())
    time = p_norm_time(np.asarray(num_bytes, float) * seconds, latency, 1.0, exponent)
    return np.asarray(time * (ranks > 1))


def _rounds(num_ranks: float) -> float:
    """Messages in a row of a tree: up and down again."""
    return 2.0 * float(np.log2(max(num_ranks, 2.0)))


def joined_by_switch(cluster: Cluster) -> bool:
    """Whether the ranks of every host are in one switched scale-up domain."""
    return all(
        group.scale_up.kind == "switch"
        and group.scale_up.domain_size >= group.local_world_size
        for group in cluster.host_groups
    )
