"""``shardplan study report``, which `shardplan report DIR` is, too."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import WholeRange, format_option
from shardplan.errors import InputError

point_option = click.option(
    "--point",
    metavar="N",
    type=WholeRange(min=0),
    help="Write the page of one point of a study instead, to the file FOLDER.",
)


@click.command(
    "report",
    cls=Command,
    examples="""
    shardplan study report results -o report
    shardplan study report results --point 17 -o point-17.html
    """,
)
@click.argument("directory", metavar="DIR", type=click.Path())
@point_option
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=click.Path(),
    required=True,
    help="A new folder, an empty one, or that of an earlier report.",
)
@format_option
def command(directory: str, point: int | None, output: str, form: str) -> None:
    """Write pages in HTML about a study.

    FOLDER/index.html has what was asked, the front with its constraints, cost against
    rate, maps of two axes, what bounds points, and a table of all points with filters.
    Every plan of the front has a page of its own; its point is solved again for it.
    """
    if point is None:
        write_study_report(directory, output, form)
    else:
        write_point_page(directory, point, output)


def write_study_report(directory: str, output: str, form: str) -> None:
    """Write the report of the study in a folder, and say what was written.

    Raises
    ------
    InputError
        For a folder without a study, and a place where nothing can be written.
    """
    from shardplan.report.pages.template import require_libraries

    require_libraries()
    from shardplan.report.pages.study.folder import write_report
    from shardplan.report.pages.study.summary import render_summary, summary_data
    from shardplan.studies.directory import ResultFolder
    from shardplan.studies.front import study_front
    from shardplan.studies.runner import load_study

    study = load_study(directory)
    _require_outside(directory, output)
    front = study_front(study)
    made_by = ResultFolder(directory).journal().version
    pages = write_report(
        study, front, _study_file(directory), made_by, output, _PageProgress()
    )
    console.report(summary_data(output, pages), render_summary, form)


def write_point_page(directory: str, point: int, output: str) -> None:
    """Write the page of the plan of one point of the study in a folder.

    Raises
    ------
    InputError
        For a folder without a study, and a point without a plan.
    """
    from shardplan.report.pages.template import require_libraries

    require_libraries()
    from shardplan.report.pages.study.folder import find_row, rebuilt_plan
    from shardplan.studies.resolve import Resolver
    from shardplan.studies.runner import load_study

    console.require_place(output)
    study = load_study(directory)
    plan = rebuilt_plan(study, Resolver(study.spec), find_row(study, point))
    if plan.html is None:
        raise InputError.single(directory, f"point {point}", None, plan.remark)
    if plan.remark:
        console.warn(f"point {point}: {plan.remark}")
    console.write(plan.html, output)


def _require_outside(directory: str, output: str) -> None:
    """Refuse to write into the folder of results, or over it."""
    results, folder = Path(directory).resolve(), Path(output).resolve()
    if folder == results or results in folder.parents or folder in results.parents:
        rule = f"must be outside the folder of results {directory}: name another one"
        raise InputError.single(output, "", None, rule)


def _study_file(directory: str) -> str:
    """Return the text of the study file as it last ran; empty if there was none."""
    try:
        return (Path(directory) / "study.toml").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


class _PageProgress:
    """Says on a terminal which plan is made."""

    def made(self, pages: int, total: int) -> None:
        """Say how many pages of plans there are."""
        if sys.stderr is not None and sys.stderr.isatty():
            console.note(f"\rPages of plans: {pages:,} of {total:,}")
            if pages == total:
                console.note("\n")
