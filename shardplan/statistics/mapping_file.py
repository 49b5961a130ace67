"""Read a mapping of a log's columns, and write a first one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from shardplan.errors import InputError
from shardplan.io.json_file import read_json
from shardplan.io.toml import read_toml
from shardplan.io.validate import validate
from shardplan.records.log_mapping import (
    CRITEO_COLUMNS,
    IdHash,
    LogFeature,
    LogFormat,
    LogMapping,
    LogTable,
)
from shardplan.records.record import MAX_ROWS, Name
from shardplan.statistics.ids import is_list, plain_values
from shardplan.statistics.log_files import first_samples, looks_like_criteo

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

_NAMES: TypeAdapter[str] = TypeAdapter(Name)
_HASHED_ROWS = 1_000_000
_MOST_LEFT = 20
_NO_IDS = ("label", "rating", "target", "weight", "score")
_HEX = r"^[0-9a-fA-F]{8}$"


def load_mapping(path: str | os.PathLike[str]) -> LogMapping:
    """Read a mapping, TOML or JSON by its suffix.

    Raises
    ------
    InputError
        With everything that is wrong in the file.
    """
    where = str(path)
    read = read_json if where.lower().endswith(".json") else read_toml
    return validate(LogMapping, read(Path(path), where), where)


def guess_mapping(log: str | os.PathLike[str]) -> LogMapping:
    """Return a first mapping for a log.

    Notes
    -----
    Whole numbers from 0 on, lists of such, and text are ids; the first column that is a
    point in time, or is called like one, is the time. The form of Criteo's logs, which
    name neither columns nor themselves, is told by their first lines.

    Raises
    ------
    InputError
        If the log cannot be read, or no column seems to have ids.
    """
    if looks_like_criteo(str(log)):
        each = {name: (_HASHED_ROWS, IdHash.HEX) for name in CRITEO_COLUMNS[-26:]}
        return _mapping(log, each, LogFormat.CRITEO)
    samples = first_samples(str(log))
    names = [n for n in samples.column_names if _can_be_named(n, samples.column_names)]
    time = next((name for name in names if _is_time(samples, name)), "")
    guesses = {
        name: guess
        for name in names
        if name != time
        and not name.lower().startswith(_NO_IDS)
        and (guess := _guess(samples[name]))
    }
    if not guesses:
        rule = "no column has whole numbers from 0 on, or text"
        raise InputError.single(str(log), "", None, rule)
    left = [n for n in samples.column_names if n not in guesses and n != time]
    return _mapping(log, guesses, time=time, left=left)


def _mapping(
    log: str | os.PathLike[str],
    guesses: Mapping[str, tuple[int, IdHash | None]],
    form: LogFormat | None = None,
    time: str = "",
    left: Sequence[str] = (),
) -> LogMapping:
    """Return a mapping of columns, each with rows and hash function of its table."""
    stem = Path(log).name.split(".")[0]
    return LogMapping(
        schema_version=1,
        name=stem if _can_be_named(stem, [stem]) else "log",
        description=_without_table(left),
        format=form,
        time=time,
        tables=tuple(
            LogTable(name=n, num_embeddings=r) for n, (r, _) in guesses.items()
        ),
        features=tuple(
            LogFeature(column=name, table=name, hash=function)
            for name, (_, function) in guesses.items()
        ),
    )


def _without_table(columns: Sequence[str]) -> str:
    """Say which columns seem to have no ids: nobody notices what is not there."""
    if not columns:
        return ""
    more = len(columns) - _MOST_LEFT
    shown = ", ".join(columns[:_MOST_LEFT]) + (
        f" and {more:,} more" if more > 0 else ""
    )
    return f"Without a table, for they seem to have no ids: {shown}"


def _can_be_named(name: str, names: list[str]) -> bool:
    """Tell whether a mapping can have a name, and whether it is that of one column."""
    try:
        _NAMES.validate_python(name)
    except ValidationError:
        return False
    return names.count(name) == 1


def _is_time(samples: Any, name: str) -> bool:
    import pyarrow as pa

    kind = samples[name].type
    called = "time" in name.lower() and not pa.types.is_string(kind)
    return bool(pa.types.is_temporal(kind) or called)


def _guess(column: Any) -> tuple[int, IdHash | None] | None:
    """Return rows and hash function of a column that seems to have ids."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = plain_values(column.combine_chunks())
    if is_list(values.type):
        values = plain_values(values.flatten())
    values = values.drop_null()
    kind = values.type
    if pa.types.is_integer(kind) and len(values):
        ends = pc.min_max(values).as_py()
        if ends["max"] >= MAX_ROWS:
            return _HASHED_ROWS, IdHash.MODULO
        return (ends["max"] + 1, None) if ends["min"] >= 0 else None
    if pa.types.is_large_binary(kind):
        is_hex = pc.all(pc.match_substring_regex(values, _HEX)).as_py()
        return _HASHED_ROWS, IdHash.HEX if is_hex else IdHash.MD5
    return None


def _quoted(text: str) -> str:
    """Return text as TOML has it, which knows no halves of characters beyond U+FFFF."""
    return json.dumps(text, ensure_ascii=False)


def mapping_text(mapping: LogMapping) -> str:
    """Return a guessed mapping as TOML, with what to look at."""
    lines = [
        "# Guessed from the first samples: check every line.",
        "schema_version = 1",
        f"name = {_quoted(mapping.name)}",
    ]
    if mapping.description:
        lines += [f"description = {_quoted(mapping.description)}"]
    if mapping.format:
        lines += [f"format = {_quoted(mapping.format)}"]
    if mapping.time:
        lines += ["# Samples are sorted by this column."]
        lines += [f"time = {_quoted(mapping.time)}"]
    for table in mapping.tables:
        lines += ["", "[[tables]]", f"name = {_quoted(table.name)}"]
        lines += [f"num_embeddings = {table.num_embeddings}"]
    for feature in mapping.features:
        lines += ["", "[[features]]", f"column = {_quoted(feature.column)}"]
        lines += [f"table = {_quoted(feature.table)}"]
        if feature.hash:
            lines += ["# The training job's.", f"hash = {_quoted(feature.hash)}"]
    return "\n".join(lines) + "\n"
