"""Rows of a study as a table for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Group

from shardplan.report.layout import named, number, table
from shardplan.report.study_values import TIMES, axis_labels, share_text
from shardplan.studies.columns import AXIS, COLUMNS, FACTORS
from shardplan.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from rich.console import RenderableType

_MOST_TEXT = 120
"""Characters of a message that a table shows; files and JSON have all of it."""
_UNITS = {"s": format_seconds, "bytes": format_bytes}


def render_rows(data: dict[str, Any]) -> RenderableType:
    """Lay out the report of `shardplan study table`; axes have short names."""
    columns = data["columns"]
    axes = [c["name"] for c in columns if c["title"].startswith(AXIS)]
    titles = axis_labels(axes)
    headings = [
        (named if c["kind"] in ("text", "flag") else number)(
            titles.get(c["name"], c["name"])
        )
        for c in columns
    ]
    rows = [[_cell(c, row[c["name"]]) for c in columns] for row in data["rows"]]
    leading = [*(c["name"] in titles for c in columns), False].index(False)
    return Group(table(headings, rows, keys=max(1, leading)))


def _cell(column: dict[str, Any], value: Any) -> str:
    text = cell_text(column["name"], value, column["unit"])
    if len(text) > _MOST_TEXT:
        text = f"{text[: _MOST_TEXT - 3]}..."
    return f"{TIMES}{text}" if text and column["title"] == FACTORS else text


def cell_text(name: str, value: Any, unit: str = "") -> str:
    """Write a value of a column for people; nothing for one that is empty."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value if isinstance(value, str) else json.dumps(value)
    unit = unit or (COLUMNS[name].unit if name in COLUMNS else "")
    if unit in _UNITS:
        return _UNITS[unit](value)
    if unit == "1" and name in COLUMNS:
        return share_text(value)
    if isinstance(value, int) or abs(value) >= 1e3:
        return f"{value:,.0f}"
    return f"{value:.4g}"
