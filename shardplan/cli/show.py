"""``shardplan show``."""

from __future__ import annotations

from functools import partial

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import (
    limit_option,
    list_limit,
    plan_argument,
    plot_option,
    report_options,
)
from shardplan.cli.plans import draw, load_checked


@click.command(
    "show",
    cls=Command,
    examples="""
    shardplan show plan.json
    shardplan show plan.json --tables --limit 100
    shardplan show plan.json --plot memory.svg
    """,
)
@plan_argument()
@click.option("--ranks", is_flag=True, help="List ranks, and tables only if asked.")
@click.option("--tables", is_flag=True, help="List tables, and ranks only if asked.")
@limit_option("ranks and tables")
@plot_option("what fills the memory of every rank")
@report_options
def command(
    plan: str,
    ranks: bool,
    tables: bool,
    limit: int | None,
    plot: str | None,
    form: str,
    output: str,
) -> None:
    """Show what a plan decides.

    A summary, the time and memory of every rank, and the decision for every table.
    """
    from shardplan.report.plan_view import plan_data, render_plan

    if plot is not None:
        from shardplan.report.plot import require_matplotlib

        require_matplotlib()
    evaluation, verdict = load_checked(plan)
    both = not (ranks or tables)
    data = plan_data(
        evaluation,
        verdict,
        ranks=ranks or both,
        tables=tables or both,
        limit=list_limit(limit, form),
    )
    if plot is not None:
        from shardplan.report.plot import memory_plot
        from shardplan.report.ranks import ranks_data

        memory = ranks_data(evaluation)["memory"]
        draw(plot, partial(memory_plot, memory), evaluation)
    console.report(data, render_plan, form, output)
