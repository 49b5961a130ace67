"""Long lists of tables as CSV or Parquet: one row per table.

Columns are the fields of a table, `zipf_alpha`, `row_skew` with `row_skew_shards`, and
the fields of its constraints; ``|`` separates values, ``:`` the numbers of a point. An
empty cell means: not given.
Cells are converted column by column; what a cell may hold is the records' business.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from shardplan.errors import Fault, InputError, shorten
from shardplan.io.recent import by_content
from shardplan.io.text import decode, read_bytes
from shardplan.io.validate import explain, validate_items
from shardplan.io.wording import suggest
from shardplan.records.tables import EmbeddingTable
from shardplan.records.workload import MAX_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.resources.abc import Traversable

T = TypeVar("T")


def _number(cell: str) -> object:
    """Convert to int or float; other text stays, and the record rejects it."""
    for convert in (int, float):
        try:
            return convert(cell)
        except ValueError:
            continue
    return cell


def _flag(cell: str) -> object:
    return {"true": True, "false": False}.get(cell.lower(), cell)


def _texts(cell: str) -> object:
    return [part.strip() for part in cell.split("|")]


def _numbers(cell: str) -> object:
    return [_number(part.strip()) for part in cell.split("|")]


def _points(cell: str) -> object:
    """Points of a curve, ``x:y|x:y``; a part without ``:`` stays, and is no point."""
    return [
        [_number(part.strip()) for part in point.split(":")] if ":" in point else point
        for point in cell.split("|")
    ]


_LISTS = (_texts, _numbers, _points)
"""What makes a list of a text."""


@dataclass(frozen=True, slots=True)
class _Column:
    """Where a column goes in a table, and how its text is converted."""

    key: tuple[str, ...]
    convert: Callable[[str], object]


COLUMNS = {
    "name": _Column(("name",), str),
    "num_embeddings": _Column(("num_embeddings",), _number),
    "embedding_dim": _Column(("embedding_dim",), _number),
    "dtype": _Column(("dtype",), str),
    "pooling_factor": _Column(("pooling_factor",), _number),
    "coverage": _Column(("coverage",), _number),
    "num_outputs": _Column(("num_outputs",), _number),
    "batch_factor": _Column(("batch_factor",), _number),
    "key_bytes": _Column(("key_bytes",), _number),
    "is_pooled": _Column(("is_pooled",), _flag),
    "is_weighted": _Column(("is_weighted",), _flag),
    "zipf_alpha": _Column(("access", "alpha"), _number),
    "unique_ids": _Column(("unique_ids",), _points),
    "miss_ratio": _Column(("miss_ratio",), _points),
    "row_routing": _Column(("row_routing",), str),
    "block_heat": _Column(("block_heat",), _numbers),
    "row_skew": _Column(("row_skew", "ratio"), _number),
    "row_skew_shards": _Column(("row_skew", "shards"), _number),
    "sharding_types": _Column(("constraints", "sharding_types"), _texts),
    "forbidden_sharding_types": _Column(
        ("constraints", "forbidden_sharding_types"), _texts
    ),
    "compute_kernels": _Column(("constraints", "compute_kernels"), _texts),
    "ranks": _Column(("constraints", "ranks"), _numbers),
    "hosts": _Column(("constraints", "hosts"), _numbers),
    "forbidden_ranks": _Column(("constraints", "forbidden_ranks"), _numbers),
    "min_column_width": _Column(("constraints", "min_column_width"), _number),
    "cache_load_factor": _Column(("constraints", "cache_load_factor"), _number),
    "dtypes": _Column(("constraints", "dtypes"), _texts),
}
"""The columns that a table file may have."""

_NO_VALUE = (ValueError, ArithmeticError, LookupError)
"""What pyarrow raises for cells that Python has no value for."""
_SUFFIXES = ("csv", "parquet", "pq")
_REQUIRED = ("name", "num_embeddings", "embedding_dim")
_BY_KEY = {column.key: name for name, column in COLUMNS.items()}


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The cells of a file: per column, and the row numbers for messages."""

    columns: dict[str, list[object]]
    row_numbers: Sequence[int]


def read_tables(file: Traversable, where: str) -> tuple[EmbeddingTable, ...]:
    """Read the tables of a CSV or Parquet file.

    Parameters
    ----------
    file : Traversable
        Its suffix, ``.csv`` or ``.parquet``, tells the format.
    where : str
        How messages name the file.

    Raises
    ------
    InputError
        With every problem: row (the first line of a CSV file is row 1), column,
        value and rule.
    """
    if _suffix(file.name) not in _SUFFIXES:
        rule = "must be a .csv or .parquet file"
        raise InputError.single(where, "tables_file", file.name, rule)
    return _tables(file.name, read_bytes(file, where), where)


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower()


@by_content
def _tables(name: str, content: bytes, where: str) -> tuple[EmbeddingTable, ...]:
    if _suffix(name) == "csv":
        sheet = _read_csv(decode(content, where), where)
    else:
        sheet = _read_parquet(content, where)
    if not sheet.row_numbers:
        raise InputError.single(where, "", None, "has no tables")
    return _make_tables(sheet, where)


def _read_csv(text: str, where: str) -> _Sheet:
    reader = csv.reader(
        io.StringIO(text, newline=""), skipinitialspace=True, strict=True
    )
    rows: list[list[str]] = []
    numbers: list[int] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        for row in reader:
            if any(map(str.strip, row)):
                rows.append(row)
                numbers.append(reader.line_num)
    except csv.Error as error:
        place = f"row {reader.line_num}"
        raise InputError.single(where, place, None, f"not CSV: {error}") from error
    _raise_if_any(
        [*_header_problems(header, where), *_ragged(header, rows, numbers, where)]
    )
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    columns = {
        name: _convert_column(column, COLUMNS[name].convert)
        for name, column in zip(header, cells, strict=True)
    }
    return _Sheet(columns, numbers)


def _convert_column(
    cells: Iterable[str], convert: Callable[[str], object]
) -> list[object]:
    """Convert every distinct cell once; empty ones become None."""
    cells = [cell.strip() for cell in cells]
    known = {cell: convert(cell) if cell else None for cell in set(cells)}
    return [known[cell] for cell in cells]


def _read_parquet(content: bytes, where: str) -> _Sheet:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        rule = "needs pyarrow: pip install 'shardplan[parquet]', or use CSV"
        raise InputError.single(where, "", None, rule) from error
    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content))
        if file.metadata.num_rows > MAX_TABLES:
            rule = f"has {file.metadata.num_rows} rows, at most {MAX_TABLES} tables"
            raise InputError.single(where, "", None, rule)
        header = file.schema_arrow.names
        _raise_if_any(_header_problems(header, where))
        # Threads of PyArrow's must not hold what is Python's while that ends.
        table = file.read(use_threads=False)
        values = {name: table.column(name).to_pylist() for name in header}
    except (pyarrow.ArrowException, OSError, *_NO_VALUE) as error:
        reason = str(error).partition("\n")[0]
        raise InputError.single(where, "", None, f"not Parquet: {reason}") from error
    columns = {
        name: _convert_values(column, COLUMNS[name].convert)
        for name, column in values.items()
    }
    return _Sheet(columns, range(1, table.num_rows + 1))


def _convert_values(
    values: Iterable[object], convert: Callable[[str], object]
) -> list[object]:
    """Split the text of list columns; other values have their types already."""
    if convert not in _LISTS:
        return [None if value == "" else value for value in values]
    return [
        (convert(value) if value else None) if isinstance(value, str) else value
        for value in values
    ]


def _header_problems(header: Sequence[str], where: str) -> list[Fault]:
    found = []
    seen: set[str] = set()
    for index, name in enumerate(header):
        if name in seen:
            found.append((name, shorten(name), "column occurs twice"))
        elif name not in COLUMNS:
            rule = suggest(name, COLUMNS) or f"; known: {', '.join(COLUMNS)}"
            found.append(
                (f"column {index + 1}", shorten(name), "unknown column" + rule)
            )
        seen.add(name)
    missing = [name for name in _REQUIRED if name not in header]
    found += [(name, "", "column is required") for name in missing]
    return [Fault(where, f"header, {key}", value, rule) for key, value, rule in found]


def _ragged(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Sequence[int],
    where: str,
) -> list[Fault]:
    width = len(header)
    return [
        Fault(where, f"row {number}", "", f"has {len(row)} cells, not {width}")
        for row, number in zip(rows, numbers, strict=True)
        if len(row) != width
    ]


def _make_tables(sheet: _Sheet, where: str) -> tuple[EmbeddingTable, ...]:
    data: list[dict[str, Any]] = [{} for _ in sheet.row_numbers]
    for name, values in sheet.columns.items():
        *groups, field = COLUMNS[name].key
        for table, value in zip(data, values, strict=True):
            if value is None:
                continue
            target = table.setdefault(groups[0], {}) if groups else table
            target[field] = value
    if "zipf_alpha" in sheet.columns:
        for table in data:
            if "access" in table:
                table["access"]["kind"] = "zipf"
    problems = list(_repeated_names(sheet, where))
    try:
        tables = validate_items(EmbeddingTable, data)
    except ValidationError as error:
        problems += _cell_problems(error, sheet, where)
    _raise_if_any(problems)
    return tables


def _cell_problems(
    error: ValidationError, sheet: _Sheet, where: str
) -> Iterable[Fault]:
    for key, value, rule in explain(error, tuple[EmbeddingTable, ...], where):
        row, path = sheet.row_numbers[int(key[0])], tuple(map(str, key[1:3]))
        column = _BY_KEY.get(path) or _BY_KEY.get(path[:1]) or ""
        yield Fault(where, f"row {row}, {column}".rstrip(", "), value, rule)


def _repeated_names(sheet: _Sheet, where: str) -> Iterable[Fault]:
    first: dict[str, int] = {}
    for name, row in zip(sheet.columns["name"], sheet.row_numbers, strict=True):
        if isinstance(name, str) and first.setdefault(name, row) != row:
            rule = f"table names must be unique; it is in row {first[name]} already"
            yield Fault(where, f"row {row}, name", shorten(name), rule)


def _raise_if_any(problems: list[Fault]) -> None:
    if problems:
        raise InputError(problems)
