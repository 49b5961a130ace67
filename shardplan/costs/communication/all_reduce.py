"""How long an all-reduce over all ranks of a cluster takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.communication.collectives import all_reduce_link
from shardplan.costs.communication.latency import (
    HostGroups,
    between_hosts_latency,
    link_latency,
)
from shardplan.costs.communication.link_time import link_time
from shardplan.costs.scopes import Scope

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shardplan.costs.communication.collectives import Collectives
    from shardplan.records.arrays import Floats


def all_reduce_seconds(num_bytes: ArrayLike, collectives: Collectives) -> Floats:
    """Return the time of an all-reduce over all ranks.

    Parameters
    ----------
    num_bytes : float array
        Size S of the array [bytes].
    collectives : Collectives
        Of W ranks in G groups (hosts or larger domains) of g. Of its model,
        ``all_reduce_scale_up`` (``reduce_scale_up`` where ranks of a host are not
        joined by a switch) and ``reduce_scale_out`` are used.

    Returns
    -------
    float array of the shape of `num_bytes`
        Time [s]; 0 for one rank.

    Notes
    -----
    Inside a group ``2 (g - 1) / g S`` pass each rank's links; between groups
    ``2 (1/g - 1/W) S`` each NIC in a ring, or ``S / g`` where switches add up. The
    uplink of a leaf carries one host's flow, summed up or in a ring. The two levels
    go on at once, so ``t = (alpha^p + max(x_in, x_out)^p)^(1/p)``. The latency is
    that of a tree over hosts; where switches add up, that of the group and one way
    up and down.

    References
    ----------
    nccl-tests, doc/PERFORMANCE.md; Cho et al. 2019, BlueConnect, MLSys; Graham et
    al. 2016, SHARP, COMHPC.
    """
    routes, model = collectives.routes, collectives.model
    cluster = routes.cluster
    near, far = all_reduce_link(cluster, model), model.reduce_scale_out
    ranks = float(cluster.world_size)
    inside = routes.most_ranks_near
    latency = near_latency = link_latency(
        near, cluster, model, inside, leaves=False, rounds=_rounds(inside)
    )
    link = near
    if routes.leaves_hosts(Scope.ALL):
        link = far
        groups = HostGroups(ranks, inside, tree=True)
        tree = between_hosts_latency(near_latency, near, cluster, model, groups)
        if cluster.topology.fabric.in_network_reduction:
            hops = max(2.0 * one.scale_out.latency_s for one in cluster.host_groups)
            latency = near_latency + hops
        elif tree is not None:
            latency = tree
        else:
            latency = link_latency(
                far, cluster, model, 1, leaves=True, rounds=_rounds(ranks / inside)
            )
    seconds = np.asarray(num_bytes, float) * collectives.all_reduce_s_per_byte()
    time = link_time(seconds, link, inside, latency)
    return np.asarray(time * (ranks > 1))


def _rounds(num_ranks: float) -> float:
    """Messages in a row of a tree: up and down again."""
    return 2.0 * float(np.log2(max(num_ranks, 2.0)))
