"""What averaging the copies of shards costs in two-dimensional parallelism.

R sharding groups hold the same tables. Every k steps each shard's rows and optimizer
state are averaged among its R copies; a step has a k-th of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.cluster import Cluster
from shardplan.costs.communication.collectives import Collectives
from shardplan.costs.communication.groups import Level
from shardplan.records.sharding import ComputeKernel

if TYPE_CHECKING:
    from shardplan.costs.rates import ClassRates
    from shardplan.costs.shards import ShardArrays, Volumes
    from shardplan.records.arrays import Floats, Ints
    from shardplan.records.cost_model import CostModel
    from shardplan.records.topology import Topology


def whole_collectives(cluster: Cluster, cost_model: CostModel) -> Collectives:
    """Return the collectives of all ranks of all replicas."""
    return Collectives.of(Cluster.of(cluster.topology.whole), cost_model)


def sync_s_per_byte(cluster: Cluster, whole: Collectives) -> Floats:
    """Return the seconds of a step for each byte that a rank keeps equal to its copies.

    Parameters
    ----------
    cluster : Cluster
        A sharding group, C classes.
    whole : Collectives
        Of all R groups.

    Returns
    -------
    float array (C,)
        Seconds per byte of a rank's rows and state, on the slowest rank of each class
        in any group [s/byte]; 0 without replicas.

    Notes
    -----
    A ring all-reduce among the copies, all at once: ``2 (n - 1) / n`` of the bytes on
    a rank's links to the n copies of its host or domain, ``2 (1/n - 1/R)`` on its
    NIC. Averaging every k steps costs a k-th of that in a step. The latency of one
    collective per data type is left out.

    References
    ----------
    TorchRec, ``DMPCollection.sync`` (weights, then optimizer states, all-reduced over
    the replica group); nccl-tests, doc/PERFORMANCE.md.
    """
    topology = cluster.topology
    found = topology.replication
    if found is None:
        return np.zeros(len(cluster.host_groups))
    traffic = whole.routes.ring_among(
        np.full(topology.whole.world_size, 2.0), Level(copies(topology))
    )
    seconds = whole.all_reduce.seconds(traffic) / found.sync_every
    slowest = np.zeros(len(cluster.host_groups))
    np.maximum.at(slowest, whole.routes.cluster.rank_class, seconds)
    return slowest


def copies(topology: Topology) -> Ints:
    """Return which ranks of the whole cluster hold copies of each other, (W R,)."""
    ranks = np.arange(topology.whole.world_size)
    is_strided = topology.members().step > 1
    return ranks // topology.replicas if is_strided else ranks % topology.world_size


def sync_seconds(shards: ShardArrays, volumes: Volumes, rates: ClassRates) -> Floats:
    """Return what keeping copies equal takes each rank of a shard in a step (N, C) [s].

    Notes
    -----
    Rows and state once per `sync_every`; those in host memory pass the way to it there
    and back. Tables that every rank has (`data_parallel`) are equal by their gradients.
    """
    stored = shards.rows * (volumes.row + volumes.state)
    stored = np.where(shards.is_replicated, 0.0, stored)[:, None]
    in_host = shards.is_kernel(ComputeKernel.FUSED_UVM)[:, None]
    s_per_byte = rates.replica_sync + np.where(in_host, rates.replica_copy, 0.0)
    return np.asarray(stored * s_per_byte)
