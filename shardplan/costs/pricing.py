"""Price shards: seconds per phase on each class of rank, and bytes per tier.

`price` is the one function behind both the menu of options and the evaluation of a
plan, so a solver's objective and a plan's cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.costs import lookup, storage
from shardplan.sharding import CACHING_KERNELS, PHASES, ComputeKernel, Phase, Scope
from shardplan.tables import DType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.costs.rates import ClassRates
    from shardplan.costs.usage import TableUsage

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

KERNELS = tuple(ComputeKernel)
DTYPES = tuple(DType)
# Of the ids whose sort was measured: a radix sort has a pass per byte.
_SORTED_KEY_BYTES = 8
_PHASE = {phase: index for index, phase in enumerate(PHASES)}


@dataclass(frozen=True, eq=False)
class ShardArrays:
    """N shards to price; all attributes are arrays of shape (N,).

    Attributes
    ----------
    table : int
        Index into the workload's tables.
    kernel, dtype : int
        Index into `KERNELS` and `DTYPES`.
    scope : int
        A `Scope`.
    columns, rows : int
        Size of the shard.
    row_share : float
        Share of the table's ids that reach the shard (1 unless rows are cut).
    is_partial : bool
        Rows are cut, so the shard's pooled outputs are partial sums.
    is_replicated : bool
        `data_parallel`: `rows` are all rows, and every rank works on its own ids.
    hbm_share, ddr_share : float
        Share of the rows cached or placed in each tier.
    """

    table: Ints
    kernel: Ints
    dtype: Ints
    scope: Ints
    columns: Ints
    rows: Ints
    row_share: Floats
    is_partial: NDArray[np.bool_]
    is_replicated: NDArray[np.bool_]
    hbm_share: Floats
    ddr_share: Floats

    def __len__(self) -> int:
        """Return the number of shards N."""
        return len(self.table)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        """Select shards by index or mask."""
        return type(self)(
            **{f.name: getattr(self, f.name)[index] for f in fields(self)}
        )

    def is_kernel(self, *kernels: ComputeKernel) -> NDArray[np.bool_]:
        """Whether each shard uses one of the kernels."""
        return np.isin(self.kernel, [KERNELS.index(kernel) for kernel in kernels])


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


@dataclass(frozen=True, eq=False)
class _Volumes:
    """Quantities that times and bytes share; arrays of shape (N,)."""

    ids: Floats
    unique: Floats
    outputs: Floats
    row: Floats
    state: Floats
    full_row: Floats


def price(shards: ShardArrays, usage: TableUsage, rates: ClassRates) -> ShardPrices:
    """Price shards.

    Notes
    -----
    The cost of a rank is the sum over its shards, without latencies and overlap:
    those belong to the simulator. Equations: docs/how-it-works/cost-model.md.
    """
    volumes = _volumes(shards, usage, rates.world_size)
    cost = np.zeros((len(shards), len(rates.forward_bw), len(PHASES)))
    _lookup_times(cost, shards, volumes, usage, rates)
    _communication_times(cost, shards, volumes, usage, rates)
    return ShardPrices(cost, _tier_bytes(shards, volumes, usage, rates))


def _volumes(shards: ShardArrays, usage: TableUsage, world: int) -> _Volumes:
    table = shards.table
    share = np.where(shards.is_replicated, 1.0 / world, shards.row_share)
    pooled = usage.is_pooled[table]
    output_share = np.where(pooled & ~shards.is_replicated, 1.0, share)
    own = np.array([DTYPES.index(t.dtype) for t in usage.workload.tables])[table]
    return _Volumes(
        ids=usage.num_lookups[table] * share,
        unique=_unique_rows(shards, usage, world),
        outputs=usage.num_outputs[table] * output_share,
        row=_row_bytes(shards.dtype, shards.columns),
        state=storage.state_bytes(usage.workload.optimizer, shards.columns),
        full_row=_row_bytes(own, shards.columns),
    )


def _unique_rows(shards: ShardArrays, usage: TableUsage, world: int) -> Floats:
    """Distinct rows that one rank touches: of its own batch in a replicated table."""
    unique = usage.unique_rows[shards.table] * shards.row_share
    copies = shards.is_replicated
    tables, back = np.unique(shards.table[copies], return_inverse=True)
    own = usage.unique_rows_among(tables, usage.num_lookups[tables] / world)
    unique[copies] = own[back]
    return unique


def _row_bytes(dtype: Ints, columns: Ints) -> Floats:
    """Bytes of rows of mixed types."""
    result = np.zeros(len(dtype))
    for code in np.unique(dtype):
        mask = dtype == code
        result[mask] = storage.row_bytes(DTYPES[code], columns[mask])
    return result


def _lookup_times(
    cost: Floats,
    shards: ShardArrays,
    volumes: _Volumes,
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
    touched = np.where(shards.is_replicated, output_row, row + volumes.state)
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
    volumes: _Volumes,
    usage: TableUsage,
    in_place: NDArray[np.bool_],
    split: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """Ids and distinct rows that a step reads from host memory in place."""
    ids = np.where(in_place, volumes.ids, 0.0)
    rows = np.where(in_place, volumes.unique, 0.0)
    hot = usage.hottest_mass(shards.table[split], shards.hbm_share[split])
    ids[split] = volumes.ids[split] * (1.0 - hot)
    cold = shards.rows[split] * (1.0 - shards.hbm_share[split])
    rows[split] = np.minimum(np.minimum(volumes.unique[split], ids[split]), cold)
    return ids, rows


def _dense_optimizer_bytes(shards: ShardArrays, volumes: _Volumes) -> Floats:
    """Bytes of a replicated table's update: write gradients, step over all rows."""
    gradient = shards.columns * storage.FP32_BYTES
    per_row = 2.0 * gradient + 2.0 * (volumes.row + volumes.state)
    return np.where(shards.is_replicated, shards.rows * per_row, 0.0)


def _prefetch_times(
    cost: Floats,
    shards: ShardArrays,
    volumes: _Volumes,
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

    miss_hbm = 1.0 - usage.hit_rate(some.table, some.hbm_share)
    fetched = np.minimum(ids * miss_hbm, unique)
    prefetch = _per_class(fetched * row, rates.miss_bw)
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
    cost: Floats,
    shards: ShardArrays,
    volumes: _Volumes,
    usage: TableUsage,
    rates: ClassRates,
) -> None:
    """Fill the phases in which ranks exchange ids, outputs and gradients."""
    elements = volumes.outputs * shards.columns
    per_byte = _output_s_per_byte(shards, usage, rates)
    forward = (elements * usage.forward_element_bytes)[:, None] * per_byte
    backward = (elements * usage.backward_element_bytes)[:, None] * per_byte
    lengths = usage.num_lengths[shards.table] * usage.workload.index_bytes
    ids = volumes.ids * usage.id_bytes[shards.table] + lengths
    input_dist = _per_byte(ids, rates.all_to_all)

    dense_bytes = storage.element_bytes(usage.workload.comm_dtypes.dense)
    gradient = np.asarray(shards.rows * shards.columns * dense_bytes)
    all_reduce = _per_byte(2.0 * gradient, rates.reduce_scatter["all"])
    copy = shards.is_replicated[:, None]
    cost[:, :, _PHASE[Phase.INPUT_DIST]] = np.where(copy, 0.0, input_dist)
    cost[:, :, _PHASE[Phase.FWD_COMMS]] = np.where(copy, 0.0, forward)
    cost[:, :, _PHASE[Phase.BWD_COMMS]] = np.where(copy, all_reduce, backward)


def _output_s_per_byte(
    shards: ShardArrays, usage: TableUsage, rates: ClassRates
) -> Floats:
    """Seconds per output byte and class (N, C): all-to-all or reduce-scatter."""
    reduces = usage.is_pooled[shards.table] & shards.is_partial
    result = np.broadcast_to(
        rates.all_to_all, (len(shards), len(rates.all_to_all))
    ).copy()
    result[reduces & (shards.scope == Scope.ALL)] = rates.reduce_scatter["all"]
    for scope, key in ((Scope.HOST, "host"), (Scope.DOMAIN, "domain")):
        result[reduces & (shards.scope == scope)] = (
            rates.reduce_scatter[key] + rates.across_groups[key]
        )
    return result


def _tier_bytes(
    shards: ShardArrays, volumes: _Volumes, usage: TableUsage, rates: ClassRates
) -> Floats:
    """Bytes per tier and rank (N, 3); see the formulas in docs."""
    memory = rates.cost_model.memory
    rows = shards.rows.astype(np.float64)
    stored = volumes.row + volumes.state
    full = volumes.full_row + volumes.state
    hbm = np.zeros(len(shards))
    ddr, ssd = np.zeros(len(shards)), np.zeros(len(shards))

    device = shards.is_kernel(ComputeKernel.FUSED, ComputeKernel.DENSE)
    hbm[device] = (rows * stored)[device]
    hbm += np.where(shards.is_replicated, rows * shards.columns * storage.FP32_BYTES, 0)

    ddr += np.where(
        shards.is_kernel(ComputeKernel.FUSED_UVM, ComputeKernel.FUSED_UVM_CACHING),
        rows * stored,
        0.0,
    )
    split = shards.is_kernel(ComputeKernel.FUSED_UVM_SPLIT)
    remap = memory.split_metadata_bytes_per_row.value
    hbm += np.where(split, rows * (shards.hbm_share * stored + remap), 0.0)
    ddr += np.where(split, rows * (1.0 - shards.hbm_share) * stored, 0.0)

    slots = rows * shards.hbm_share
    cache = slots * (full + memory.cache_metadata_bytes_per_slot.value)
    cache += rows * memory.cache_metadata_bytes_per_row.value
    caching = shards.is_kernel(*CACHING_KERNELS)
    hbm += np.where(caching, cache, 0.0)
    on_ssd = shards.is_kernel(ComputeKernel.KEY_VALUE)
    ddr += np.where(on_ssd, rows * shards.ddr_share * stored, 0.0)
    ssd += np.where(on_ssd, rows * stored, 0.0)

    hbm += _buffer_bytes(shards, volumes, usage)
    if rates.is_cpu:
        hbm, ddr = np.zeros(len(shards)), ddr + hbm
    return np.stack([hbm, ddr, ssd], axis=1)


def _buffer_bytes(shards: ShardArrays, volumes: _Volumes, usage: TableUsage) -> Floats:
    """Ids of the batches in flight, outputs and their gradients [bytes]."""
    ids = volumes.ids * usage.id_bytes[shards.table] * usage.pipeline_depth
    outputs = volumes.outputs * shards.columns * storage.FP32_BYTES
    return np.asarray(ids + 2.0 * outputs)


def _per_class(num_bytes: Floats, bandwidth: Floats) -> Floats:
    """Bytes (N,) over bandwidths (C,) -> seconds (N, C)."""
    return np.asarray(num_bytes[:, None] / bandwidth)


def _per_byte(num_bytes: Floats, s_per_byte: Floats) -> Floats:
    """Bytes (N,) times seconds per byte (C,) -> seconds (N, C)."""
    return np.asarray(num_bytes[:, None] * s_per_byte)
