"""Price shards: seconds per phase on each class of rank, and bytes per tier.

`price` prices both the menu of options and the evaluation of a plan, so a solver's
objective and a plan's cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs import messages
from shardplan.costs.memory import lookup, storage
from shardplan.costs.memory.footprint import tier_bytes
from shardplan.costs.scopes import Scope
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
    from shardplan.records.arrays import Bools, Floats


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
    _communication_times(cost, shards, usage, rates)
    return ShardPrices(cost, tier_bytes(shards, volumes, usage, rates))


def _lookup_times(
    cost: Floats,
    shards: ShardArrays,
    volumes: Volumes,
    usage: TableUsage,
    rates: ClassRates,
) -> None:
    """Fill the lookup phases: forward, backward with optimizer, prefetch."""
    model = rates.cost_model.lookup
    narrow = lookup.narrow_row_ratio(
        shards.columns,
        tuple(p.max_dim for p in model.narrow_rows),
        tuple(p.ratio.value for p in model.narrow_rows),
    )
    output_row = shards.columns * storage.FP32_BYTES
    in_place = shards.is_kernel(ComputeKernel.FUSED_UVM)
    split = shards.is_kernel(ComputeKernel.FUSED_UVM_SPLIT)
    cold_ids, cold_rows = _cold(shards, volumes, usage, in_place, split)

    # A cache holds rows in the table's own type, whatever the type behind it.
    cached = shards.is_kernel(*CACHING_KERNELS)
    row = np.where(cached, volumes.full_row, volumes.row)
    id_bytes = usage.id_bytes[shards.table]
    forward = narrow * lookup.forward_bytes(
        volumes.ids - cold_ids, id_bytes, row, volumes.outputs, output_row
    )
    forward += narrow * cold_ids * id_bytes
    # A replicated table collects the gradients of rows; its update follows below.
    # Without an update, they are written for whoever makes it.
    collects = shards.is_replicated | (not FACTS[usage.optimizer].updates)
    touched = np.where(collects, output_row, row + volumes.state)
    backward = narrow * lookup.backward_bytes(
        volumes.ids, output_row, volumes.unique - cold_rows, touched
    )
    backward += _dense_optimizer_bytes(shards, volumes)
    key_size = usage.workload.index_bytes / _SORTED_KEY_BYTES
    sort = volumes.ids * (model.sort_s_per_id.value * key_size)

    update = cold_rows * (volumes.row + volumes.state)
    cost[:, :, _PHASE[Phase.FWD_COMPUTE]] = _per_class(forward, rates.forward_bw)
    cost[:, :, _PHASE[Phase.BWD_COMPUTE]] = (
        _per_class(backward, rates.backward_bw) + sort[:, None]
    )
    cost[:, :, _PHASE[Phase.FWD_COMPUTE]] += _per_class(
        cold_ids * volumes.row, rates.uvm_forward_bw
    )
    cost[:, :, _PHASE[Phase.BWD_COMPUTE]] += _per_class(update, rates.uvm_backward_bw)
    _prefetch_times(cost, shards, volumes, usage, rates)


def _cold(
    shards: ShardArrays,
    volumes: Volumes,
    usage: TableUsage,
    in_place: Bools,
    split: Bools,
) -> tuple[Floats, Floats]:
    """Ids and distinct rows that a step reads from host memory in place."""
    ids = np.where(in_place, volumes.ids, 0.0)
    rows = np.where(in_place, volumes.unique, 0.0)
    hot = usage.hottest_mass(shards.table[split], shards.hbm_share[split])
    ids[split] = volumes.ids[split] * (1.0 - hot)
    cold = shards.rows[split] * (1.0 - shards.hbm_share[split])
    rows[split] = np.minimum(np.minimum(volumes.unique[split], ids[split]), cold)
    return ids, rows


def _dense_optimizer_bytes(shards: ShardArrays, volumes: Volumes) -> Floats:
    """Bytes of a replicated table's update: write gradients, step over all rows."""
    gradient = shards.columns * storage.FP32_BYTES
    per_row = 2.0 * gradient + 2.0 * (volumes.row + volumes.state)
    return np.where(shards.is_replicated, shards.rows * per_row, 0.0)


def fetched_bytes(shards: ShardArrays, volumes: Volumes, usage: TableUsage) -> Floats:
    """Return the bytes that caches in HBM fetch from host memory in a step (N,).

    Notes
    -----
    ``min(n (1 - h), U) (r + o)``: a row is fetched once however often it is missed.
    """
    index = np.flatnonzero(shards.is_kernel(*CACHING_KERNELS))
    fetched = np.zeros(len(shards))
    if len(index):
        miss = 1.0 - usage.hit_rate(shards.table[index], shards.hbm_share[index])
        rows = np.minimum(volumes.ids[index] * miss, volumes.unique[index])
        fetched[index] = rows * (volumes.row[index] + volumes.state[index])
    return fetched


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
    row = volumes.row[index] + volumes.state[index]

    prefetch = _per_class(fetched_bytes(shards, volumes, usage)[index], rates.miss_bw)
    prefetch += (ids * host.cache_upkeep_s_per_id.value)[:, None]

    on_ssd = some.is_kernel(ComputeKernel.KEY_VALUE)
    both = np.minimum(1.0, some.hbm_share + some.ddr_share)
    read = np.where(
        on_ssd, np.minimum(ids * (1 - usage.hit_rate(some.table, both)), unique), 0.0
    )
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
    cost: Floats, shards: ShardArrays, usage: TableUsage, rates: ClassRates
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
    cost[:, :, _PHASE[Phase.BWD_COMMS]] += _per_byte(
        all_reduced, rates.reduce_scatter[Scope.ALL]
    )


def _per_class(num_bytes: Floats, bandwidth: Floats) -> Floats:
    """Bytes (N,) over bandwidths (C,) -> seconds (N, C)."""
    return np.asarray(num_bytes[:, None] / bandwidth)


def _per_byte(num_bytes: Floats, s_per_byte: Floats) -> Floats:
    """Bytes (N,) times seconds per byte (C,) -> seconds (N, C)."""
    return np.asarray(num_bytes[:, None] * s_per_byte)
