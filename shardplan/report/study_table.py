"""Rows of a study as a table for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Group

from shardplan.report.layout import named, number, table
from shardplan.studies.columns import COLUMNS
from shardplan.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from rich.console import RenderableType

_UNITS = {"s": format_seconds, "bytes": format_bytes}


def render_rows(data: dict[str, Any]) -> RenderableType:
    """Lay out the report of `shardplan study table`."""
    columns = data["columns"]
    headings = [
        named(column["name"])
        if column["kind"] in ("text", "flag")
        else number(column["name"])
        for column in columns
    ]
    rows = [
        [cell_text(c["name"], row[c["name"]], c["unit"]) for c in columns]
        for row in data["rows"]
    ]
    return Group(table(headings, rows))


def cell_text(name: str, value: Any, unit: str = "") -> str:
    """Write a value of a column for people; nothing for one that is empty."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value if isinstance(value, str) else json.dumps(value)
    unit = unit or (COLUMNS[name].unit if name in COLUMNS else "")
    if unit in _UNITS:
        return _UNITS[unit](value)
    if isinstance(value, int) or abs(value) >= 1e4:
        return f"{value:,.0f}"
    return f"{value:.4g}"
