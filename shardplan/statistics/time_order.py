"""The times of a part of a log, and its samples as runs that are sorted by time.

A part whose samples lie in the order of time is left where it is; others are written as
runs, Arrow files of some memory each.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from shardplan.errors import InputError
from shardplan.statistics.formats.piece import Damage
from shardplan.statistics.log_files import named, read_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from shardplan.records.log_mapping import LogMapping
    from shardplan.statistics.log_files import Part
    from shardplan.statistics.work_folder import WorkFolder

RUN_BYTES = 1 << 27
"""Memory of samples from which on a run is full."""
_BATCH_BYTES = 1 << 16
"""Memory of the samples of a run that are read at a time: all runs may be open."""
_MAGIC = b"shardplan order 1\n"
_SUM_BYTES = 4
_CHUNK = 1 << 20


class Times(NamedTuple):
    """What is known of the times of a part.

    Attributes
    ----------
    runs : dict of str to int
        Names of files in the work folder, and checksums; none if the part lies in
        order.
    bounds : pyarrow.Table
        A row for each run, or for the part: its `rows`, how many of them have a time
        (`valid`) and how many one that is no number (`nans`), the `first` and the
        `last` time.
    schema : pyarrow.Schema
        Of samples.
    damaged : list of Damage
    """

    runs: dict[str, int]
    bounds: Any
    schema: Any
    damaged: list[Damage]


def order_part(
    folder: WorkFolder, key: str, part: Part, mapping: LogMapping, *, spill: bool
) -> None:
    """Write the times of a part to the folder, and its runs if it is out of order.

    Parameters
    ----------
    spill : bool
        Write runs of a part in order as well: its times overlap those of others.

    Raises
    ------
    InputError
        If times have no order; if the folder cannot be written.
    """
    try:
        found = None if spill else _in_order(part, mapping)
        _write_times(folder, key, found or _sorted_runs(folder, key, part, mapping))
    except _arrow_error() as error:
        raise cannot_be_sorted(mapping, error) from error


def cannot_be_sorted(mapping: LogMapping, error: Exception) -> InputError:
    """Return the error for times without an order, or of types that differ."""
    rule = f"cannot be sorted by: {error}"
    return InputError.single(mapping.name, "time", mapping.time, rule)


def read_times(folder: WorkFolder, key: str, *, check: bool = False) -> Times | None:
    """Return the times of a part; None if they, or its runs, are not there.

    Parameters
    ----------
    check : bool
        Read the runs: None, too, if one is not what was written.
    """
    import pyarrow as pa

    try:
        content = memoryview(folder.file(f"{key}.order").read_bytes())
        start = len(_MAGIC) + _SUM_BYTES
        if content[:start] != _head(content[start:]):
            return None
        with pa.ipc.open_file(pa.py_buffer(content[start:])) as file:
            bounds = file.read_all()
        kept = json.loads(bounds.schema.metadata[b"kept"])
        for name, known in kept["runs"].items():
            run = folder.file(name)
            if not run.exists() or (check and _checksum(run) != known):
                return None
    except OSError:
        return None
    schema = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(kept["schema"])))
    damaged = [Damage(*each) for each in kept["damaged"]]
    return Times(kept["runs"], bounds, schema, damaged)


def _head(content: bytes | memoryview) -> bytes:
    return _MAGIC + zlib.crc32(content).to_bytes(_SUM_BYTES, "little")


def _checksum(file: Path) -> int:
    """Return the checksum of a file, a little of which is in memory at a time."""
    found = 0
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            found = zlib.crc32(chunk, found)
    return found


def read_run(file: Path, name: str = "", start: int = 0) -> Iterator[Any]:
    """Yield the samples of a file from one on; it is open only while one reads.

    Parameters
    ----------
    name : str
        What messages say of its samples.
    """
    import pyarrow as pa

    number, last = 0, 1
    while number < last:
        with pa.OSFile(str(file)) as source:
            reader = pa.ipc.open_file(source)
            last = reader.num_record_batches
            batch = reader.get_batch(number) if last else None
        number += 1
        if batch is None or start >= batch.num_rows:
            start -= batch.num_rows if batch is not None else 0
            continue
        yield named(pa.Table.from_batches([batch.slice(start)]), name)
        start = 0


def write_run(file: Path, schema: Any, tables: Iterable[Any]) -> None:
    """Write samples to a file, a little memory at a time."""
    import pyarrow as pa

    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for table in tables:
            row = max(1, table.nbytes // max(table.num_rows, 1))
            writer.write_table(table, max(16, _BATCH_BYTES // row))


def _in_order(part: Part, mapping: LogMapping) -> Times | None:
    """Return the times of a part, if all its samples have one and lie in its order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    damaged: list[Damage] = []
    schema, rows = None, 0
    first = last = pa.array([])
    for read in read_part(part, mapping, damaged):
        table = _decoded(read)
        schema = schema or table.schema
        if not table.num_rows:
            continue
        if table.schema != schema:
            return None
        time = table[mapping.time].combine_chunks()
        first = time[:1] if not rows else first
        with_last = pa.concat_arrays([last, time]) if rows else time
        later = pc.all(pc.less_equal(with_last[:-1], with_last[1:])).as_py()
        if time.null_count or later is False or not _is_number(time[-1:]):
            return None
        last, rows = time[-1:], rows + table.num_rows
    if not rows:
        return Times({}, _bounds([]), schema or pa.schema([]), damaged)
    bounds = _bounds([(rows, rows, 0, first, last)])
    return Times({}, bounds, schema, damaged)


def _is_number(time: Any) -> bool:
    """Whether a time is no NaN, which compares to nothing."""
    import pyarrow.compute as pc

    return bool(pc.all(pc.equal(time, time)).as_py())


def _sorted_runs(
    folder: WorkFolder, key: str, part: Part, mapping: LogMapping
) -> Times:
    """Write the runs of a part."""
    import pyarrow as pa

    damaged: list[Damage] = []
    runs: dict[str, int] = {}
    bounds, schemas = [], []
    for chunk in _chunks(map(_decoded, read_part(part, mapping, damaged))):
        ordered, bound = _sorted(chunk, mapping.time)
        name = f"{key}-{len(runs)}.run"
        with folder.draft(name) as draft:
            write_run(draft, ordered.schema, [ordered])
            runs[name] = _checksum(draft)
        bounds.append(bound)
        schemas.append(ordered.schema)
    schema = pa.unify_schemas(schemas, promote_options="permissive")
    return Times(runs, _bounds(bounds), schema, damaged)


def _chunks(tables: Iterable[Any]) -> Iterator[Any]:
    """Join tables of one schema until a run is full."""
    import pyarrow as pa

    waiting: list[Any] = []
    for table in tables:
        is_full = sum(each.nbytes for each in waiting) + table.nbytes > RUN_BYTES
        if waiting and (is_full or table.schema != waiting[0].schema):
            yield pa.concat_tables(waiting)
            waiting = []
        waiting.append(table)
    if waiting:
        yield pa.concat_tables(waiting)


def _sorted(chunk: Any, name: str) -> tuple[Any, tuple[int, int, int, Any, Any]]:
    """Sort samples by time, those of the same time as they lie; return their bounds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    order = pc.sort_indices(chunk[name].combine_chunks())  # a stable sort
    ordered = chunk.take(order)
    time = ordered[name].combine_chunks()
    rows, nans = len(time), 0
    if pa.types.is_floating(time.type):
        nans = pc.sum(pc.is_nan(time)).as_py() or 0
    valid = rows - time.null_count - nans
    return ordered, (rows, valid, nans, time[:1], time[max(valid - 1, 0) :][:1])


def _bounds(each: list[tuple[int, int, int, Any, Any]]) -> Any:
    import pyarrow as pa

    names = ["rows", "valid", "nans", "first", "last"]
    rows = [
        pa.table([*([count] for count in counts), first, last], names)
        for *counts, first, last in each
    ]
    none = pa.table([pa.array([], pa.int64())] * 3 + [pa.nulls(0)] * 2, names)
    return pa.concat_tables([none, *rows], promote_options="permissive")


def _decoded(table: Any) -> Any:
    """Return a table with values in the place of dictionaries."""
    import pyarrow as pa

    types = pa.types
    plain = [
        field.with_type(field.type.value_type)
        if types.is_dictionary(field.type)
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(plain))


def _write_times(folder: WorkFolder, key: str, found: Times) -> None:
    import pyarrow as pa

    kept = {
        "runs": found.runs,
        "schema": found.schema.serialize().to_pybytes().hex(),
        "damaged": [[each.path, each.reason] for each in found.damaged],
    }
    bounds = found.bounds.replace_schema_metadata({"kept": json.dumps(kept)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, bounds.schema) as writer:
        writer.write_table(bounds)
    content = sink.getvalue().to_pybytes()
    with folder.draft(f"{key}.order") as draft:
        draft.write_bytes(_head(content) + content)


def _arrow_error() -> type[Exception]:
    import pyarrow as pa

    error: type[Exception] = pa.ArrowException
    return error
