"""What a study would run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group

from shardplan.errors import shorten
from shardplan.report.layout import facts, named, section, table
from shardplan.units import plural

if TYPE_CHECKING:
    from rich.console import RenderableType

_SHOWN = 8
"""Values of an axis that are listed."""


def render_study(data: dict[str, Any]) -> RenderableType:
    """Lay out the report of `shardplan study check`."""
    parts = [
        facts(
            {
                "study": data["study"],
                "points": _points(data),
                "left out": f"{data['excluded']:,}" if data["excluded"] else "",
                "knobs": ", ".join(data["knobs"]),
                "subject to": "; ".join(data["subject_to"]),
            }
        )
    ]
    if data["axes"]:
        rows = [row for axis in data["axes"] for row in _axis(axis)]
        parts.append(section("Axes", table((named("axis"), "values"), rows)))
    inputs = [
        (one["kind"], one["name"], one["fingerprint"][:12]) for one in data["inputs"]
    ]
    parts.append(
        section("Inputs", table(("kind", named("name"), "fingerprint"), inputs))
    )
    if data["empty_columns"]:
        rows = [
            (one["reason"], ", ".join(one["columns"])) for one in data["empty_columns"]
        ]
        parts.append(
            section("Columns that stay empty", table(("why", "columns"), rows))
        )
    return Group(*parts)


def _points(data: dict[str, Any]) -> str:
    points = f"{data['points']:,}"
    if data["walk"] == "search":
        return f"{points}, of which the search runs those that it needs"
    if data["walk"] == "codesign":
        return f"{points}, drawn from the knobs"
    return points


def _axis(axis: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a row for each column of an axis; + for one that moves with the first."""
    rows = []
    for number, column in enumerate(axis["columns"]):
        values = [row[number] for row in axis["values"]]
        shown = ", ".join(_text(value) for value in values[:_SHOWN])
        if len(values) > _SHOWN:
            shown += f", ... {_text(values[-1])} ({plural(len(values), 'value')})"
        kind = "factors " if column["factors"] else ""
        name = f"+ {column['name']}" if number else column["name"]
        rows.append((name, kind + shown))
    return rows


def _text(value: Any) -> str:
    return value if isinstance(value, str) else shorten(value)
