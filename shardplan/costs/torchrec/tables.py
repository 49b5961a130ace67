"""A workload's tables as TorchRec's estimators see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.costs.memory import storage
from shardplan.records.torchrec_table import TorchRecTable
from shardplan.records.workload import Optimizer

if TYPE_CHECKING:
    from shardplan.costs.usage import TableUsage
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.records.tables import EmbeddingTable
    from shardplan.records.torchrec_cost_model import TorchRecCostModel, TorchRecWire
    from shardplan.records.torchrec_table import TorchRecCacheStats


_MIB = 1024 * 1024
_DTYPE_BYTES = {
    "FP32": 4.0,
    "FP16": 2.0,
    "BF16": 2.0,
    "NFP8": 1.0,
    "INT64": 8.0,
    "INT32": 4.0,
    "INT8": 1.0,
    "UINT8": 1.0,
    "INT4": 0.5,
    "INT2": 0.25,
}
# TorchRec 1.8.0, planner/shard_estimators.py, _get_optimizer_multipler: every class
# but these counts as one; rows cannot be trained there without an optimizer.
_STATE_RATIOS = {Optimizer.SGD: 0.0, Optimizer.ADAM: 2.0, Optimizer.NONE: 0.0}
_OTHER_STATE_RATIO = 1.0


@dataclass(frozen=True, eq=False)
class TorchRecTables:
    """Arrays of shape (T,).

    Attributes
    ----------
    module : which module a table belongs to, an index into `modules`
    num_rows, num_columns : of the whole table
    inputs : ids of one rank's batch
    outputs : outputs of one rank's batch, if pooled
    is_pooled, is_weighted : bools
    output_bytes : bytes of an output element; NaN is the table's own type
    forward_all_to_all, backward_all_to_all, forward_reduce_scatter,
    backward_reduce_scatter : bytes of an element on the wire; NaN likewise
    state_ratio : optimizer state over the table's bytes
    prefetches : the cache is filled ahead of the lookup, so it reads like HBM
    num_passes : of that prefetch
    key_value_limit : most bytes of a `key_value` cache in HBM
    stats : what is known about cache misses
    """

    modules: tuple[str, ...]
    module: Ints
    num_rows: Floats
    num_columns: Floats
    inputs: Floats
    outputs: Floats
    is_pooled: Bools
    is_weighted: Bools
    output_bytes: Floats
    forward_all_to_all: Floats
    backward_all_to_all: Floats
    forward_reduce_scatter: Floats
    backward_reduce_scatter: Floats
    state_ratio: Floats
    prefetches: Bools
    num_passes: Floats
    key_value_limit: Floats
    stats: tuple[TorchRecCacheStats | None, ...]

    @classmethod
    def of(cls, usage: TableUsage, world_size: int, model: TorchRecCostModel) -> Self:
        """Collect what the estimators ask of every table."""
        tables = usage.workload.tables
        extras = [t.torchrec or TorchRecTable() for t in tables]
        modules = tuple(dict.fromkeys(t.torchrec_module for t in tables))
        caches = [extra.cache for extra in extras]
        wire = np.array([_wire_bytes(model.wire, t.is_pooled) for t in tables])
        batch = usage.batch_size / world_size
        sums = [
            input_sums(t, extra, batch) for t, extra in zip(tables, extras, strict=True)
        ]
        inputs, outputs = np.array(sums, dtype=np.float64).T
        counted = model.memory.counts_optimizer
        return cls(
            modules=modules,
            module=np.array([modules.index(t.torchrec_module) for t in tables]),
            num_rows=usage.num_embeddings.astype(np.float64),
            num_columns=usage.embedding_dim.astype(np.float64),
            inputs=inputs,
            outputs=outputs,
            is_pooled=usage.is_pooled,
            is_weighted=np.array(
                [
                    t.is_weighted if extra.is_weighted is None else extra.is_weighted
                    for t, extra in zip(tables, extras, strict=True)
                ]
            ),
            output_bytes=np.array([_output_bytes(extra) for extra in extras]),
            forward_all_to_all=wire[:, 0],
            backward_all_to_all=wire[:, 1],
            forward_reduce_scatter=wire[:, 2],
            backward_reduce_scatter=wire[:, 3],
            state_ratio=_state_ratio(usage) * counted,
            prefetches=np.array([bool(c and c.prefetch_pipeline) for c in caches]),
            num_passes=np.array([float(c.num_passes or 1) if c else 1 for c in caches]),
            key_value_limit=np.array([_key_value_limit(extra) for extra in extras]),
            stats=tuple(cache.stats if cache else None for cache in caches),
        )

    def expected_misses(self, table: Ints, share: Floats) -> Floats:
        """Distinct ids of a global batch that a cache of a share of rows lacks (N,).

        Tables without statistics have none: TorchRec then leaves the prefetch out.
        """
        misses = np.zeros(len(table))
        known = [t for t, stats in enumerate(self.stats) if stats is not None]
        for index in np.flatnonzero(np.isin(table, known)):
            stats = self.stats[table[index]]
            assert stats is not None
            misses[index] = stats.expected_lookups * miss_rate(stats, share[index])
        return misses


def input_sums(
    table: EmbeddingTable, extra: TorchRecTable, batch_size: float
) -> tuple[float, float]:
    """Ids, and pooled outputs, of one rank's batch.

    Notes
    -----
    I = sum L * P * B and O = sum min(1, L) * P * B over the table's inputs, with
    pooling factor L, poolings per sample P and samples B. Without TorchRec's own
    numbers every feature has an equal part of the table's lookups and P = 1.
    """
    factors = extra.pooling_factors or feature_pooling_factors(table)
    poolings = extra.num_poolings or (1.0,) * len(factors)
    own = own_batch(table, batch_size)
    batches = extra.batch_sizes or (own,) * len(factors)
    inputs, outputs = 0.0, 0.0
    for factor, pooling, batch in zip(factors, poolings, batches, strict=True):
        inputs += factor * pooling * batch
        outputs += min(1.0, factor) * pooling * batch
    return inputs, outputs


def own_batch(table: EmbeddingTable, batch_size: float) -> float:
    """Return a table's samples on a rank: whole ones where it has its own batch."""
    if table.batch_factor == 1.0:
        return batch_size
    return max(1.0, round(table.batch_factor * batch_size))


def feature_pooling_factors(table: EmbeddingTable) -> tuple[float, ...]:
    """Lookups per sample of each feature that shares a table."""
    each = table.pooling_factor * table.coverage / table.num_outputs
    return (each,) * table.num_outputs


def miss_rate(stats: TorchRecCacheStats, load_factor: float) -> float:
    """Share of distinct ids that a cache of some share of the rows lacks.

    Notes
    -----
    One minus the cumulative histogram of reuse distances, in equal bins over the
    rows, at the cache's number of rows less one; 1 below the first bin and 0
    above the last, in single precision.
    """
    counts = np.cumsum(np.array(stats.histogram, dtype=np.float32))
    if counts[-1] == 0:
        return 0.0
    misses = np.concatenate([1 - counts / counts[-1], np.array([0.0, 1.0])])
    edges = np.linspace(0, stats.height, len(counts) + 1, dtype=np.float32)
    size = np.float32(load_factor * stats.height)
    return float(misses[np.searchsorted(edges, size - 1, side="right") - 1])


def _wire_bytes(wire: TorchRecWire, is_pooled: bool) -> tuple[float, ...]:
    own = (np.nan, np.nan)
    if is_pooled:
        return (*(wire.pooled_all_to_all or own), *(wire.pooled_reduce_scatter or own))
    return (*(wire.sequence_all_to_all or own), *own)


def _output_bytes(extra: TorchRecTable) -> float:
    return _DTYPE_BYTES[extra.output_dtype] if extra.output_dtype else np.nan


def _state_ratio(usage: TableUsage) -> Floats:
    if usage.workload.optimizer is Optimizer.ROWWISE_ADAGRAD:
        return np.asarray(1.0 / usage.embedding_dim)
    ratio = _STATE_RATIOS.get(usage.workload.optimizer, _OTHER_STATE_RATIO)
    return np.full(len(usage.embedding_dim), ratio)


def _key_value_limit(extra: TorchRecTable) -> float:
    size = extra.key_value.get("max_l1_cache_size")
    return float(size) * _MIB if isinstance(size, int) else 0.0


def element_bytes(dtypes: tuple[object, ...]) -> Floats:
    """Bytes of an element of each of some types, without scales."""
    return np.array([storage.element_bytes(dtype) for dtype in dtypes])  # type: ignore[arg-type]
