"""``shardplan diff``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import (
    limit_option,
    list_limit,
    plan_argument,
    report_options,
)
from shardplan.cli.plans import load_checked


@click.command("diff", cls=Command, examples="shardplan diff old.json new.json")
@plan_argument("before")
@plan_argument("after")
@limit_option("changed tables")
@report_options
def command(before: str, after: str, limit: int | None, form: str, output: str) -> None:
    """Compare two plans.

    Objective, steps, phases and memory, the tables whose decision or ranks changed, and
    the bytes that ranks must receive to go from one plan to the other.
    """
    from shardplan.report.diff import diff_data, render_diff

    if before == after == console.STDOUT:
        raise click.UsageError("only one of the plans can come from standard input")
    data = diff_data(
        *load_checked(before),
        *load_checked(after),
        limit=list_limit(limit, form),
    )
    console.report(data, render_diff, form, output)
