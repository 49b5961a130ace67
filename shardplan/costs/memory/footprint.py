"""Bytes of shards, item by item: what a rank or host holds, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.memory import storage
from shardplan.costs.sequence_passes import buffer_bytes
from shardplan.records.optimizers import FACTS
from shardplan.records.sharding import CACHING_KERNELS, TIERS, ComputeKernel, MemoryTier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.costs.rates import ClassRates
    from shardplan.costs.shards import ShardArrays, Volumes
    from shardplan.costs.usage import TableUsage
    from shardplan.records.arrays import Floats


_HBM, _DDR, _SSD = (TIERS.index(tier) for tier in MemoryTier)


def tier_bytes(
    shards: ShardArrays, volumes: Volumes, usage: TableUsage, rates: ClassRates
) -> Floats:
    """Bytes per tier on each rank of a shard's place (N, 3): the sum of all items."""
    total = np.zeros((len(shards), len(TIERS)))
    for _, tier, num_bytes in storage_items(shards, volumes, usage, rates):
        total[:, tier] += num_bytes
    return total


def storage_items(
    shards: ShardArrays, volumes: Volumes, usage: TableUsage, rates: ClassRates
) -> Iterator[tuple[str, int, Floats]]:
    """Yield what shards store: item, index of the tier, bytes (N,).

    Notes
    -----
    Rows are where the kernel keeps them, a share of them for splits, with keys where
    tables or frameworks have these. State per element lies with the rows, state per
    row on the device (:func:`storage.device_state_bytes`). A cache of rows in host
    memory holds them in the table's own type and without state, one of rows on SSD with
    the state that they take along; both have metadata per row and per slot.
    Copies (`data_parallel`) add dense gradients; an optimizer that updates no rows
    adds the gradients of those that a step touches.
    Buffers are the ids of the batches in flight, outputs with their gradients, and
    copies of outputs that are not pooled, made for their exchange.
    On a CPU everything is in its host's memory.
    """
    device = _DDR if rates.is_cpu else _HBM
    rows = shards.rows.astype(np.float64)
    gradients = rows * shards.columns * storage.FP32_BYTES
    keys = usage.key_bytes[shards.table]
    for tier, share in _resident(shards, device):
        yield "weights", tier, rows * share * volumes.row
        yield "optimizer state", tier, rows * share * volumes.moving_state
        yield "keys of rows", tier, rows * share * keys
    yield "optimizer state", device, rows * volumes.device_state
    yield "gradients of copies", device, np.where(shards.is_replicated, gradients, 0.0)
    if not FACTS[usage.optimizer].updates:
        touched = volumes.unique * shards.columns * storage.FP32_BYTES
        yield "gradients of rows", device, np.where(shards.is_replicated, 0.0, touched)
    yield from _caches(shards, volumes, rates, rows)
    ids = volumes.ids * usage.id_bytes[shards.table]
    outputs = volumes.outputs * shards.columns * storage.FP32_BYTES
    yield "input buffers", device, ids * usage.pipeline_depth
    yield "output buffers", device, outputs
    yield "gradient buffers", device, outputs
    yield "exchange buffers", device, buffer_bytes(shards, usage, rates)


def _resident(shards: ShardArrays, device: int) -> Iterator[tuple[int, Floats]]:
    """Yield tier and share (N,) of the rows that live there, caches excepted."""
    fused = shards.is_kernel(ComputeKernel.FUSED, ComputeKernel.DENSE)
    split = shards.is_kernel(ComputeKernel.FUSED_UVM_SPLIT)
    on_ssd = shards.is_kernel(ComputeKernel.KEY_VALUE)
    in_ddr = ~(fused | split | on_ssd)
    yield device, np.where(split, shards.hbm_share, fused.astype(np.float64))
    yield _DDR, np.where(split, 1.0 - shards.hbm_share, in_ddr.astype(np.float64))
    yield _SSD, on_ssd.astype(np.float64)


def _caches(
    shards: ShardArrays, volumes: Volumes, rates: ClassRates, rows: Floats
) -> Iterator[tuple[str, int, Floats]]:
    """Yield rows cached in faster tiers, and what keeps track of them."""
    memory = rates.cost_model.memory
    caching = shards.is_kernel(*CACHING_KERNELS)
    on_ssd = shards.is_kernel(ComputeKernel.KEY_VALUE)
    split = shards.is_kernel(ComputeKernel.FUSED_UVM_SPLIT)
    slots = np.where(caching, rows * shards.hbm_share, 0.0)
    tracking = slots * memory.cache_metadata_bytes_per_slot.value
    per_row = np.where(caching, memory.cache_metadata_bytes_per_row.value, 0.0)
    per_row += np.where(split, memory.split_metadata_bytes_per_row.value, 0.0)
    taken_along = np.where(on_ssd, volumes.moving_state, 0.0)
    yield "cached rows", _HBM, slots * (volumes.full_row + taken_along)
    yield "cache metadata", _HBM, tracking + rows * per_row
    stored = np.where(on_ssd, volumes.row + taken_along, 0.0)
    yield "cached rows", _DDR, rows * shards.ddr_share * stored
