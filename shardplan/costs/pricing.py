"""Price shards: seconds per phase on each class of rank, and bytes per tier.

`price` prices both the menu of options and the evaluation of a plan, so a solver's
objective and a plan's cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs import messages
from shardplan.costs.memory import lookup, reads, storage
from shardplan.costs.memory.footprint import tier_bytes
from shardplan.costs.replica_sync import sync_seconds
from shardplan.costs.sequence_passes import expand_seconds, id_seconds
from shardplan.costs.shards import ShardArrays, volumes_of
from shardplan.records.optimizers import FACTS
from shardplan.records.sharding import (
    CACHING_KERNELS,
    PHASES,
    ComputeKernel,
    Phase,
)

if TYPE_CHECKING:
    from shardplan.costs.rates import ClassRates
    from shardplan.costs.shards import Volumes
    from shardplan.costs.usage import TableUsage
    from shardplan.records.arrays import Floats


# Of the ids whose sort was measured: a radix sort has a pass per byte.
_SORTED_KEY_BYTES = 8
_PHASE = {phase: index for index, phase in enumerate(PHASES)}


@dataclass(frozen=True, eq=False)
class ShardPrices:
    """Prices of N shards on the ranks that hold them.

    Attributes
    ----------
    cost : float array (N, C, P)
        Seconds per class and phase, on every rank of the shard's scope.
    tier_bytes : float array (N, 3)
        Bytes on every such rank: HBM of the rank, DDR and SSD of its host.
    """

    cost: Floats
    tier_bytes: Floats


def price(shards: ShardArrays, usage: TableUsage, rates: ClassRates) -> ShardPrices:
    """Price shards.

    Notes
    -----
    The cost of a rank is the sum over its shards, without latencies and overlap:
    those belong to the simulator. Equations: docs/how-it-works/cost-model.md.
    """
    volumes = volumes_of(shards, usage, rates.world_size)
    cost = np.zeros((len(shards), len(rates.forward_bw), len(PHASES)))
    _lookup_times(cost, shards, volumes, usage, rates)
    _communication_times(cost, shards, volumes, usage, rates)
    return ShardPrices(cost, tier_bytes(shards, volumes, usage, rates))


def _lookup_times(
    cost: Floats,
    shards: ShardArrays,
    volumes: Volumes,
    usage: TableUsage,
    rates: ClassRates,
) -> None:
    """Fill the lookup phases: forward, backward with optimizer, prefetch."""
    cold = _cold(shards, volumes, usage)
    forward = _forward(shards, volumes, cold, usage, rates)
    backward = _backward(shards, volumes, cold, usage, rates)
    forward += id_seconds(shards, usage, rates)
    # Copies are looked up where they are wanted: nothing is exchanged before.
    copies = shards.is_replicated[:, None]
    forward += copies * expand_seconds(Phase.FWD_COMMS, shards, usage, rates)
    backward += copies * expand_seconds(Phase.BWD_COMMS, shards, usage, rates)
    cost[:, :, _PHASE[Phase.FWD_COMPUTE]] = forward
    cost[:, :, _PHASE[Phase.BWD_COMPUTE]] = backward
    _prefetch_times(cost, shards, volumes, usage, rates)


def _forward(
    shards: ShardArrays,
    volumes: Volumes,
    cold: _Cold,
    usage: TableUsage,
    rates: ClassRates,
) -> Floats:
    """Seconds to look rows up (N, C)."""
    # A cache holds rows in the table's own type, whatever the type behind it.
    cached = shards.is_kernel(*CACHING_KERNELS)
    row = np.where(cached, volumes.full_row, volumes.row)
    ids = volumes.ids - cold.ids
    warm = replace(
        volumes,
        ids=ids,
        unique=np.minimum(volumes.unique - cold.rows, ids),
        requests=volumes.requests - cold.ids,
    )
    rows = reads.rows_from_memory(shards, warm, row, usage, rates)
    moved = lookup.forward_bytes(
        volumes.ids[:, None],
        usage.id_bytes[shards.table][:, None],
        rows,
        row[:, None],
        volumes.outputs[:, None],
        shards.columns[:, None] * storage.FP32_BYTES,
    )
    again = (warm.ids[:, None] - rows) * lookup.sectors(row)[:, None]
    over_link = reads.rows_from_host(shards, cold.ids, cold.rows, usage, rates)
    return np.asarray(
        _narrow(shards, rates)[:, None] * moved / rates.forward_bw
        + again / rates.l2_forward_bw
        + over_link * volumes.row[:, None] / rates.uvm_forward_bw
    )


def _backward(
    shards: ShardArrays,
    volumes: Volumes,
    cold: _Cold,
    usage: TableUsage,
    rates: ClassRates,
) -> Floats:
    """Seconds to sort ids, sum gradients and update rows (N, C)."""
    gradient = shards.columns * storage.FP32_BYTES
    # A replicated table collects the gradients of rows; its update follows below.
    # Without an update, they are written for whoever makes it.
    collects = shards.is_replicated | (not FACTS[usage.optimizer].updates)
    cached = shards.is_kernel(ComputeKernel.FUSED_UVM_CACHING)
    row = np.where(shards.is_kernel(*CACHING_KERNELS), volumes.full_row, volumes.row)
    with_row = row + np.where(cached, 0.0, volumes.moving_state)
    updated = (volumes.unique - cold.rows) * with_row
    updated += volumes.unique * volumes.device_state
    updated = np.where(collects, volumes.unique * gradient, updated)
    read = reads.gradients_from_memory(shards, volumes, rates)
    moved = lookup.backward_bytes(read, gradient[:, None], updated[:, None])
    again = (volumes.ids[:, None] - read) * gradient[:, None]

    # The state of cached rows is in host memory, where it is updated in place.
    in_place = cold.rows * (volumes.row + volumes.moving_state)
    in_place += np.where(cached, volumes.unique * volumes.moving_state, 0.0)
    key_size = usage.workload.index_bytes / _SORTED_KEY_BYTES
    sort = volumes.ids * (rates.cost_model.lookup.sort_s_per_id.value * key_size)
    return np.asarray(
        _narrow(shards, rates)[:, None] * moved / rates.backward_bw
        + again / rates.l2_backward_bw
        + _per_class(_dense_optimizer_bytes(shards, volumes), rates.backward_bw)
        + _per_class(np.where(collects, 0.0, in_place), rates.uvm_backward_bw)
        + sort[:, None]
    )


def _narrow(shards: ShardArrays, rates: ClassRates) -> Floats:
    """Slow-down of memory by narrow rows (N,)."""
    penalties = rates.cost_model.lookup.narrow_rows
    return lookup.narrow_row_ratio(
        shards.columns,
        tuple(p.max_dim for p in penalties),
        tuple(p.ratio.value for p in penalties),
    )


class _Cold(NamedTuple):
    """Ids and distinct rows that a step reads from host memory in place (N,)."""

    ids: Floats
    rows: Floats


def _cold(shards: ShardArrays, volumes: Volumes, usage: TableUsage) -> _Cold:
    """Find what shards read from host memory in place."""
    in_place = shards.is_kernel(ComputeKernel.FUSED_UVM)
    split = shards.is_kernel(ComputeKernel.FUSED_UVM_SPLIT)
    ids = np.where(in_place, volumes.ids, 0.0)
    rows = np.where(in_place, volumes.unique, 0.0)
    hot = usage.hottest_mass(shards.table[split], shards.hbm_share[split])
    cold_requests = volumes.requests[split] * (1.0 - hot)
    ids[split] = np.minimum(cold_requests, volumes.ids[split])
    cold = shards.rows[split] * (1.0 - shards.hbm_share[split])
    rows[split] = np.minimum(np.minimum(volumes.unique[split], ids[split]), cold)
    return _Cold(ids, rows)


def _dense_optimizer_bytes(shards: ShardArrays, volumes: Volumes) -> Floats:
    """Bytes of a replicated table's update: write gradients, step over all rows."""
    gradient = shards.columns * storage.FP32_BYTES
    per_row = 2.0 * gradient + 2.0 * (volumes.row + volumes.state)
    return np.where(shards.is_replicated, shards.rows * per_row, 0.0)


def fetched_bytes(shards: ShardArrays, volumes: Volumes, usage: TableUsage) -> Floats:
    """Return the bytes that caches in HBM fetch from host memory in a step (N,).

    Notes
    -----
    ``min(n (1 - h), U) r``: a row is fetched once however often it is missed. Only
    rows from SSD bring state along. Sending ids once leaves out hits, not misses.
    """
    index = np.flatnonzero(shards.is_kernel(*CACHING_KERNELS))
    fetched = np.zeros(len(shards))
    if len(index):
        miss = 1.0 - usage.hit_rate(shards.table[index], shards.hbm_share[index])
        rows = np.minimum(volumes.requests[index] * miss, volumes.unique[index])
        fetched[index] = rows * _fetched_row(shards, volumes)[index]
    return fetched


def _fetched_row(shards: ShardArrays, volumes: Volumes) -> Floats:
    """Bytes of a row in a cache, with the state that it brings along (N,)."""
    on_ssd = shards.is_kernel(ComputeKernel.KEY_VALUE)
    return np.asarray(volumes.row + np.where(on_ssd, volumes.moving_state, 0.0))


def _prefetch_times(
    cost: Floats,
    shards: ShardArrays,
    volumes: Volumes,
    usage: TableUsage,
    rates: ClassRates,
) -> None:
    """Fill the prefetch phase of kernels with a cache."""
    index = np.flatnonzero(shards.is_kernel(*CACHING_KERNELS))
    if not len(index):
        return
    host = rates.cost_model.host_memory
    some = shards.take(index)
    ids, unique = volumes.ids[index], volumes.unique[index]
    requests = volumes.requests[index]
    row = _fetched_row(shards, volumes)[index]

    prefetch = _per_class(fetched_bytes(shards, volumes, usage)[index], rates.miss_bw)
    prefetch += (ids * host.cache_upkeep_s_per_id.value)[:, None]

    on_ssd = some.is_kernel(ComputeKernel.KEY_VALUE)
    both = np.minimum(1.0, some.hbm_share + some.ddr_share)
    missed = requests * (1 - usage.hit_rate(some.table, both))
    read = np.where(on_ssd, np.minimum(missed, unique), 0.0)
    prefetch += lookup.ssd_time(
        read[:, None],
        row[:, None],
        host.ssd_block_bytes.value,
        rates.ssd_iops,
        rates.ssd_read_bw,
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        written = (read * row)[:, None] / rates.ssd_write_bw
    prefetch += np.where(read[:, None] > 0, written, 0.0)
    cost[index, :, _PHASE[Phase.PREFETCH_COMPUTE]] = prefetch


def _communication_times(
    cost: Floats,
    shards: ShardArrays,
    volumes: Volumes,
    usage: TableUsage,
    rates: ClassRates,
) -> None:
    """Fill the phases in which ranks exchange ids, outputs and gradients."""
    received = messages.id_bytes(shards, usage, rates.world_size)
    received += messages.length_bytes(shards, usage)
    cost[:, :, _PHASE[Phase.INPUT_DIST]] = _per_byte(received, rates.all_to_all)
    per_byte = messages.output_s_per_byte(shards, usage, rates)
    for phase in (Phase.FWD_COMMS, Phase.BWD_COMMS):
        sent = messages.output_bytes(phase, shards, usage, rates)
        cost[:, :, _PHASE[phase]] = sent.num_bytes[:, None] * per_byte + sent.encode_s
    all_reduced = 2.0 * messages.replica_bytes(shards, usage)
    cost[:, :, _PHASE[Phase.BWD_COMMS]] += _per_byte(all_reduced, rates.all_reduce)
    cost[:, :, _PHASE[Phase.BWD_COMMS]] += sync_seconds(shards, volumes, rates)


def _per_class(num_bytes: Floats, bandwidth: Floats) -> Floats:
    """Bytes (N,) over bandwidths (C,) -> seconds (N, C)."""
    return np.asarray(num_bytes[:, None] / bandwidth)


def _per_byte(num_bytes: Floats, s_per_byte: Floats) -> Floats:
    """Bytes (N,) times seconds per byte (C,) -> seconds (N, C)."""
    return np.asarray(num_bytes[:, None] * s_per_byte)
