"""What the page of a study says, as values of its template."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from markupsafe import escape

from shardplan.printable import printable
from shardplan.report.pages.study.answers import search_answers
from shardplan.report.pages.study.figures import cost_figure, front_figure
from shardplan.report.pages.study.growth import design_growth
from shardplan.report.pages.study.listing import (
    all_points,
    list_points,
    listed_columns,
    near_points,
)
from shardplan.report.pages.study.maps import SIGNS, Maps
from shardplan.report.study_front import front_data, nothing_on_it
from shardplan.report.study_values import value_text
from shardplan.version import VERSION

if TYPE_CHECKING:
    from shardplan.report.pages.study.scatter import Scatter
    from shardplan.report.pages.study.subject import PageSubject

SECTIONS = {
    "asked": "What was asked",
    "front": "The front",
    "growth": "How the search went on",
    "answers": "Answers of the search",
    "cost": "Cost against rate",
    "maps": "Maps of two axes",
    "bounds": "What bounds the points",
    "all": "All points",
}
"""Headings by the names of sections."""
_MEANINGS = {
    "feasible": "have a plan",
    "infeasible": "no plan can exist",
    "not_found": "no plan was found",
    "error": "could not be tried",
    "implied": "follow from others",
}
_TONES = {"feasible": "good", "error": "bad"}
_SENSES = {"min": "least", "max": "most"}


def study_content(subject: PageSubject, source: str, made_by: str) -> dict[str, Any]:
    """Return everything that the template of a study shows.

    Parameters
    ----------
    source : str
        The study file.
    made_by : str
        The release of shardplan that found the results.
    """
    maps = _maps(subject)
    front = _front(subject)
    optional = {
        "answers": search_answers(subject),
        "growth": design_growth(front["front"]["codesign"]),
    }
    sections = {k: v for k, v in SECTIONS.items() if optional.get(k, True)}
    return {
        "title": subject.study.spec.file.name,
        "sections": sections,
        **optional,
        "version": VERSION,
        "description": subject.study.spec.file.description,
        "cards": _cards(subject),
        "asked": {**_asked(subject), "results by": f"shardplan {made_by}"},
        "axes": _axes(subject),
        "source": escape(printable(source)),
        **front,
        "cost": cost_figure(subject),
        "bounds": _bounds(subject),
        "maps": _drawn_maps(subject, maps),
        "table": all_points(subject),
        "data": _data(subject, maps),
    }


def _cards(subject: PageSubject) -> list[tuple[str, str, str, str]]:
    """Count the points by what came of them."""
    study = subject.study
    cards = [
        (status, f"{number_of:,}", _MEANINGS.get(status, ""), _TONES.get(status, ""))
        for status, number_of in study.counts.items()
    ]
    if study.missing:
        cards.append(("not run", f"{len(study.missing):,}", "no result yet", "bad"))
    on_front = f"{len(subject.front.rows):,}"
    return [*cards, ("on the front", on_front, "no point beats them", "")]


def _asked(subject: PageSubject) -> dict[str, str]:
    """Return what holds for all points."""
    base = subject.study.spec.file.base.model_dump(mode="json", exclude_none=True)
    goals = [f"{_SENSES[g.sense]} {g.column}" for g in subject.front.goals]
    return {
        **{key: value_text(None, value) for key, value in base.items()},
        "subject to": ", ".join(map(str, subject.front.constraints)) or "nothing",
        "goals": ", ".join(goals),
    }


def _axes(subject: PageSubject) -> dict[str, str]:
    """List the axes with their values, of long lists the first and the last."""
    found = {}
    for axis in subject.axes:
        words = axis.choices()
        shown = words if len(words) <= 12 else [*words[:5], "...", words[-1]]
        found[axis.name] = f"{', '.join(shown)} ({len(words):,})"
    return found


def _front(subject: PageSubject) -> dict[str, Any]:
    data = front_data(subject.study, subject.front)
    columns = listed_columns(subject)
    figure = front_figure(subject)
    numbers = [row.point.number for row in subject.front.rows]
    return {
        "front": data,
        "front_figure": figure,
        "undrawn": _undrawn(subject, figure),
        "front_empty": "" if subject.front.rows else nothing_on_it(data),
        "listed": columns,
        "front_rows": list_points(subject, columns, numbers),
        "near": near_points(subject, columns, data["near"]),
    }


def _undrawn(subject: PageSubject, figure: Scatter | None) -> list[str]:
    """Return the constraints that are on neither axis of the figure."""
    drawn = figure.drawn if figure else ()
    return [str(c) for c in subject.front.constraints if c not in drawn]


def _bounds(subject: PageSubject) -> list[dict[str, Any]]:
    """Count the points with a plan by their bottleneck, most first."""
    every: Counter[str] = Counter()
    best: Counter[str] = Counter()
    for row in subject.study.rows:
        stage, link = row.values.get("bottleneck"), row.values.get("bottleneck_link")
        if stage is not None:
            name = f"{stage}, busiest link {link}" if link else str(stage)
            every[name] += 1
            best[name] += row.point.number in subject.on_front
    total = every.total()
    return [
        {
            "name": name,
            "count": number_of,
            "share": number_of / total,
            "on_front": best[name],
        }
        for name, number_of in sorted(every.items(), key=lambda x: (-x[1], x[0]))
    ]


def _maps(subject: PageSubject) -> Maps:
    front = subject.front
    best = front.knee or next(iter(front.rows), None)
    at = None if best is None else subject.place[best.point.number]
    return Maps.of(subject.columns, [goal.column for goal in front.goals], at)


def _drawn_maps(subject: PageSubject, maps: Maps) -> dict[str, Any]:
    status = subject.column("status")
    drawn = []
    if maps.axes and status is not None:
        drawn = [
            {
                "column": mapped.column,
                "legend": mapped.legend(),
                "rows": maps.cells(
                    mapped, status, subject.numbers, subject.hrefs, subject.on_front
                ),
            }
            for mapped in maps.maps
        ]
    return {"chosen": maps, "drawn": drawn}


def _data(subject: PageSubject, maps: Maps) -> dict[str, Any]:
    """Collect what the script reads."""
    pages = sorted(subject.pages.items())
    return {
        "numbers": subject.numbers,
        "columns": [column.data() for column in subject.columns],
        "pages": {str(number): href for number, href in subject.hrefs.items()},
        "remarks": {str(number): page.remark for number, page in pages if page.remark},
        "front": [row.point.number for row in subject.front.rows],
        "near": sorted(subject.missed),
        "maps": [mapped.data() for mapped in maps.maps] if maps.axes else [],
        "signs": SIGNS,
    }
