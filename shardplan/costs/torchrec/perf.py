"""Times of a shard by TorchRec's default estimator [s].

All functions are pure and work on arrays of shape (N, C): N shards, C classes of
ranks; arrays of shards may have shape (N, 1). Symbols as in TorchRec: I ids and O
outputs of one rank's batch, W ranks, G ranks of a host group, d columns of the shard.

References
----------
TorchRec 1.8.0, torchrec/distributed/planner/estimator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shardplan.costs.torchrec.bandwidths import Bandwidths
    from shardplan.records.arrays import Bools, Floats


@dataclass(frozen=True, eq=False)
class Family:
    """How shards are cut; bool arrays of shape (N, 1).

    Attributes
    ----------
    is_copy : `data_parallel`
    is_row_cut : `row_wise`
    is_group_cut : `table_row_wise` and `grid_shard`
    The others are whole or cut by columns.
    """

    is_copy: Bools
    is_row_cut: Bools
    is_group_cut: Bools

    @property
    def is_whole(self) -> Bools:
        """Whole tables and column shards."""
        return ~(self.is_copy | self.is_row_cut | self.is_group_cut)


@dataclass(frozen=True, eq=False)
class ShardBytes:
    """Bytes that a shard reads and writes, shape (N, C).

    Attributes
    ----------
    inputs : ids read
    rows : rows read
    forward_outputs, backward_outputs : outputs written, gradients received
    forward_across, backward_across : of these, what crosses between host groups
    """

    inputs: Floats
    rows: Floats
    forward_outputs: Floats
    backward_outputs: Floats
    forward_across: Floats
    backward_across: Floats


def input_bytes(
    inputs: Floats, divisor: Floats, world: Floats, id_bytes: float
) -> Floats:
    """Bytes of the ids that reach a shard: ceil(I / divisor * W * 8) [bytes].

    `divisor` is W for `row_wise`, G for `table_row_wise` and `grid_shard`, else 1;
    `world` is 1 for `data_parallel`.
    """
    return np.ceil(inputs / divisor * world * id_bytes)


def row_bytes(
    inputs: Floats, divisor: Floats, world: Floats, columns: Floats, element: Floats
) -> Floats:
    """Bytes of the rows that a shard looks up: I / divisor * W * d * s [bytes]."""
    return np.asarray(inputs / divisor * world * columns * element)


def forward_compute(
    traffic: ShardBytes, weighted: Bools, penalty: Floats, memory_bw: Floats
) -> Floats:
    """Lookup and pooling [s]: (ids (twice if weighted) + rows + outputs) * pen / bw."""
    ids = np.where(weighted, traffic.inputs * 2, traffic.inputs)
    size = ids + traffic.rows + traffic.forward_outputs
    return np.asarray(size * penalty / memory_bw)


def backward_compute(
    forward: Floats,
    weighted: Bools,
    compute_ratio: float,
    weighted_ratio: float,
    weights_gradient_ratio: float,
) -> Floats:
    """Backward lookup as multiples of the forward one [s]."""
    plain = forward * compute_ratio
    return np.where(
        weighted, plain * weighted_ratio + forward * weights_gradient_ratio, plain
    )


def forward_comms(
    family: Family, traffic: ShardBytes, bandwidths: Bandwidths
) -> Floats:
    """Exchange outputs [s].

    Notes
    -----
    All-to-all for whole tables and column shards, reduce-scatter for rows cut over
    all ranks; over a host group, reduce-scatter inside and all-to-all across.
    """
    outputs, bw = traffic.forward_outputs, bandwidths
    grouped = outputs / bw.group_reduce_scatter
    grouped = grouped + np.where(
        bw.num_groups > 1, traffic.forward_across / bw.across_groups, 0.0
    )
    times = np.where(
        family.is_row_cut, outputs / bw.reduce_scatter, outputs / bw.all_to_all
    )
    times = np.where(family.is_group_cut, grouped, times)
    return np.where(family.is_copy, 0.0, times)


def backward_comms(
    family: Family,
    traffic: ShardBytes,
    bandwidths: Bandwidths,
    memory_bw: Floats,
    batched_copy_ratio: float,
) -> Floats:
    """Exchange gradients of outputs [s]: the mirror image, with a copy of rows' own."""
    outputs, bw = traffic.backward_outputs, bandwidths
    copy = outputs * batched_copy_ratio / memory_bw
    grouped = outputs / bw.group_all_gather + np.where(
        bw.num_groups > 1, traffic.backward_across / bw.across_groups, 0.0
    )
    times = outputs / bw.all_to_all
    times = np.where(family.is_row_cut, outputs / bw.all_gather + copy, times)
    times = np.where(family.is_group_cut, grouped + copy, times)
    return np.where(family.is_copy, 0.0, times)


def all_reduce(
    table_bytes: Floats, bandwidths: Bandwidths, memory_bw: Floats, update_ratio: float
) -> Floats:
    """All-reduce a replicated table's gradient and update it [s].

    Notes
    -----
    T (2 n - 1) / n / bw with n = min(W / ranks of a machine, 2), twice for more than
    two machines, and `update_ratio` passes over the table.
    """
    world, local = bandwidths.world_size, bandwidths.local_size
    nodes = np.minimum(world / local, 2.0)
    reduce = table_bytes * (2.0 * nodes - 1.0) / nodes / bandwidths.all_reduce
    reduce = np.where(world > 2 * local, reduce * 2.0, reduce)
    return np.asarray(reduce + table_bytes * update_ratio / memory_bw)


def prefetch(misses: Floats, row: Floats, host_link_bw: Floats) -> Floats:
    """Fetch missing rows into the cache [s]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(misses > 0, misses * row / host_link_bw, 0.0)
