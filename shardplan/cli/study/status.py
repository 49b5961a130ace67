"""``shardplan study status``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import report_options


@click.command("status", cls=Command, examples="shardplan study status results")
@click.argument("directory", metavar="DIR", type=click.Path())
@report_options
def command(directory: str, form: str, output: str) -> None:
    """Say how far a study is, also while it runs.

    Points by what became of them, who is at work, and what of the journal cannot be
    used: lines that were cut, and points of other versions.
    """
    from shardplan.report.study_summary import render_summary
    from shardplan.studies.summary import status

    console.report(status(directory), render_summary, form, output)
