"""Report of `study diff`: what was asked otherwise, and what came out otherwise."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from rich.console import Group

from shardplan.report.layout import (
    facts,
    left_out,
    named,
    number,
    section,
    sentences,
    table,
    whole,
)
from shardplan.report.study_values import axis_labels, value_text
from shardplan.studies.columns import COLUMNS
from shardplan.units import plural

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shardplan.report.grid import Column
    from shardplan.studies.diff import PointChange, StudyDiff, ValueChange
    from shardplan.studies.study import Study, StudyRow

_SHORT = 60
"""Characters of a value of the study file that text shows."""
_MOST_COLUMNS = 4
"""Columns of a changed point that text shows."""


def study_diff_data(
    before: Study,
    after: Study,
    found: StudyDiff,
    *,
    versions: tuple[str, str],
    limit: int | None = None,
) -> dict[str, Any]:
    """Collect the report of `shardplan study diff`.

    Parameters
    ----------
    versions : tuple of str
        The releases of shardplan that made the results.
    limit : int, optional
        Most points to list of each kind; None lists all.
    """
    return {
        "before": {"made_by": versions[0], **_study(before)},
        "after": {"made_by": versions[1], **_study(after)},
        "asked": [
            {"key": change.key, "before": change.before, "after": change.after}
            for change in found.asked
        ],
        "num_same": found.num_same,
        "num_changed": len(found.changed),
        "changed": [_changed(change) for change in found.changed[:limit]],
        "num_removed": len(found.removed),
        "removed": [_point(row) for row in found.removed[:limit]],
        "num_added": len(found.added),
        "added": [_point(row) for row in found.added[:limit]],
    }


def _study(study: Study) -> dict[str, Any]:
    return {
        "name": study.spec.file.name,
        "num_points": len(study.rows),
        "num_missing": len(study.missing),
        "counts": dict(study.counts),
    }


def _point(row: StudyRow) -> dict[str, Any]:
    return {
        "point": row.point.number,
        "axes": dict(row.point.values),
        "status": row.status,
    }


def _changed(change: PointChange) -> dict[str, Any]:
    return {
        "before": change.before.point.number,
        "after": change.after.point.number,
        "axes": {**change.before.point.values, **change.after.point.values},
        "changes": [_value(value) for value in change.changes],
    }


def _value(change: ValueChange) -> dict[str, Any]:
    is_finite = change.relative is not None and math.isfinite(change.relative)
    return {
        "column": change.column,
        "before": change.before,
        "after": change.after,
        "relative": change.relative if is_finite else None,
    }


def render_study_diff(data: dict[str, Any]) -> RenderableType:
    """Lay out the difference as text."""
    head = facts({side: _study_text(data[side]) for side in ("before", "after")})
    body = [_asked_section(data["asked"]), _changed_section(data)]
    for kind, side in (("removed", "before"), ("added", "after")):
        if data[f"num_{kind}"]:
            title = f"Only {side}: {plural(data[f'num_{kind}'], 'point')}"
            body.append(section(title, *_points(data[kind], data[f"num_{kind}"])))
    return Group(head, *body)


def _study_text(study: dict[str, Any]) -> str:
    counts = [f"{n:,} {status}" for status, n in study["counts"].items()]
    if study["num_missing"]:
        counts.append(f"{study['num_missing']:,} not run")
    made_by = f" (shardplan {study['made_by']})" if study["made_by"] else ""
    return f"{study['name']}: {', '.join(counts) or 'no points'}{made_by}"


def _asked_section(asked: list[dict[str, Any]]) -> RenderableType:
    if not asked:
        return section("What was asked", sentences(["The same in both."]))
    rows = [
        [change["key"], _short(change["before"]), _short(change["after"])]
        for change in asked
    ]
    return section("What was asked", table([named("key"), "before", "after"], rows))


def _short(value: Any) -> str:
    text = "-" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 3]}..."


def _changed_section(data: dict[str, Any]) -> RenderableType:
    title = f"Other results: {plural(data['num_changed'], 'point')}"
    same = f"{plural(data['num_same'], 'point')} of both have the same results."
    if not data["changed"]:
        return section(title, sentences([same]))
    rows = []
    for point in data["changed"]:
        place = _place(point["axes"])
        for index, change in enumerate(_largest(point["changes"])):
            column = COLUMNS.get(change["column"])
            rows.append(
                [
                    str(point["after"]) if index == 0 else "",
                    place if index == 0 else "",
                    change["column"],
                    value_text(column, change["before"]),
                    value_text(column, change["after"]),
                    _percent(change["relative"]),
                ]
            )
    heads: list[Column | str] = [
        number("point"),
        "where",
        whole("column"),
        number("before"),
        number("after"),
        number("change"),
    ]
    rest = left_out(len(data["changed"]), data["num_changed"])
    ends = [text for text in (rest, same) if text]
    return section(title, table(heads, rows), sentences(ends))


def _largest(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the changes that say most: of the status, then of numbers."""
    ranked = sorted(
        changes, key=lambda c: (c["column"] != "status", -abs(c["relative"] or 0.0))
    )
    return ranked[:_MOST_COLUMNS]


def _points(points: list[dict[str, Any]], total: int) -> list[RenderableType]:
    labels = axis_labels(points[0]["axes"])
    rows = [
        [
            str(point["point"]),
            *(value_text(None, value) for value in point["axes"].values()),
            point["status"],
        ]
        for point in points
    ]
    rest = left_out(len(points), total)
    heads = [number("point"), *map(named, labels.values()), whole("status")]
    return [table(heads, rows), sentences([rest] if rest else [])]


def _place(axes: dict[str, Any]) -> str:
    """Name a point by the values of its axes."""
    labels = axis_labels(axes)
    return ", ".join(f"{labels[n]} {value_text(None, v)}" for n, v in axes.items())


def _percent(relative: float | None) -> str:
    return "-" if relative is None else f"{100.0 * relative:+.1f} %"
