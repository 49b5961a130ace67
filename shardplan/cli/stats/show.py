"""``shardplan stats show``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import report_options


@click.command("show", cls=Command, examples="shardplan stats show statistics")
@click.argument("folder", type=click.Path())
@report_options
def command(folder: str, form: str, output: str) -> None:
    """Show what was measured of a log: a line for each table, and what was not read.

    Text has the 20 days that moved most, JSON all.
    """
    from shardplan.report.statistics_view import render_statistics, statistics_data
    from shardplan.statistics.folder import load_statistics

    data = statistics_data(load_statistics(folder))
    console.report(data, render_statistics, form, output)
