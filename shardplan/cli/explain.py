"""``shardplan explain``."""

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
    "explain",
    cls=Command,
    examples="""
    shardplan explain plan.json --limit 5
    shardplan explain plan.json --plot phases.svg
    """,
)
@plan_argument()
@limit_option("tables")
@plot_option("the phases of every rank")
@report_options
def command(
    plan: str, limit: int | None, plot: str | None, form: str, output: str
) -> None:
    """Explain why a plan costs what it costs.

    Which rank holds the others up in every phase and by which tables, what the
    predicted step consists of and which operations it hangs on, which memory is full,
    what every table costs, and what would change it: the same plan on better hardware,
    in perfect balance, or without its dearest tables.
    """
    from shardplan.report.explain import explain_data, render_explain

    if plot is not None:
        from shardplan.report.plot import require_matplotlib

        require_matplotlib()
    evaluation, verdict = load_checked(plan)
    data = explain_data(evaluation, verdict, limit=list_limit(limit, form))
    if plot is not None:
        from shardplan.report.plot import phases_plot
        from shardplan.report.ranks import ranks_data

        phases = ranks_data(evaluation)["phases_s"]
        draw(plot, partial(phases_plot, phases), evaluation)
    console.report(data, render_explain, form, output)
