"""Bytes of a shard by TorchRec's storage estimator [bytes].

All functions are pure and take arrays of shape (N,). TorchRec rounds every item up
to whole bytes, and so do these.

References
----------
TorchRec 1.8.0, torchrec/distributed/planner/shard_estimators.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Bools, Floats


_ROUNDING = 1e-15
_SPARSE_DIST_INPUTS = 2
_PREFETCH_INPUTS = 3
_PREFETCH_BURST = 6.0


def part_of(storage: Floats, share: Floats) -> Floats:
    """Whole bytes of a share of a table's storage: ceil(storage * share).

    A product that is whole but for its rounding stays as it is.
    """
    exact = storage * share
    near = np.round(exact)
    is_whole = np.abs(exact - near) <= _ROUNDING * exact
    return np.where(is_whole, near, np.ceil(exact))


def state(weights: Floats, ratio: Floats) -> Floats:
    """Optimizer state of some bytes of weights."""
    return np.ceil(weights * ratio)


def cache_state(
    rows: Floats, load_factor: Floats, per_row: float, per_slot: float
) -> Floats:
    """Bookkeeping of a cache: ceil(rows * (4 + load factor * 16))."""
    return np.ceil(rows * (per_row + load_factor * per_slot))


def outputs(
    per_rank: Floats, world: Floats, columns: Floats, element: Floats
) -> Floats:
    """Bytes of the outputs that a shard writes: ceil(O * W * d * s)."""
    return np.ceil(per_rank * world * columns * element)


def batch_buffers(
    inputs: Floats,
    outputs: Floats,
    is_cached: Bools,
    num_passes: Floats,
    pipeline: str,
    counts_outputs: bool,
) -> Floats:
    """Ids and outputs of the batches in flight on a device.

    Notes
    -----
    No pipeline: inputs + outputs. Sparse dist: 2 inputs; with prefetch 3 inputs,
    and (1 + 6 / passes) more for cached tables; both plus the outputs if they add
    to the peak.
    """
    at_peak = outputs if counts_outputs else np.zeros_like(outputs)
    if pipeline == "sparse_dist":
        return np.asarray(_SPARSE_DIST_INPUTS * inputs + at_peak)
    if pipeline == "prefetch_sparse_dist":
        fetched = np.where(is_cached, inputs, 0.0)
        burst = np.trunc((1.0 + _PREFETCH_BURST / num_passes) * fetched)
        return np.asarray(_PREFETCH_INPUTS * inputs + burst + at_peak)
    return np.asarray(inputs + outputs)


def key_value_cache(
    num_rows: Floats, num_columns: Floats, element: Floats, factor: float, limit: Floats
) -> Floats:
    """HBM of a `key_value` shard: the cache of the whole table, up to a limit."""
    cache = np.ceil(num_rows * factor * element * num_columns)
    return np.minimum(limit, cache)
