"""The figures of a study: its front, and cost against rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.report.pages.study.scatter import Dot, Scatter
from shardplan.report.study_values import value_text
from shardplan.studies.columns import COLUMNS
from shardplan.studies.derived import why_empty
from shardplan.units import plural

if TYPE_CHECKING:
    from shardplan.report.pages.study.scatter import DotKind
    from shardplan.report.pages.study.subject import PageSubject
    from shardplan.studies.study import Study, StudyRow

_RATE = "throughput_samples_per_s"
_COST = "cost_per_1e9_samples"


def front_figure(subject: PageSubject) -> Scatter | None:
    """Make the figure of a front of two goals; None if no point has both values."""
    goals = [goal.column for goal in subject.front.goals]
    if len(goals) < 2:
        return None
    return _scatter(
        subject,
        "points",
        (goals[0], goals[1]),
        f"The front of {subject.study.spec.file.name}",
    )


def cost_figure(subject: PageSubject) -> dict[str, Any]:
    """Make the figure of cost against rate, and say whose prices are missing."""
    goals = {goal.column for goal in subject.front.goals}
    cost = "cost_per_hour" if goals == {_COST, _RATE} else _COST
    drawn = _scatter(subject, "costs", (_RATE, cost), "Cost against rate")
    return {"figure": drawn, "missing": _missing_prices(subject.study)}


def _missing_prices(study: Study) -> list[str]:
    """Say whose costs are empty and why, once for every topology."""
    rows = {
        row.point.base.topology: row
        for row in study.rows
        if row.status == "feasible" and row.values.get("cost_per_hour") is None
    }
    found = (why_empty(study.spec, row.point, row.values) for row in rows.values())
    return sorted({reasons["cost_per_hour"] for reasons in found})


def _scatter(
    subject: PageSubject, key: str, names: tuple[str, str], title: str
) -> Scatter | None:
    rows = [*subject.front.rows]
    rows += [r for r in subject.study.rows if r.point.number not in subject.on_front]
    dots = [dot for row in rows if (dot := _dot(subject, row, names)) is not None]
    if not dots:
        return None
    x, y = names
    number_of = plural(len(dots), "point")
    words = f"{number_of} over {x} and {y}; {len(subject.on_front):,} are on the front."
    goals = [goal.column for goal in subject.front.goals]
    return Scatter(
        key=key,
        title=title,
        description=f"{words} Tables list them.",
        x=COLUMNS[x],
        y=COLUMNS[y],
        dots=dots,
        constraints=subject.front.constraints,
        has_line=list(names) == goals,
    )


def _dot(subject: PageSubject, row: StudyRow, names: tuple[str, str]) -> Dot | None:
    x, y = (row.values.get(name) for name in names)
    if row.status != "feasible" or x is None or y is None:
        return None
    number = row.point.number
    kind: DotKind = "plain"
    if number in subject.on_front:
        kind = "front"
    elif number in subject.missed:
        kind = "missed"
    at = subject.place[number]
    said = [f"{name} {value_text(COLUMNS[name], row.values[name])}" for name in names]
    said += [f"{axis.label} {axis.text(at)}" for axis in subject.axes]
    words = f"point {number}: {', '.join(said)}"
    return Dot(number, x, y, kind, words, subject.hrefs.get(number))
