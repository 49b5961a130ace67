"""What unpooled outputs and their ids cost in device memory around an exchange.

Tables that are not pooled answer every id with a vector. Between lookup and model, and
back, these are put in another order, encoded, decoded and copied by kernels of their
own: each is a pass over them in device memory.

What the rank that receives vectors does with them is counted on the ranks that hold
them, in proportion: all ranks receive equally many, so that this is exact where tables
are spread evenly, and adds up to the right sum everywhere.

References
----------
TorchRec 1.8.0 and 1.9.2, torchrec/distributed: embedding.py (`_dedup_indices`),
sharding/rw_sequence_sharding.py, dist_data.py (`SequenceEmbeddingsAllToAll`),
comm_ops.py (`All2All_Seq_Req`), fbgemm_qcomm_codec.py; torchrec/modules/utils.py
(`construct_jagged_tensors`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.memory import storage
from shardplan.costs.shards import num_ids
from shardplan.records.sharding import Phase

if TYPE_CHECKING:
    from shardplan.costs.rates import ClassRates
    from shardplan.costs.shards import ShardArrays
    from shardplan.costs.usage import TableUsage
    from shardplan.records.arrays import Bools, Floats

# Bytes that move per id: cut into buckets by owner, with the way back; written and
# read by the exchange; put in order of the features.
_BUCKET_BYTES = 40.0
_EXCHANGED_BYTES = 16.0
_ORDER_BYTES = 16.0


class _Vectors(NamedTuple):
    """Vectors of shards in a step, per rank of the shard (N,).

    Attributes
    ----------
    made : looked up and sent by the owner
    received : of these by the ranks that asked, by the owner's even share
    wanted : what the model gets: more than `received` where ids are sent once
    """

    made: Floats
    received: Floats
    wanted: Floats


def _vectors(shards: ShardArrays, usage: TableUsage, world_size: int) -> _Vectors:
    table = shards.table
    even = np.where(shards.is_replicated, 1.0 / world_size, shards.row_share)
    return _Vectors(
        made=num_ids(shards, usage, world_size),
        received=usage.num_sent[table] * even,
        wanted=usage.num_lookups[table] * even,
    )


def id_seconds(shards: ShardArrays, usage: TableUsage, rates: ClassRates) -> Floats:
    """Return what it takes to find, cut and order the ids of sequences (N, C) [s].

    Notes
    -----
    Ids that are sent once are sorted first, by whoever asks.
    """
    vectors = _vectors(shards, usage, rates.world_size)
    moved = vectors.made * (_EXCHANGED_BYTES + _ORDER_BYTES)
    moved += np.where(shards.is_partial, vectors.received * _BUCKET_BYTES, 0.0)
    moved *= _are_exchanged(shards, usage, rates)
    found = vectors.wanted * rates.cost_model.lookup.sort_s_per_id.value
    found *= usage.sends_once[shards.table]
    return np.asarray(found[:, None] + moved[:, None] / rates.pass_bw)


def exchange_seconds(
    phase: Phase, shards: ShardArrays, usage: TableUsage, rates: ClassRates
) -> Floats:
    """Return the passes over sequences around their exchange (N, C) [s].

    Parameters
    ----------
    phase : Phase
        ``fwd_comms`` for outputs, ``bwd_comms`` for their gradients.

    Notes
    -----
    In units of a vector in fp32, w of it on the wire. Forward: 2 into the order of the
    ranks; 3 + w to clamp and encode, 1 + w to decode, where w < 1; 2 out of the
    buckets of owners, where rows are cut; 2 to put column shards together. Backward
    the same, but 4 back into the buckets, sums of which some are 0, and 2 to divide by
    the number of ranks. `expand_seconds` on top of it.
    """
    vectors = _vectors(shards, usage, rates.world_size)
    forward = phase is Phase.FWD_COMMS
    wire = usage.element_bytes(phase) / storage.FP32_BYTES
    encode, decode = (3.0 + wire, 1.0 + wire) if wire < 1.0 else (0.0, 0.0)
    by_owner = 2.0 + encode if forward else 4.0 + decode
    by_others = np.where(shards.is_partial, 2.0 if forward else 4.0, 0.0)
    by_others += decode if forward else encode
    is_slice = shards.columns < usage.embedding_dim[shards.table]
    passed = vectors.made * by_owner + vectors.received * by_others
    passed += np.where(is_slice, 2.0 * vectors.wanted, 0.0)
    moved = passed * shards.columns * storage.FP32_BYTES
    seconds = moved[:, None] / rates.pass_bw
    seconds += expand_seconds(phase, shards, usage, rates)
    return np.where(_are_exchanged(shards, usage, rates)[:, None], seconds, 0.0)


def expand_seconds(
    phase: Phase, shards: ShardArrays, usage: TableUsage, rates: ClassRates
) -> Floats:
    """Return the time to copy vectors of different ids to all ids, or back (N, C) [s].

    Notes
    -----
    0 where ids are not sent once. Forward: u vectors are read, from a cache when read
    again, and n written. Backward: u are set to 0, and n added to them one by one, by
    atomic sums in fp32 of 8 bytes per element.
    """
    vectors = _vectors(shards, usage, rates.world_size)
    row = usage.sends_once[shards.table] * shards.columns * storage.FP32_BYTES
    different, every = row * vectors.received, row * vectors.wanted
    if phase is Phase.FWD_COMMS:
        return np.asarray((different + every)[:, None] / rates.pass_bw)
    return np.asarray(
        different[:, None] / rates.pass_bw + 2.0 * every[:, None] / rates.scatter_bw
    )


def buffer_bytes(shards: ShardArrays, usage: TableUsage, rates: ClassRates) -> Floats:
    """Return what passes over outputs hold beside these, at most (N,) [bytes].

    Notes
    -----
    The outputs in the order of the ranks, and where the wire is narrower a clamped
    copy and the encoded one; backward no more.
    """
    made = _vectors(shards, usage, rates.world_size).made
    wire = usage.element_bytes(Phase.FWD_COMMS) / storage.FP32_BYTES
    copies = 2.0 + wire if wire < 1.0 else 1.0
    held = made * shards.columns * storage.FP32_BYTES * copies
    return np.where(_are_exchanged(shards, usage, rates), held, 0.0)


def _are_exchanged(shards: ShardArrays, usage: TableUsage, rates: ClassRates) -> Bools:
    """Whether outputs are sequences that go to other ranks (N,)."""
    stay = usage.is_pooled[shards.table] | shards.is_replicated
    return np.asarray(~stay & (rates.world_size > 1))
