"""``shardplan report``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import output_option, plan_argument
from shardplan.cli.plans import load_checked


@click.command(
    "report",
    cls=Command,
    examples="""
    shardplan report plan.json -o page.html
    shardplan report plan.json --format json
    """,
)
@plan_argument()
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "json"]),
    default="html",
    help="A page for people or JSON for programs (default: html).",
)
@output_option
def command(plan: str, form: str, output: str) -> None:
    """Write a page in HTML about a plan.

    Does it fit, the memory and the phases of every rank, where every table lies, the
    step's timeline, the loads of links, what bounds it, and the proof. The page is one
    file that loads nothing from elsewhere.
    """
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
