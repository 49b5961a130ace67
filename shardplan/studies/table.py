"""The table of a study as files: CSV, and Parquet with units."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shardplan.studies.columns import StudyColumn

    Rows = Sequence[Mapping[str, Any]]


_FORMULA = ("=", "+", "-", "@", "\t")
"""What begins a formula in a spreadsheet, which would be computed when it is opened.

References
----------
OWASP, CSV Injection: https://owasp.org/www-community/attacks/CSV_Injection.
"""


def to_csv(columns: Sequence[StudyColumn], rows: Rows) -> str:
    """Return a table with a header; what is not known is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.name for column in columns)
    names = [column.name for column in columns]
    writer.writerows([sheet_cell(row[name]) for name in names] for row in rows)
    return text.getvalue()


def sheet_cell(value: Any) -> str:
    """Write a value for a spreadsheet: text that looks like a formula has a quote."""
    text = cell(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def cell(value: Any) -> str:
    """Write a value so that it can be read again; None is empty."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return repr(value) if type(value) in (float, int) else json.dumps(value)


def has_parquet() -> bool:
    """Whether `to_parquet` can be used here."""
    from importlib.util import find_spec

    return find_spec("pyarrow") is not None


def to_parquet(columns: Sequence[StudyColumn], rows: Rows) -> bytes:
    """Return a table whose fields have a unit and a title in their metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "number": pa.float64(),
        "whole": pa.int64(),
        "text": pa.string(),
        "flag": pa.bool_(),
    }
    fields = [
        pa.field(c.name, kinds[c.kind], metadata={"unit": c.unit, "title": c.title})
        for c in columns
    ]
    arrays = [
        pa.array(_typed(c, (row[c.name] for row in rows)), field.type)
        for c, field in zip(columns, fields, strict=True)
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), buffer)
    return buffer.getvalue()


def _typed(column: StudyColumn, values: Iterable[Any]) -> list[Any]:
    if column.kind != "text":
        return list(values)
    return [None if value is None else cell(value) for value in values]
