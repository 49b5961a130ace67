"""``shardplan evaluate``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import plan_argument, report_options
from shardplan.cli.plans import load_checked


@click.command("evaluate", cls=Command, examples="shardplan evaluate plan.json")
@plan_argument()
@report_options
def command(plan: str, form: str, output: str) -> None:
    """Price a plan: seconds and bytes.

    All objectives, maximum and mean of every phase, what the predicted step consists
    of, the fullest place of every tier of memory, and what was taken off the memory
    before.
    """
    from shardplan.report.evaluation import evaluation_data, render_evaluation

    data = evaluation_data(*load_checked(plan))
    console.report(data, render_evaluation, form, output)
