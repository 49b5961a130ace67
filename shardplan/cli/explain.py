"""``shardplan explain``."""

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


@click.command("explain", cls=Command, examples="shardplan explain plan.json --limit 5")
@plan_argument()
@limit_option("tables")
@report_options
def command(plan: str, limit: int | None, form: str, output: str) -> None:
    """Explain why a plan costs what it costs.

    Which rank holds the others up in every phase and by which tables, which memory
    is full, what every table costs, and what would change it: the same plan on
    better hardware, in perfect balance, or without its dearest tables.
    """
    from shardplan.report.explain import explain_data, render_explain

    data = explain_data(*load_checked(plan), limit=list_limit(limit, form))
    console.report(data, render_explain, form, output)
