"""``shardplan export``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import complete_words, plan_argument, report_options
from shardplan.cli.plans import load_plan
from shardplan.units import format_bytes, plural

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan

_RESHARD = "torchrec-reshard"
_TORCHREC = ("torchrec", _RESHARD)


def _complete_exporter(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[str]:
    from shardplan.exporters import exporter_names

    return complete_words([*exporter_names(), _RESHARD], incomplete)


@click.command(
    "export",
    cls=Command,
    examples="""
    shardplan export plan.json --to torchrec -o sharding.json
    shardplan export plan.json --to torchrec --module model.sparse_arch.ebc
    shardplan export new.json --to torchrec-reshard --from old.json -o delta.json
    shardplan export plan.json --to manifest
    """,
)
@plan_argument()
@click.option(
    "--to",
    metavar="NAME",
    shell_complete=_complete_exporter,
    required=True,
    help="torchrec, torchrec-reshard, hugectr, manifest, sbp or that of a plug-in.",
)
@click.option(
    "--module",
    metavar="PATH",
    help="With torchrec and torchrec-reshard: path of the module of the tables that do "
    "not name theirs.",
)
@click.option(
    "--from",
    "old",
    metavar="OLD_PLAN",
    type=click.Path(),
    help="With torchrec-reshard: the plan that the job runs now.",
)
@report_options
def command(
    plan: str, to: str, module: str | None, old: str | None, form: str, output: str
) -> None:
    """Write a plan for the program that runs it.

    torchrec is loaded by shardplan.integrations.torchrec.load_sharding_plan,
    torchrec-reshard is what changes on the way from another plan, which
    shardplan.integrations.torchrec.reshard applies to a running job, hugectr
    has shard_matrix and shard_strategy, manifest lists every rank's shards for any
    program, sbp has split and broadcast placements. All are JSON, indented as text.
    A plan that is not valid, or that the framework cannot run, is refused.
    """
    if module is not None and to not in _TORCHREC:
        raise click.UsageError("--module is for --to torchrec and torchrec-reshard")
    if (old is not None) != (to == _RESHARD):
        raise click.UsageError(
            f"--to {_RESHARD} needs --from OLD_PLAN, and nothing else has it"
        )
    if plan == old == console.STDOUT:
        raise click.UsageError("only one of the plans can come from standard input")
    with console.strays_to_stderr():
        data = (
            _export(load_plan(plan), to, module)
            if old is None
            else _reshard(load_plan(plan), load_plan(old), module)
        )
    compact = json.dumps(data, separators=(",", ":")) + "\n"
    console.write(compact if form == "json" else console.to_json(data), output)


def _export(plan: Plan, to: str, module: str | None) -> dict[str, Any]:
    from shardplan.exporters import load_exporter
    from shardplan.exporters.torchrec import export as to_torchrec
    from shardplan.exporters.torchrec import without_checkpoints

    export = load_exporter(to)
    if to == "torchrec":
        for text in without_checkpoints(plan):
            console.warn(text)
    return export(plan) if module is None else to_torchrec(plan, module)


def _reshard(plan: Plan, old: Plan, module: str | None) -> dict[str, Any]:
    """Export what changes, and say on standard error how much that is."""
    from shardplan.exporters.torchrec_reshard import export

    data = export(plan, old, module)
    count = sum(map(len, data["changes"].values()))
    if not count:
        console.note("nothing moves: both plans have every table on the same ranks\n")
        return data
    total = format_bytes(data["moved_bytes"])
    most = max(rank["received_bytes"] for rank in data["ranks"])
    extra = max(rank["extra_bytes"] for rank in data["ranks"])
    console.note(
        f"{plural(count, 'table')} to move: {total}, at most {format_bytes(most)} to a "
        f"rank; meanwhile a rank needs up to {format_bytes(extra)} beside its tables\n"
    )
    return data
