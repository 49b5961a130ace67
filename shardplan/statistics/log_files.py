"""Read the columns of log files, part by part, in an order that nothing changes."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shardplan.errors import Fault, InputError
from shardplan.io.wording import suggest
from shardplan.records.log_mapping import CRITEO_COLUMNS, LogFormat
from shardplan.statistics.text_stream import PACKED, TextStream, header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shardplan.records.log_mapping import LogMapping

PART_ROWS = 1 << 20
"""Samples from which on a part of a Parquet log is full."""
PART_BYTES = 1 << 26
"""Bytes of files from which on a part of a text log is full."""
_SUFFIXES = {
    ".parquet": LogFormat.PARQUET,
    ".pq": LogFormat.PARQUET,
    ".csv": LogFormat.CSV,
    ".tsv": LogFormat.TSV,
    ".inter": LogFormat.TSV,
    ".txt": LogFormat.TSV,
}
_DELIMITERS = {LogFormat.CSV: ",", LogFormat.TSV: "\t", LogFormat.CRITEO: "\t"}


class LogPiece(NamedTuple):
    """A file, or the row groups of one from `first` up to `last`, the end excluded."""

    path: str
    format: LogFormat
    first: int = 0
    last: int = 0


Part = tuple[LogPiece, ...]
"""What is read in one go, in this order."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What of a file could not be read, and why."""

    path: str
    reason: str


def list_parts(
    paths: Sequence[str | os.PathLike[str]], mapping: LogMapping
) -> tuple[list[Part], list[Damage]]:
    """Divide files into parts, in the order of their names.

    Parameters
    ----------
    paths : sequence of path
        Files, and folders whose files are taken that have a suffix of a log.

    Returns
    -------
    parts : list of Part
        The same for the same files, whoever reads them.
    damaged : list of Damage
        Files that are no such file at all.

    Raises
    ------
    InputError
        If there is no file, or one of an unknown format.
    """
    files = _expand(paths)
    parts: list[Part] = []
    damaged: list[Damage] = []
    open_part: list[LogPiece] = []
    full, size = 0, 0
    for path in files:
        form = mapping.format or _format_of(path)
        try:
            pieces = list(_pieces(path, form))
        except _errors() as error:
            damaged.append(Damage(path, _reason(error)))
            continue
        for piece, weight in pieces:
            full = PART_ROWS if form is LogFormat.PARQUET else PART_BYTES
            open_part.append(piece)
            size += weight
            if size >= full:
                parts.append(tuple(open_part))
                open_part, size = [], 0
    if open_part:
        parts.append(tuple(open_part))
    return parts, damaged


def _expand(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    found: list[str] = []
    wrong = []
    for given in map(Path, paths):
        if given.is_dir():
            found += [str(p) for p in given.rglob("*") if p.is_file() and _suffix(p)]
        elif given.is_file():
            found.append(str(given))
        else:
            wrong.append(Fault(str(given), "", "", "there is no such file or folder"))
    for path in found:
        # Neither PyArrow nor JSON has such names.
        if (shown := path.encode("utf-8", "backslashreplace").decode()) != path:
            rule = "has a name that is not UTF-8: rename it"
            wrong.append(Fault(shown, "", "", rule))
    if wrong:
        raise InputError(wrong)
    if not found:
        where = ", ".join(map(str, paths))
        rule = f"has no file of a log ({', '.join(_SUFFIXES)})"
        raise InputError.single(where, "", None, rule)
    return sorted(set(found))


def _suffix(path: Path) -> str:
    """Return the suffix of a format, below that of a compression."""
    name = Path(path.name.lower())
    name = name.with_suffix("") if name.suffix in PACKED else name
    return name.suffix if name.suffix in _SUFFIXES else ""


def _format_of(path: str) -> LogFormat:
    suffix = _suffix(Path(path))
    if not suffix:
        known = ", ".join(_SUFFIXES)
        rule = f"has no suffix of a log ({known}): give the mapping a format"
        raise InputError.single(path, "", None, rule)
    return _SUFFIXES[suffix]


def _pieces(path: str, form: LogFormat) -> Iterator[tuple[LogPiece, int]]:
    """Yield the pieces of a file with their sizes."""
    if form is not LogFormat.PARQUET:
        yield LogPiece(path, form), Path(path).stat().st_size
        return
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        meta = file.metadata
        for group in range(meta.num_row_groups):
            yield LogPiece(path, form, group, group + 1), meta.row_group(group).num_rows


def _errors() -> tuple[type[Exception], ...]:
    import pyarrow as pa

    return (pa.ArrowException, OSError, UnicodeDecodeError)


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def read_part(part: Part, mapping: LogMapping, damaged: list[Damage]) -> Iterator[Any]:
    """Yield the needed columns of a part, as `pyarrow.Table` of some samples each.

    Parameters
    ----------
    damaged : list of Damage
        Gets what cannot be read: the rest of a piece.

    Raises
    ------
    InputError
        If a file lacks a column.
    """
    for piece in part:
        read = _read_parquet if piece.format is LogFormat.PARQUET else _read_text
        try:
            for table in read(piece, mapping, damaged):
                yield named(table, piece.path)
        except _errors() as error:
            damaged.append(Damage(piece.path, _reason(error)))


def named(table: Any, path: str) -> Any:
    """Return a table that says which file its first samples are from."""
    return table.replace_schema_metadata({b"path": os.fsencode(path)})


def name_of(table: Any) -> str:
    """Return the file that the first samples of a table are from."""
    return os.fsdecode(table.schema.metadata[b"path"])


def _require(names: list[str], mapping: LogMapping, path: str) -> list[str]:
    needed = list(mapping.needed_columns())
    faults = [
        Fault(path, name, "", f"is no column of this file{suggest(name, names)}")
        for name in needed
        if name not in names
    ]
    faults += [
        Fault(path, name, "", "is the name of several columns: rename the others")
        for name in needed
        if names.count(name) > 1
    ]
    if faults:
        raise InputError(faults)
    return needed


def _read_parquet(
    piece: LogPiece, mapping: LogMapping, damaged: list[Damage]
) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(piece.path) as file:
        needed = _require(file.schema_arrow.names, mapping, piece.path)
        groups = list(range(piece.first, piece.last))
        for batch in file.iter_batches(PART_ROWS, row_groups=groups, columns=needed):
            yield pa.Table.from_batches([batch])


def _read_text(
    piece: LogPiece, mapping: LogMapping, damaged: list[Damage]
) -> Iterator[Any]:
    """Read columns as text; lines of another number of columns are counted."""
    import pyarrow as pa

    names = _text_columns(piece, mapping.columns)
    if not names:
        with TextStream(piece.path) as stream:
            stream.read(1)
            reason = stream.damage or "has no line"
        damaged.append(Damage(piece.path, reason))
        return
    _require(names, mapping, piece.path)
    wrong: list[int] = []

    def skip(row: Any) -> str:
        wrong.append(row.actual_columns)
        return "skip"

    with TextStream(piece.path) as stream:
        try:
            with _opened(stream, piece, mapping, skip) as reader:
                for batch in reader:
                    yield pa.Table.from_batches([batch])
        finally:
            reasons = [stream.damage] if stream.damage else []
            if wrong:
                reasons.append(f"{len(wrong)} lines with another number of columns")
            if stream.quotes % 2 and piece.format is not LogFormat.CRITEO:
                reasons.append(_QUOTES)
            if not stream.is_utf8:
                reasons.append(r"bytes that are not UTF-8, which are taken as \x..")
            damaged += [Damage(piece.path, reason) for reason in reasons]


_QUOTES = (
    "an odd number of quotes: one that is not closed takes the lines after it into "
    "its cell"
)


def _text_columns(piece: LogPiece, columns: Sequence[str]) -> list[str]:
    """Return the names of the columns of a text file; none if it has no line."""
    if piece.format is LogFormat.CRITEO:
        return list(CRITEO_COLUMNS)
    return list(columns) or header(piece.path, _DELIMITERS[piece.format])


def _opened(
    stream: TextStream, piece: LogPiece, mapping: LogMapping | None, skip: Any = None
) -> Any:
    """Open a text file; without a mapping with all its columns."""
    from pyarrow import csv

    columns = mapping.columns if mapping else ()
    is_criteo = piece.format is LogFormat.CRITEO
    names = CRITEO_COLUMNS if is_criteo else columns
    read = csv.ReadOptions(column_names=list(names) or None, block_size=PART_BYTES // 4)
    parse = csv.ParseOptions(
        delimiter=_DELIMITERS[piece.format],
        quote_char=False if is_criteo else '"',
        newlines_in_values=not is_criteo,
        invalid_row_handler=skip,
    )
    convert = _as_text(mapping) if mapping else None
    return csv.open_csv(io.BufferedReader(stream), read, parse, convert)


def _as_text(mapping: LogMapping) -> Any:
    """Read all but the time as it is written: what is no id is then counted."""
    import pyarrow as pa
    from pyarrow import csv

    needed = mapping.needed_columns()
    return csv.ConvertOptions(
        column_types={name: pa.binary() for name in needed if name != mapping.time},
        include_columns=needed,
        null_values=[""],
        strings_can_be_null=True,
    )


def first_samples(path: str) -> Any:
    """Return the first samples of a log with all columns, in types guessed for text.

    Raises
    ------
    InputError
        If there is no such file, or it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = _expand([path])[0]
    form = _format_of(path)
    try:
        if form is LogFormat.PARQUET:
            with pq.ParquetFile(path) as file:
                batches = list(islice(file.iter_batches(PART_ROWS), 1))
                return pa.Table.from_batches(batches, file.schema_arrow)
        with (
            TextStream(path) as stream,
            _opened(stream, LogPiece(path, form), None) as reader,
        ):
            return pa.Table.from_batches(islice(reader, 1), reader.schema)
    except _errors() as error:
        raise InputError.single(path, "", None, _reason(error)) from error
