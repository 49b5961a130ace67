"""What a job on SparseCores wrote down of its partitions, in a workload's tables.

References
----------
jax-tpu-embedding, jax_tpu_embedding/sparsecore/lib/fdo/csv_file_fdo_client.py: the
file; lib/core/input_preprocessing_util.h, StatsPerHost: what its numbers are.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.errors import Fault, InputError, shorten
from shardplan.io.text import read_text
from shardplan.io.wording import suggest
from shardplan.records.row_heat import RowSkew

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from shardplan.records.arrays import Floats
    from shardplan.records.tables import EmbeddingTable
    from shardplan.records.workload import Workload

_IDS, _UNIQUE = "_max_ids", "_max_unique_ids"
_SUFFIXES = (_IDS, _UNIQUE, "_required_buffer_size", "_id_drop_counters")
_MOST_IDS = 2**31 - 1
"""Of a partition; SparseCores count in 32 bits."""


class _Counts(NamedTuple):
    """Means over all steps that were written down.

    Attributes
    ----------
    ids, unique : float arrays of shape (P,)
        The most that a core sends to each partition, and how many of these differ.
    """

    ids: Floats
    unique: Floats


def with_feedback(
    model: Workload, paths: Sequence[str | os.PathLike[str]]
) -> tuple[Workload, list[str]]:
    """Return a workload with the unique ids and the skew that a job has seen.

    Parameters
    ----------
    model : Workload
    paths : sequence of path
        Files of the processes of one job.

    Returns
    -------
    workload : Workload
    notes : list of str
        Sentences: what was left out.

    Raises
    ------
    InputError
        With everything that is wrong in the files; if none of their tables is the
        workload's, or has as many rows there.
    """
    counts = _read(paths)
    tables = {table.name: table for table in model.tables}
    where = ", ".join(map(str, paths))
    known = [name for name in counts if name in tables]
    if not known:
        first = next(iter(counts))
        rule = f"is no table of workload {model.name}{suggest(first, tables)}"
        raise InputError.single(where, "", first, rule)
    notes = [
        f"{where}: {name} is no table of workload {model.name}: left out; the ids of "
        "stacked tables are counted together"
        for name in counts
        if name not in tables
    ]
    for name in known:
        if counts[name].ids.any():
            tables[name] = _measured(tables[name], counts[name], where)
        else:
            notes.append(f"{where}: {name} has no ids: left as it is")
    return model.replace(tables=tuple(tables.values())), notes


def _measured(table: EmbeddingTable, found: _Counts, where: str) -> EmbeddingTable:
    """Return a table with what a core's batch has, and how unequal partitions are.

    Notes
    -----
    A row is in partition ``row % P``, so that unique ids of partitions add up.
    """
    ids, unique = float(found.ids.sum()), float(found.unique.sum())
    if unique > table.num_embeddings:
        rule = f"is more than the {table.num_embeddings:,} rows of the table: is it "
        rule += "another model?"
        key = f"{table.name}{_UNIQUE}"
        raise InputError([Fault(where, key, f"{unique:,.0f} in sum", rule)])
    shards = len(found.ids)
    skew = RowSkew(ratio=found.ids.max() * shards / ids, shards=shards)
    return table.replace(
        unique_ids=((max(ids, 1.0), max(unique, 1.0)),),
        row_routing=None,
        block_heat=(),
        row_skew=skew,
    )


def _read(paths: Sequence[str | os.PathLike[str]]) -> dict[str, _Counts]:
    """Return the counts of all files, by table."""
    lines: dict[str, list[Floats]] = defaultdict(list)
    for path in map(str, paths):
        for place, key, values in _lines(path):
            if lines[key] and len(lines[key][0]) != len(values):
                rule = f"has {len(values)} numbers, but the first such line "
                rule += f"{len(lines[key][0])}: is it of another job?"
                raise InputError.single(path, place, key, rule)
            lines[key].append(values)
    names = dict.fromkeys(
        key.removesuffix(suffix)
        for key in lines
        for suffix in (_IDS, _UNIQUE)
        if key.endswith(suffix)
    )
    where = ", ".join(map(str, paths))
    if not names:
        raise InputError.single(where, "", None, f"has no line of a table{_IDS}")
    return {name: _counts(name, lines, where) for name in names}


def _counts(name: str, lines: dict[str, list[Floats]], where: str) -> _Counts:
    both = []
    for key in (name + _IDS, name + _UNIQUE):
        if key not in lines:
            raise InputError.single(where, key, None, "is missing")
        both.append(np.mean(lines[key], axis=0))
    ids, unique = both
    shapes = [np.shape(lines[key]) for key in (name + _IDS, name + _UNIQUE)]
    if shapes[0] != shapes[1]:
        rule = f"has {shapes[1][0]} lines of {shapes[1][1]} numbers, but {name}{_IDS} "
        rule += f"{shapes[0][0]} of {shapes[0][1]}"
        raise InputError.single(where, name + _UNIQUE, None, rule)
    if len(ids) < 2:
        rule = "has one partition: nothing is divided by rows"
        raise InputError.single(where, name + _IDS, None, rule)
    if (unique > ids).any():
        rule = f"is more than {name}{_IDS} in some partition"
        raise InputError.single(where, name + _UNIQUE, None, rule)
    return _Counts(ids, unique)


def _lines(path: str) -> Iterator[tuple[str, str, Floats]]:
    """Yield place, key and numbers of each line of a file."""
    reader = csv.reader(io.StringIO(read_text(Path(path), path), newline=""))
    try:
        if (header := next(reader, [])) != ["key", "values"]:
            rule = "is not the first line of a feedback file: key,values"
            raise InputError.single(path, "line 1", ",".join(header), rule)
        for row in reader:
            place = f"line {reader.line_num}"
            if row and (len(row) != 2 or not row[0].endswith(_SUFFIXES)):
                rule = f"is no key that ends in {', '.join(_SUFFIXES)}, and its values"
                raise InputError.single(path, place, ",".join(row), rule)
            if row:
                yield place, row[0], _numbers(row[1], path, place)
    except csv.Error as error:
        place = f"line {reader.line_num}"
        raise InputError.single(path, place, None, f"not CSV: {error}") from error


def _numbers(text: str, path: str, place: str) -> Floats:
    words = text.split()
    for word in words or [text]:
        if not (word.isascii() and word.isdigit()) or int(word[:20]) > _MOST_IDS:
            rule = f"must be whole numbers from 0 to {_MOST_IDS:,}, with spaces between"
            raise InputError([Fault(path, place, shorten(word), rule)])
    return np.array(words, dtype=float)
