"""Measure the tables of a log: part by part, on any number of processes."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np

from shardplan.errors import Fault, InputError
from shardplan.records.log_statistics import LogStatistics, Unread
from shardplan.statistics.count import (
    PartStatistics,
    count_part,
    count_tables,
    folded,
)
from shardplan.statistics.log_files import list_parts, named, read_part
from shardplan.statistics.summary import summarise

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from shardplan.records.log_mapping import LogMapping
    from shardplan.statistics.formats.piece import Damage
    from shardplan.statistics.log_files import Part

MOST_SORTED = 1 << 27
"""Samples of a log that can be sorted by time."""


def measure(
    paths: Sequence[str | os.PathLike[str]],
    mapping: LogMapping,
    *,
    workers: int = 1,
    strict: bool = False,
) -> LogStatistics:
    """Measure the tables of a log.

    Parameters
    ----------
    paths : sequence of path
        Files and folders.
    mapping : LogMapping
    workers : int
        Processes. The result does not depend on it.
    strict : bool
        Refuse a log of which anything cannot be read.

    Raises
    ------
    InputError
        If there is no such file, column or hash function, or nothing can be read.
    """
    parts, damaged = list_parts(paths, mapping)
    counted = _not_of_texts(_counted(parts, mapping, workers))
    total = folded(counted, mapping)
    total.damaged += damaged
    if strict and total.damaged:
        raise InputError([Fault(d.path, "", "", d.reason) for d in total.damaged])
    return _result(mapping, total)


def _not_of_texts(parts: Iterable[PartStatistics]) -> Iterator[PartStatistics]:
    """Pass parts on, up to one whose column has only texts, and no number before.

    A damaged block among numbers has ids that cannot be read; a column of texts has a
    mapping that lacks a hash function, and is refused before the rest is read.

    Raises
    ------
    InputError
        For such columns.
    """
    numbers: set[str] = set()
    for part in parts:
        numbers |= part.numbers
        if faults := [f for name, f in part.texts.items() if name not in numbers]:
            raise InputError(faults)
        yield part


def _counted(
    parts: list[Part], mapping: LogMapping, workers: int
) -> Iterator[PartStatistics]:
    """Yield the statistics of all parts in their order."""
    if mapping.time:
        yield count_sorted(parts, mapping)
        return
    if workers == 1 or len(parts) < 2:
        for part in parts:
            yield count_part(part, mapping)
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield from pool.map(count_part, parts, [mapping] * len(parts))


def count_sorted(parts: Iterable[Part], mapping: LogMapping) -> PartStatistics:
    """Sort all samples by time, those of the same time as they lie, and count them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    damaged: list[Damage] = []
    tables, size = [], 0
    for part in parts:
        for table in read_part(part, mapping, damaged):
            tables.append(table)
            size += table.num_rows
            if size > MOST_SORTED:
                rule = (
                    f"only logs of up to {MOST_SORTED:,} samples are sorted here: sort "
                    "the files, and leave time out of the mapping"
                )
                raise InputError.single("mapping", "time", mapping.time, rule)
    if not tables:
        nothing = PartStatistics.none(mapping)
        nothing.damaged += damaged
        return nothing
    number = pa.array(np.arange(size))
    keys = [("time", "ascending"), ("number", "ascending")]
    try:
        whole = pa.concat_tables(tables, promote_options="permissive")
        times = pa.table({"time": whole[mapping.time], "number": number})
        order = pc.sort_indices(times, sort_keys=keys)
    except pa.ArrowException as error:
        rule = f"cannot be sorted by: {error}"
        raise InputError.single(mapping.name, "time", mapping.time, rule) from error
    sorted_ = named(whole.take(order), mapping.name)
    found = count_tables([sorted_], mapping)
    found.damaged += damaged
    return found


def _result(mapping: LogMapping, total: PartStatistics) -> LogStatistics:
    tallies = total.tallies
    samples = next(iter(tallies.values())).lengths.num_samples
    if not samples:
        faults = [Fault(d.path, "", "", d.reason) for d in total.damaged]
        nothing = Fault(mapping.name, "", "", "the log has no sample")
        raise InputError(faults or [nothing])
    return LogStatistics(
        schema_version=1,
        name=mapping.name,
        num_samples=samples,
        tables=tuple(
            summarise(table, tallies[table.name], total.unreadable[table.name])
            for table in mapping.tables
        ),
        together=tuple(map(tuple, (total.together / samples).tolist())),
        unread=tuple(Unread(path=d.path, reason=d.reason) for d in total.damaged),
    )
