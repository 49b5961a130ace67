"""``shardplan report``."""

from __future__ import annotations

from pathlib import Path

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.plans import load_checked
from shardplan.cli.study.report import (
    point_option,
    write_point_page,
    write_study_report,
)


def _place(ctx: click.Context, param: click.Parameter, output: str) -> str | None:
    """Check where to write a page; a folder is checked when it is known whose."""
    if Path(ctx.params.get("plan", "")).is_dir():
        return output
    return console.place(ctx, param, output)


@click.command(
    "report",
    cls=Command,
    examples="""
    shardplan report plan.json -o page.html
    shardplan report plan.json --format json
    shardplan report results -o report
    shardplan report results --point 17 -o point-17.html
    """,
)
@click.argument("plan", metavar="PLAN|DIR", type=click.Path(), is_eager=True)
@point_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "json"]),
    default="html",
    help="HTML for people or JSON for programs; of a study, JSON of what was written.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE|FOLDER",
    type=click.Path(),
    default=console.STDOUT,
    callback=_place,
    help="Write to FILE instead of standard output ('-'); of a study, to FOLDER.",
)
def command(plan: str, point: int | None, form: str, output: str) -> None:
    """Write pages in HTML about a plan or a study.

    Of a plan: does it fit, the memory and the phases of every rank, what the predicted
    step consists of, where every table lies, the step's timeline, the loads of links,
    what bounds it, and the proof. The page is one file that loads nothing from
    elsewhere.

    Of a folder with the results of a study: as `shardplan study report` does.
    """
    if Path(plan).is_dir():
        _report_study(plan, point, form, output)
        return
    if point is not None:
        raise click.UsageError("--point is for the folder of a study's results")
    if form == "html":
        from shardplan.report.pages.template import require_libraries

        require_libraries()
    from shardplan.report.pages.plan_data import plan_page_data

    data = plan_page_data(*load_checked(plan))
    if form == "json":
        console.write(console.json_report(data), output)
        return
    from shardplan.report.pages.plan_page import plan_page

    console.write(plan_page(data), output)


def _report_study(directory: str, point: int | None, form: str, output: str) -> None:
    if point is not None:
        write_point_page(directory, point, output)
    elif output == console.STDOUT:
        raise click.UsageError("the report of a study is a folder: give -o FOLDER")
    else:
        write_study_report(directory, output, "json" if form == "json" else "text")
