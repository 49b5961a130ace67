"""``shardplan stats diff``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import limit_option, list_limit, report_options


@click.command("diff", cls=Command, examples="shardplan stats diff monday tuesday")
@click.argument("before", metavar="DIR_A", type=click.Path())
@click.argument("after", metavar="DIR_B", type=click.Path())
@limit_option("tables")
@report_options
def command(before: str, after: str, limit: int | None, form: str, output: str) -> None:
    """Compare the statistics of two logs: what moved, by more than errors or not.

    For each table the distance of rows seen, lookups per sample, access curve, unique
    rows, misses and heat of blocks; tables whose access moved most first.
    """
    from shardplan.report.statistics_diff import (
        render_statistics_diff,
        statistics_diff_data,
    )
    from shardplan.statistics.folder import load_statistics

    old, new = load_statistics(before), load_statistics(after)
    data = statistics_diff_data(old, new, limit=list_limit(limit, form))
    console.report(data, render_statistics_diff, form, output)
