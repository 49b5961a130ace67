"""``shardplan show``."""

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


@click.command(
    "show",
    cls=Command,
    examples="""
    shardplan show plan.json
    shardplan show plan.json --tables --limit 100
    """,
)
@plan_argument()
@click.option("--ranks", is_flag=True, help="List ranks, and tables only if asked.")
@click.option("--tables", is_flag=True, help="List tables, and ranks only if asked.")
@limit_option("ranks and tables")
@report_options
def command(
    plan: str, ranks: bool, tables: bool, limit: int | None, form: str, output: str
) -> None:
    """Show what a plan decides.

    A summary, the time and memory of every rank, and the decision for every table.
    """
    from shardplan.report.plan_view import plan_data, render_plan

    both = not (ranks or tables)
    data = plan_data(
        *load_checked(plan),
        ranks=ranks or both,
        tables=tables or both,
        limit=list_limit(limit, form),
    )
    console.report(data, render_plan, form, output)
