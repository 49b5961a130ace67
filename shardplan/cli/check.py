"""``shardplan check``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import plan_argument, report_options
from shardplan.cli.plans import load_plan
from shardplan.sharding import Target

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command(
    "check",
    cls=Command,
    examples="""
    shardplan check plan.json
    shardplan check plan.json --target torchrec
    """,
)
@plan_argument()
@click.option(
    "--target",
    type=click.Choice([target.value for target in Target]),
    help="Check the shapes of this framework instead of the plan's own target.",
)
@report_options
@click.pass_context
def command(
    ctx: click.Context, plan: str, target: str | None, form: str, output: str
) -> None:
    """Prove a plan, or say what is wrong with it.

    Every cell of every table is placed exactly once, everything fits, constraints
    and the target's shapes are kept, and objective and gap are as claimed. The exit
    code is 1 if anything is wrong.
    """
    from shardplan.checking import check

    violations = check(load_plan(plan), Target(target) if target else None)
    data = {
        "status": "invalid" if violations else "valid",
        "num_violations": len(violations),
        "violations": [
            {"rule": v.rule, "table": v.table, "message": v.message} for v in violations
        ],
    }
    console.report(data, lambda _: _render([str(v) for v in violations]), form, output)
    if violations:
        ctx.exit(1)


def _render(violations: list[str]) -> Any | RenderableType:
    from shardplan.report.layout import lines

    return lines(violations or ["valid"])
