"""Write the report of a study: a page of all points, and one per plan of the front."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Protocol

from shardplan.errors import InfeasibleError, InputError, LimitError
from shardplan.io.folders import folder_draft, require_replaceable
from shardplan.plans.evaluation import evaluate
from shardplan.plans.plan_file import format_plan
from shardplan.report.pages.plan_data import plan_page_data
from shardplan.report.pages.plan_page import plan_page
from shardplan.report.pages.study.content import study_content
from shardplan.report.pages.study.subject import PageSubject, PointPage
from shardplan.report.pages.template import render, require_libraries
from shardplan.studies.evaluate import solve_point
from shardplan.studies.resolve import Resolver
from shardplan.version import VERSION

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from shardplan.studies.front import Front
    from shardplan.studies.study import Study, StudyRow

INDEX = "index.html"
"""The page of all points."""
KIND = "study report"
_POINTS = "points"


class PageObserver(Protocol):
    """Is told how far a report is."""

    def made(self, pages: int, total: int) -> None:
        """Take note that so many pages of plans are made."""


class RebuiltPlan(NamedTuple):
    """The page of a plan that was solved again.

    Attributes
    ----------
    html : str or None
        None where there is no plan now.
    remark : str
        What differs from what the study found; empty if nothing does.
    """

    html: str | None
    remark: str


def write_report(
    study: Study,
    front: Front[StudyRow],
    source: str,
    made_by: str,
    output: str | os.PathLike[str],
    observer: PageObserver,
) -> dict[int, PointPage]:
    """Write the folder of a report, whole or not at all.

    Parameters
    ----------
    source : str
        The study file.
    made_by : str
        The release of shardplan that found the results.
    output : path
        A new or empty folder, or an earlier report, which is replaced.

    Returns
    -------
    dict of int to PointPage
        By the numbers of the points of the front.

    Raises
    ------
    InputError
        If the folder may not be replaced or cannot be written, or the libraries for
        pages are missing.
    """
    require_libraries()
    require_replaceable(output, KIND)
    with folder_draft(output, KIND) as draft:
        pages = _write_plans(study, front, draft, observer)
        subject = PageSubject(study, front, pages)
        _write(draft / INDEX, study_page(subject, source, made_by))
    return pages


def study_page(subject: PageSubject, source: str, made_by: str = VERSION) -> str:
    """Write the page of a study; it needs no other file but for its links."""
    return render("study.html", name="study", **study_content(subject, source, made_by))


def rebuilt_plan(study: Study, resolver: Resolver, row: StudyRow) -> RebuiltPlan:
    """Solve a point again, and write its page.

    Raises
    ------
    InputError
        If an input of the point cannot be changed as it asks.
    """
    number = row.point.number
    if row.point.base.kind != "plan":
        return RebuiltPlan(None, "parameter servers have no plan")
    try:
        found = solve_point(resolver.resolve(row.point))
    except (InfeasibleError, LimitError) as error:
        if isinstance(error, LimitError) and error.interrupted:
            raise
        return RebuiltPlan(None, "no plan is found now")
    data = plan_page_data(evaluate(found.plan), found.verdict)
    axes = ", ".join(f"{name} = {value}" for name, value in row.point.values.items())
    place = f"point {number} of {study.spec.file.name}" + (f": {axes}" if axes else "")
    digest = sha256(format_plan(found.plan).encode()).hexdigest()
    is_same = digest == row.values.get("plan_sha256")
    remark = "" if is_same else "not the plan that the study found"
    html = plan_page(data, origin=f"{place}{'; ' if remark else ''}{remark}")
    return RebuiltPlan(html, remark)


def find_row(study: Study, number: int) -> StudyRow:
    """Return the row of a point.

    Raises
    ------
    InputError
        If there is none, or the point has no plan.
    """
    row = next((row for row in study.rows if row.point.number == number), None)
    where = study.spec.file.name
    if row is None:
        known = ", ".join(str(r.point.number) for r in study.rows[:3])
        rule = f"has no result; points with results are {known}, ..."
        raise InputError.single(where, "point", number, rule)
    if row.status != "feasible":
        why = row.values.get("message") or "it was not run"
        raise InputError.single(where, "point", number, f"is {row.status}: {why}")
    return row


def _write_plans(
    study: Study, front: Front[StudyRow], draft: Path, observer: PageObserver
) -> dict[int, PointPage]:
    """Write the pages of the front's plans."""
    resolver = Resolver(study.spec)
    (draft / _POINTS).mkdir()
    pages = {}
    for index, row in enumerate(front.rows):
        observer.made(index, len(front.rows))
        plan = rebuilt_plan(study, resolver, row)
        href = f"{_POINTS}/{row.point.number}.html"
        if plan.html is not None:
            _write(draft / href, plan.html)
        pages[row.point.number] = PointPage(href if plan.html else None, plan.remark)
    observer.made(len(front.rows), len(front.rows))
    return pages


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
