"""Report of `study pareto`: the front, and who is not on it and why."""

from __future__ import annotations

import csv
import math
from dataclasses import asdict
from io import StringIO
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
)
from shardplan.report.study_values import axis_labels, share_text, value_text
from shardplan.studies.columns import COLUMNS
from shardplan.studies.table import sheet_cell
from shardplan.units import plural

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shardplan.studies.front import Front, NearMiss
    from shardplan.studies.study import Study, StudyRow

NEAREST = 5
"""Points that miss a constraint, or are dominated, that text lists."""


def front_data(study: Study, front: Front[StudyRow]) -> dict[str, Any]:
    """Collect the report of `shardplan study pareto`."""
    columns = [goal.column for goal in front.goals]
    for constraint in front.constraints:
        if constraint.column not in columns:
            columns.append(constraint.column)
    points = [_point(row, columns) for row in front.rows]
    for row, point in zip(front.rows, points, strict=True):
        point["knee"] = row is front.knee
    return {
        "study": study.spec.file.name,
        "goals": [
            {
                "column": goal.column,
                "sense": goal.sense,
                "unit": COLUMNS[goal.column].unit,
            }
            for goal in front.goals
        ],
        "subject_to": [str(constraint) for constraint in front.constraints],
        "columns": columns,
        "num_points": len(study.rows),
        "num_missing": len(study.missing),
        "num_feasible": sum(r.values.get("status") == "feasible" for r in study.rows),
        "front": points,
        "near": [_near(miss, columns) for miss in front.near],
        "dominated": [
            {"point": beaten.row.point.number, "by": beaten.by.point.number}
            for beaten in front.dominated
        ],
        "unjudged": [row.point.number for row in front.unjudged],
        "codesign": _codesign_data(study),
    }


def _codesign_data(study: Study) -> dict[str, Any] | None:
    """Collect how the best value, or the hypervolume, of a co-design grew."""
    if study.spec.file.codesign is None:
        return None
    from shardplan.studies.codesign.progress import history, reference_point

    reference = reference_point(study.spec, study.rows)
    return {
        "measure": "best" if reference is None else "hypervolume",
        "reference": None if reference is None else list(reference),
        "history": [asdict(step) for step in history(study.spec, study.rows)],
    }


def _point(row: StudyRow, columns: list[str]) -> dict[str, Any]:
    return {
        "point": row.point.number,
        "axes": dict(row.point.values),
        "values": {column: row.values.get(column) for column in columns},
    }


def _near(miss: NearMiss[StudyRow], columns: list[str]) -> dict[str, Any]:
    misses = [
        {
            "constraint": str(m.constraint),
            "share": None if math.isinf(m.share) else m.share,
        }
        for m in miss.misses
    ]
    return {**_point(miss.row, columns), "misses": misses, "joins": miss.joins}


def front_csv(data: dict[str, Any]) -> str:
    """Return the points of the front as CSV: number, axes, columns, knee."""
    axes = list(data["front"][0]["axes"]) if data["front"] else []
    target = StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(["point", *axes, *data["columns"], "knee"])
    for point in data["front"]:
        cells = [*point["axes"].values(), *point["values"].values()]
        knee = "true" if point["knee"] else "false"
        writer.writerow([point["point"], *map(sheet_cell, cells), knee])
    return target.getvalue()


def render_front(data: dict[str, Any]) -> RenderableType:
    """Lay out the front as text."""
    goals = [f"{_SENSES[goal['sense']]} {goal['column']}" for goal in data["goals"]]
    points = plural(data["num_points"], "point")
    if data["num_missing"]:
        points += f", {data['num_missing']:,} more have not run"
    head = facts(
        {
            "study": data["study"],
            "points": f"{points}; {data['num_feasible']:,} feasible",
            "goals": ", ".join(goals),
            "subject to": ", ".join(data["subject_to"]) or "nothing",
        }
    )
    body = [_front_section(data)]
    if data["codesign"]:
        body.append(_codesign_section(data["codesign"]))
    if data["near"]:
        body.append(_near_section(data))
    if data["unjudged"]:
        listed = ", ".join(map(str, data["unjudged"][:NEAREST]))
        more = _more(len(data["unjudged"]))
        text = f"Points without a value of a goal or a constraint: {listed}{more}"
        body.append(section("Not judged", sentences([text])))
    return Group(head, *body)


_SENSES = {"min": "least", "max": "most"}


def _more(total: int) -> str:
    """Say how many more there are than text lists."""
    return f" and {total - NEAREST:,} more" if total > NEAREST else ""


def _front_section(data: dict[str, Any]) -> RenderableType:
    title = f"Front: {plural(len(data['front']), 'point')}"
    if not data["front"]:
        return section(title, sentences([nothing_on_it(data)]))
    rows = [
        [*_cells(point, data), "knee" if point["knee"] else ""]
        for point in data["front"]
    ]
    has_knee = any(point["knee"] for point in data["front"])
    heads = [*_heads(data, data["front"][0]), named("")]
    if not has_knee:
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    beaten = f"{len(data['dominated']):,} more meet the constraints and are dominated"
    return section(title, table(heads, rows), sentences([beaten]))


def _codesign_section(codesign: dict[str, Any]) -> RenderableType:
    """Lay out how a co-design went on: its first, middle and last batches."""
    steps = codesign["history"]
    shown = [steps[i] for i in sorted({0, len(steps) // 2, len(steps) - 1}) if steps]
    rows = [
        [
            f"{step['points']:,}",
            f"{step['eligible']:,}",
            "none yet" if step["best"] is None else f"{step['best']:.6g}",
        ]
        for step in shown
    ]
    heads = [number("designs"), number("eligible"), number(codesign["measure"])]
    notes = []
    if codesign["reference"] is not None:
        corner = ", ".join(f"{value:.6g}" for value in codesign["reference"])
        notes.append(f"The hypervolume is measured up to the point ({corner}).")
    return section("How the search went on", table(heads, rows), sentences(notes))


def nothing_on_it(data: dict[str, Any]) -> str:
    """Say why a front is empty."""
    if not data["num_points"]:
        return "No point has finished yet: run the study first."
    if not data["num_feasible"]:
        return "No point has a plan: the column message of the table says why."
    if data["near"]:
        return "No point meets all constraints; the nearest follow."
    return "No point has a value of all goals and constraints."


def _heads(data: dict[str, Any], point: dict[str, Any]) -> list[Any]:
    return [
        number("point"),
        *map(named, axis_labels(point["axes"]).values()),
        *map(number, data["columns"]),
    ]


def _cells(point: dict[str, Any], data: dict[str, Any]) -> list[str]:
    axes = [value_text(None, value) for value in point["axes"].values()]
    values = [value_text(COLUMNS[c], point["values"][c]) for c in data["columns"]]
    return [str(point["point"]), *axes, *values]


def _near_section(data: dict[str, Any]) -> RenderableType:
    shown = data["near"][:NEAREST]
    rows = [
        [
            *_cells(point, data),
            ", ".join(map(miss_text, point["misses"])),
            "the front" if point["joins"] else "no",
        ]
        for point in shown
    ]
    heads = [*_heads(data, shown[0]), named("misses"), named("else on")]
    rest = left_out(len(shown), len(data["near"])).replace("--limit", "--format json")
    title = "Nearest that miss a constraint"
    return section(title, table(heads, rows), sentences([rest] if rest else []))


def miss_text(miss: dict[str, Any]) -> str:
    """Write what is missed and by how much."""
    by = "" if miss["share"] is None else f" by {share_text(miss['share'])}"
    return f"{miss['constraint']}{by}"
