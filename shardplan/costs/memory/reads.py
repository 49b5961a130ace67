"""Where the rows come from that lookups read: memory, a cache, or the host's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.memory import lookup, storage

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.costs.rates import ClassRates
    from shardplan.costs.shards import ShardArrays, Volumes
    from shardplan.costs.usage import TableUsage
    from shardplan.records.arrays import Floats


def rows_from_memory(
    shards: ShardArrays,
    volumes: Volumes,
    row_bytes: Floats,
    usage: TableUsage,
    rates: ClassRates,
) -> Floats:
    """Return the reads of rows that the last-level cache misses, forward (N, C).

    Notes
    -----
    Kernels work table by table, so that the rows of one shard share the cache. Measured
    misses are those of what samples ask for: sending ids once leaves out hits.
    """
    measured = usage.knows_misses[shards.table]
    reads = np.where(measured, volumes.requests, volumes.ids)

    def missed(cache_bytes: float) -> Floats:
        held = cache_bytes / row_bytes / np.maximum(shards.rows, 1)
        share = usage.kept_mass(shards.table, np.minimum(held, 1.0))
        found = lookup.reads_from_memory(reads, volumes.unique, share)
        return np.minimum(found, np.maximum(volumes.ids, volumes.unique))

    return _per_class(missed, rates.l2_forward_bytes, volumes.ids)


def gradients_from_memory(
    shards: ShardArrays, volumes: Volumes, rates: ClassRates
) -> Floats:
    """Return the reads of gradient rows that the cache misses, backward (N, C).

    Notes
    -----
    All ids of a bag read the gradient of its output, in the order of their rows:
    outputs are as good as equally likely.
    """
    gradients = volumes.outputs * shards.columns * storage.FP32_BYTES
    distinct = np.minimum(volumes.ids, volumes.outputs)

    def missed(cache_bytes: float) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            held = np.where(gradients > 0, cache_bytes / gradients, 1.0)
        return lookup.reads_from_memory(volumes.ids, distinct, np.minimum(held, 1.0))

    return _per_class(missed, rates.l2_backward_bytes, volumes.ids)


def rows_from_host(
    shards: ShardArrays,
    cold_ids: Floats,
    cold_rows: Floats,
    usage: TableUsage,
    rates: ClassRates,
) -> Floats:
    """Return the reads in place that cross the link to the host, forward (N, C).

    Parameters
    ----------
    cold_ids, cold_rows : float arrays (N,)
        Ids of rows in host memory, and the different rows among them.

    Notes
    -----
    Rows of the host are cached by the multiprocessor that reads them, not by the
    device: each of S fetches the distinct rows of its own n / S ids, so that
    ``S U(n / S)`` rows cross, at least U and at most n. So at the measured rate of the
    link FBGEMM's UVM kernel on H100 takes 7 % less than measured (`lookups.csv` of
    `cost_models/measurements`); if every row crossed once, it would take 45 % less.
    """
    index = np.flatnonzero(cold_ids > 0)
    share = shards.unique_share[index]
    tables, back = np.unique(shards.table[index], return_inverse=True)

    def fetched(num_sms: float) -> Floats:
        rows = cold_ids.copy()
        if num_sms > 0 and len(index):
            own = usage.num_lookups[tables] / num_sms
            distinct = usage.unique_rows_among(tables, own) * num_sms
            rows[index] = np.minimum(cold_ids[index], distinct[back] * share)
        return np.maximum(rows, cold_rows)

    return _per_class(fetched, rates.num_sms, cold_ids)


def _per_class(
    formula: Callable[[float], Floats], values: Floats, like: Floats
) -> Floats:
    """Apply a formula (N,) to a number per class (C,), once per number: (N, C)."""
    result = np.empty((len(like), len(values)))
    for value in np.unique(values):
        result[:, values == value] = formula(float(value))[:, None]
    return result
