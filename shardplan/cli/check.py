"""``shardplan check``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import plan_argument, report_options
from shardplan.cli.plans import load_plan
from shardplan.records.sharding import Target


@click.command(
    "check",
    cls=Command,
    examples="""
    shardplan check plan.json
    shardplan check plan.json --target torchrec
    shardplan check plan.json --require-proof
    """,
)
@plan_argument()
@click.option(
    "--target",
    type=click.Choice([target.value for target in Target]),
    help="Check the shapes of this framework instead of the plan's own target.",
)
@click.option(
    "--require-proof",
    is_flag=True,
    help="Also refuse a plan whose bound or status `optimal` is claimed, not proven by "
    "its certificate.",
)
@report_options
@click.pass_context
def command(
    ctx: click.Context,
    plan: str,
    target: str | None,
    require_proof: bool,
    form: str,
    output: str,
) -> None:
    """Prove a plan, or say what is wrong with it.

    Every cell of every table is placed exactly once, everything fits, constraints
    and the target's shapes are kept, and objective and gap are as claimed. The bound
    is proven if the plan has a certificate that proves it on the menu of its inputs,
    else it is only claimed. The exit code is 1 if anything is wrong.
    """
    from shardplan.checking import examine
    from shardplan.report.check import check_data, render_check

    loaded = load_plan(plan)
    verdict = examine(loaded, Target(target) if target else None)
    data = check_data(loaded, verdict, require_proof=require_proof)
    console.report(data, render_check, form, output)
    if data["status"] == "invalid":
        ctx.exit(1)
