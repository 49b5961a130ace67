"""Bytes that ranks exchange for the shards that they hold, in one step.

Prices and simulated steps take them from here; by which collective they go, and how
long that takes, is theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.communication.compression import compress
from shardplan.costs.memory import storage
from shardplan.costs.scopes import SCOPES, Scope
from shardplan.costs.sequence_passes import exchange_seconds
from shardplan.costs.shards import num_ids, num_outputs

if TYPE_CHECKING:
    from shardplan.costs.rates import ClassRates
    from shardplan.costs.shards import ShardArrays
    from shardplan.costs.usage import TableUsage
    from shardplan.records.arrays import Bools, Floats
    from shardplan.records.sharding import Phase


class Outputs(NamedTuple):
    """Outputs or gradients of N shards as they are sent.

    Attributes
    ----------
    num_bytes : float array (N,)
        Bytes of one rank's messages, compressed where that pays [bytes].
    encode_s : float array (N, C)
        Passes over them before and after, such as encoding, per class of ranks [s].
    """

    num_bytes: Floats
    encode_s: Floats


def reduces(shards: ShardArrays, usage: TableUsage) -> Bools:
    """Whether outputs of shards are partial sums that are added up in a group (N,).

    Those of other row shards go to the owners of the samples one by one.
    """
    is_sum = usage.is_pooled[shards.table] & shards.is_partial
    return np.asarray(is_sum & (shards.scope != Scope.RANK))


def id_bytes(shards: ShardArrays, usage: TableUsage, world_size: int) -> Floats:
    """Bytes of ids and weights that each rank of a shard receives (N,) [bytes]."""
    ids = num_ids(shards, usage, world_size)
    return np.where(shards.is_replicated, 0.0, ids * usage.id_bytes[shards.table])


def length_bytes(shards: ShardArrays, usage: TableUsage) -> Floats:
    """Bytes of the lengths of bags that each rank of a shard receives (N,) [bytes]."""
    lengths = usage.num_lengths[shards.table] * usage.workload.index_bytes
    return np.where(shards.is_replicated, 0.0, lengths)


def replica_bytes(shards: ShardArrays, usage: TableUsage) -> Floats:
    """Bytes of the gradients that copies of tables add up among all ranks (N,)."""
    element = storage.element_bytes(usage.workload.comm_dtypes.dense)
    gradients = shards.rows * shards.columns * element
    return np.where(shards.is_replicated, gradients, 0.0)


def output_bytes(
    phase: Phase, shards: ShardArrays, usage: TableUsage, rates: ClassRates
) -> Outputs:
    """Return the outputs that each rank of a shard sends, or the gradients it gets.

    Parameters
    ----------
    phase : Phase
        ``fwd_comms`` for outputs, ``bwd_comms`` for their gradients.

    Notes
    -----
    Partial sums are added up on their way: what is reduced stays plain.
    """
    elements = num_outputs(shards, usage, rates.world_size) * shards.columns
    plain = np.where(shards.is_replicated, 0.0, elements * usage.element_bytes(phase))
    passes = exchange_seconds(phase, shards, usage, rates)
    compression = usage.compression(phase)
    if compression is None:
        return Outputs(plain, passes)
    form = compress(
        np.where(reduces(shards, usage), 0.0, plain),
        output_s_per_byte(shards, usage, rates),
        compression,
        rates.forward_bw,
    )
    return Outputs(plain * form.share, passes + form.encode_s)


def output_s_per_byte(
    shards: ShardArrays, usage: TableUsage, rates: ClassRates
) -> Floats:
    """Seconds per output byte and class (N, C): all-to-all or reduce-scatter."""
    reduced = np.stack(
        [rates.reduce_scatter[scope] + rates.across_groups[scope] for scope in SCOPES]
    )
    is_sum = reduces(shards, usage)[:, None]
    return np.where(is_sum, reduced[shards.scope], rates.all_to_all)
