"""Cells of a study's table as text for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shardplan.report.layout import count
from shardplan.studies.columns import COLUMNS
from shardplan.units import format_bandwidth, format_bytes, format_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shardplan.studies.columns import StudyColumn


TIMES = "\N{MULTIPLICATION SIGN}"
"""Before a factor."""
UNKNOWN = "-"
"""What stands for an empty cell."""


def value_text(column: StudyColumn | None, value: Any) -> str:
    """Write a cell with its unit; `column` is None for an axis, which has none."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if not isinstance(value, int | float):
        return json.dumps(value)
    if column is None:
        return f"{value:,}" if isinstance(value, int) else f"{value:g}"
    form = _FORMS.get(column.unit)
    return _with_unit(column.unit, value) if form is None else form(value)


def _with_unit(unit: str, value: float) -> str:
    """Write a number with a unit that has no form of its own."""
    if unit.startswith("currency"):  # it has no name
        return _figures(value) + unit.removeprefix("currency")
    return f"{_figures(value)} {unit}".rstrip()


def share_text(value: float) -> str:
    """Write a share in percent, with more digits where it is almost none or all."""
    is_close = 0 < abs(value) < 0.01 or 0.99 < value < 1
    return f"{100.0 * value:.{2 if is_close else 1}f} %"


def unit_text(column: StudyColumn) -> str:
    """Return what stands in the brackets of an axis whose ticks have no units."""
    has_own = column.unit in _FORMS
    return "" if has_own or not column.unit else f" [{column.unit}]"


def axis_labels(axes: Iterable[str]) -> dict[str, str]:
    """Return the shortest end of each dotted name that no other column has."""
    names = list(axes)
    found = {}
    for name in names:
        parts = name.split(".")
        ends = [".".join(parts[i:]) for i in range(len(parts) - 1, -1, -1)]
        others = [*COLUMNS, *(n for n in names if n != name)]
        found[name] = next(
            (e for e in ends if not any(o == e or o.endswith(f".{e}") for o in others)),
            name,
        )
    return found


def tick_text(column: StudyColumn, value: float) -> str:
    """Write a value without the unit that the name of its axis has."""
    return _figures(value) if unit_text(column) else value_text(column, value)


def _figures(value: float) -> str:
    """Write a number with at least three figures."""
    return count(value) if abs(value) >= 1000 else f"{value:.4g}"


_FORMS: dict[str, Callable[[float], str]] = {
    "s": format_seconds,
    "bytes": format_bytes,
    "bytes/s": format_bandwidth,
    "1": share_text,
    "hosts": "{:,}".format,
    "ranks": "{:,}".format,
}
