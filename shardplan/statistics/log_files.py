"""Find the files of a log, and read their columns in an order that nothing changes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shardplan.errors import Fault, InputError, shorten
from shardplan.io.outputs import refuse_output
from shardplan.records.log_mapping import DAY_OF_PATH, LogFormat
from shardplan.statistics.days import MOST_DAYS
from shardplan.statistics.formats import batch, libffm, npy, npz, parquet, text
from shardplan.statistics.formats.piece import (
    PART_ROWS,
    Damage,
    LogPiece,
    log_errors,
    reason_of,
)
from shardplan.statistics.formats.text_stream import PACKED
from shardplan.units import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shardplan.records.log_mapping import LogMapping

_SUFFIXES = {
    ".parquet": LogFormat.PARQUET,
    ".pq": LogFormat.PARQUET,
    ".csv": LogFormat.CSV,
    ".tsv": LogFormat.TSV,
    ".inter": LogFormat.TSV,
    ".txt": LogFormat.TSV,
    ".npy": LogFormat.NPY,
    ".npz": LogFormat.NPZ,
    ".pt": LogFormat.PT,
    ".ffm": LogFormat.LIBFFM,
    ".libffm": LogFormat.LIBFFM,
}
_READERS = {
    LogFormat.PARQUET: parquet,
    LogFormat.CSV: text,
    LogFormat.TSV: text,
    LogFormat.CRITEO: text,
    LogFormat.NPY: npy,
    LogFormat.NPZ: npz,
    LogFormat.PT: batch,
    LogFormat.LIBFFM: libffm,
}

_WITHOUT_NAMES = {LogFormat.CSV, LogFormat.TSV, LogFormat.NPY, LogFormat.PT}
"""Formats whose columns a mapping may name."""
_WITH_TEXT = {LogFormat.PARQUET, LogFormat.CSV, LogFormat.TSV, LogFormat.CRITEO}
"""Formats that may have several ids in a text."""

_NUMBER = re.compile(r"\s*-?\d*\.?\d*\s*")
"""Also of an empty cell."""

Part = tuple[LogPiece, ...]
"""What is read in one go, in this order."""


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
        If there is no file, or one of an unknown format or without a day, or if the
        mapping has keys that no file has a use for.
    """
    files = _expand(paths)
    _require_use(mapping, {mapping.format or _format_of(path) for path in files})
    _require_days(mapping, files)
    parts: list[Part] = []
    damaged: list[Damage] = []
    open_part: list[LogPiece] = []
    size = 0.0
    for path in files:
        form = mapping.format or _format_of(path)
        try:
            pieces = list(_READERS[form].pieces(path, form))
        except log_errors() as error:
            damaged.append(Damage(path, reason_of(error)))
            continue
        for piece, share in pieces:
            open_part.append(piece)
            size += share
            if size >= 1:
                parts.append(tuple(open_part))
                open_part, size = [], 0.0
    if open_part:
        parts.append(tuple(open_part))
    return parts, damaged


def _expand(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    found: list[str] = []
    wrong = []
    for path in paths:
        given = Path(path)
        if not os.fspath(path):
            wrong.append(Fault("''", "", "", "is no path: name a file or folder"))
        elif given.is_dir():
            found += [str(p) for p in given.rglob("*") if p.is_file() and _suffix(p)]
        elif given.is_file():
            found.append(str(given))
        else:
            wrong.append(Fault(str(given), "", "", "there is no such file or folder"))
    for path in found:
        refuse_output(Path(path), path)
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


def _require_use(mapping: LogMapping, forms: set[LogFormat]) -> None:
    """Refuse keys of a mapping that change nothing for any file."""
    named = ", ".join(sorted(forms))
    faults = []
    if mapping.columns and not forms & _WITHOUT_NAMES:
        shown = shorten(list(mapping.columns))
        rule = f"have no use, for {named} has names of its columns: leave them out"
        faults.append(Fault(mapping.name, "columns", shown, rule))
    if not forms & _WITH_TEXT:
        rule = f"has no use, for {named} has no text to divide: leave it out"
        faults += [
            Fault(mapping.name, f"{f.column}.separator", repr(f.separator), rule)
            for f in mapping.features
            if f.separator
        ]
    if faults:
        raise InputError(faults)


def _require_days(mapping: LogMapping, files: list[str]) -> None:
    """Refuse files in whose paths there is no day, and more days than logs have."""
    if not mapping.day_path:
        return
    days = {path: mapping.day_of(path) for path in files}
    if without := [path for path, day in days.items() if not day]:
        rule = f"is not in the path of {plural(len(without), 'file')}, such as this one"
        raise InputError.single(without[0], "day_path", mapping.day_path, rule)
    if len(found := set(days.values())) > MOST_DAYS:
        rule = f"finds {len(found):,} days: at most {MOST_DAYS:,}"
        raise InputError.single(mapping.name, "day_path", mapping.day_path, rule)


def _suffix(path: Path) -> str:
    """Return the suffix of a format, below that of a compression."""
    name = Path(path.name.lower())
    name = name.with_suffix("") if name.suffix in PACKED else name
    return name.suffix if name.suffix in _SUFFIXES else ""


def _format_of(path: str) -> LogFormat:
    suffix = _suffix(Path(path))
    if not suffix:
        known = ", ".join(_SUFFIXES)
        rule = f"has no suffix of a log ({known}): rename it, or give the mapping a "
        rule += "format"
        raise InputError.single(path, "", None, rule)
    return _SUFFIXES[suffix]


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
        try:
            for table in _READERS[piece.format].read(piece, mapping, damaged):
                yield named(_with_day(table, piece.path, mapping), piece.path)
        except log_errors() as error:
            damaged.append(Damage(piece.path, reason_of(error)))


def _with_day(table: Any, path: str, mapping: LogMapping) -> Any:
    """Return a table with a column of the day that is in the path of its file."""
    import pyarrow as pa

    if not mapping.day_path:
        return table
    day = pa.repeat(mapping.day_of(path), table.num_rows)
    return table.append_column(DAY_OF_PATH, day)


def named(table: Any, path: str) -> Any:
    """Return a table that says which file its first samples are from."""
    return table.replace_schema_metadata({b"path": os.fsencode(path)})


def name_of(table: Any) -> str:
    """Return the file that the first samples of a table are from."""
    return os.fsdecode(table.schema.metadata[b"path"])


def looks_like_criteo(path: str) -> bool:
    """Tell whether a log, or the first file of a folder, is in the form of Criteo.

    Raises
    ------
    InputError
        If there is no such file.
    """
    path = _expand([path])[0]
    if _SUFFIXES.get(_suffix(Path(path)), LogFormat.TSV) is not LogFormat.TSV:
        return False
    try:
        return text.is_criteo(path)
    except log_errors():
        return False


def first_samples(path: str) -> Any:
    """Return the first samples of a log with all columns, in types guessed for text.

    Raises
    ------
    InputError
        If there is no such file, it cannot be read, or its first line has numbers where
        names belong.
    """
    import pyarrow as pa

    path = _expand([path])[0]
    form = _format_of(path)
    damaged: list[Damage] = []
    samples: list[Any] = []
    for table in _all_columns(path, form, damaged):
        if samples and table.schema != samples[0].schema:
            break
        samples.append(table)
        if sum(each.num_rows for each in samples) >= PART_ROWS:
            break
    if not samples:
        rule = damaged[0].reason if damaged else "has no sample"
        raise InputError.single(path, "", None, rule)
    names = samples[0].column_names
    if form in (LogFormat.CSV, LogFormat.TSV) and all(map(_NUMBER.fullmatch, names)):
        rule = "has no names of columns but numbers: a mapping names them, columns = "
        rule += '["a", "b"]'
        raise InputError.single(path, "line 1", ", ".join(names), rule)
    return pa.concat_tables(samples)


def _all_columns(path: str, form: LogFormat, damaged: list[Damage]) -> Iterator[Any]:
    try:
        for piece, _ in _READERS[form].pieces(path, form):
            yield from _READERS[form].read(piece, None, damaged)
    except log_errors() as error:
        damaged.append(Damage(path, reason_of(error)))
