"""Fill a workload with what was measured of its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from shardplan.errors import Fault, InputError
from shardplan.io.validate import find_problems
from shardplan.io.wording import suggest
from shardplan.records.tables import CdfAccess, EmbeddingTable

if TYPE_CHECKING:
    from shardplan.records.log_statistics import LogStatistics, TableStatistics
    from shardplan.records.workload import Workload


def with_statistics(model: Workload, found: LogStatistics) -> Workload:
    """Return a workload with measured lookups.

    Parameters
    ----------
    model : Workload
        Tables as the model has them; what the log tells of lookups is replaced.
    found : LogStatistics

    Raises
    ------
    InputError
        If a measured table is none of the workload's, has other rows there, or what was
        measured is more than a workload may say.
    """
    tables = {table.name: table for table in model.tables}
    faults = []
    for each in found.tables:
        if each.name not in tables:
            rule = f"is no table of workload {model.name}{suggest(each.name, tables)}"
            faults.append(Fault(found.name, each.name, "", rule))
            continue
        rows = tables[each.name].num_embeddings
        if rows != each.num_embeddings:
            rule = f"was measured with {each.num_embeddings:,} rows: make both the same"
            key = f"tables.{each.name}.num_embeddings"
            faults.append(Fault(model.name, key, f"{rows:,}", rule))
            continue
        try:
            tables[each.name] = _measured(tables[each.name], each)
        except ValidationError as error:
            where = f"{found.name}: {each.name}"
            faults += find_problems(error, EmbeddingTable, where)
    if faults:
        raise InputError(faults)
    return model.replace(tables=tuple(tables.values()))


def _measured(table: EmbeddingTable, found: TableStatistics) -> EmbeddingTable:
    if not found.lookups:
        return table.replace(pooling_factor=0.0)
    return table.replace(
        pooling_factor=found.pooling_factor,
        coverage=found.coverage,
        access=access_of(found),
        unique_ids=_of_batches(found),
        miss_ratio=_full(found),
        row_routing=None,
        row_skew=None,
        block_heat=_heat(found),
    )


def access_of(found: TableStatistics) -> CdfAccess:
    """Return the access curve of a table with lookups, over all of its rows."""
    rows = found.num_embeddings
    points = [(min(1.0, hot / rows), share) for hot, share in found.access]
    return CdfAccess(points=tuple(dict(points).items()))


def _of_batches(found: TableStatistics) -> tuple[tuple[float, float], ...]:
    """Return different ids among so many of a batch of samples.

    Notes
    -----
    Lookups in a row are no batch where samples differ in length, above all over time:
    between the batches that were measured the curve is off by a share that is taken to
    follow the logarithm of the lookups.
    """
    batches = [(b.ids, b.unique_ids) for b in found.batches if b.unique_ids]
    if not batches:
        return found.unique_rows
    lookups, rows = np.array(found.unique_rows).T
    ids, unique = np.array(batches).T
    share = np.append(1.0, unique / np.interp(ids, lookups, rows))
    places = np.append(1.0, np.maximum(ids, 1.0))
    size = np.union1d(lookups, ids[(ids > 1) & (ids < lookups[-1])])
    rows = np.interp(size, lookups, rows)
    rows = rows * np.interp(np.log(size), np.log(places), share)
    most = min(found.rows_seen, found.num_embeddings)
    rows = np.minimum(np.maximum.accumulate(rows), np.minimum(size, most))
    return tuple(zip(size.tolist(), rows.tolist(), strict=True))


def _full(found: TableStatistics) -> tuple[tuple[float, float], ...]:
    """Return misses of caches that are full, as those of a running job are.

    Notes
    -----
    A cache of C rows is full after the w lookups that have C different rows. Until
    then it misses each of these once and nothing else, so that afterwards it misses
    ``(N m(C) - C) / (N - w)`` of the lookups, with m(C) its misses from the start.
    First lookups of rows are among them: the cache of a running job has rows that were
    looked up lately, not all that ever were. If it holds the table it misses none.
    """
    size, ratio = np.array(found.miss_ratio).T
    lookups, rows = np.array(found.unique_rows).T
    filled = np.interp(size, rows, lookups)
    left = np.maximum(found.lookups - filled, 1.0)
    misses = np.clip((found.lookups * ratio - size) / left, 0.0, ratio)
    curve = dict(
        zip(size.tolist(), np.minimum.accumulate(misses).tolist(), strict=True)
    )
    return tuple({**curve, float(found.num_embeddings): 0.0}.items())


def _heat(found: TableStatistics) -> tuple[float, ...]:
    """Return shares of blocks that add up; each row is one where they are fewer."""
    rows, heat = found.num_embeddings, found.block_heat
    if rows < len(heat):
        heat = tuple(heat[row * len(heat) // rows] for row in range(rows))
    total = sum(heat)
    return tuple(share / total for share in heat)
