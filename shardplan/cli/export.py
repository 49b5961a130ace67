"""``shardplan export``."""

from __future__ import annotations

import json

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import complete_words, plan_argument, report_options
from shardplan.cli.plans import load_plan


def _complete_exporter(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[str]:
    from shardplan.exporters import exporter_names

    return complete_words(exporter_names(), incomplete)


@click.command(
    "export",
    cls=Command,
    examples="""
    shardplan export plan.json --to torchrec -o sharding.json
    shardplan export plan.json --to manifest
    """,
)
@plan_argument()
@click.option(
    "--to",
    metavar="NAME",
    shell_complete=_complete_exporter,
    required=True,
    help="torchrec, hugectr, manifest, sbp or that of a plug-in.",
)
@report_options
def command(plan: str, to: str, form: str, output: str) -> None:
    """Write a plan for the program that runs it.

    torchrec is loaded by shardplan.integrations.torchrec.load_sharding_plan, hugectr
    has shard_matrix and shard_strategy, manifest lists every rank's shards for any
    program, sbp has split and broadcast placements. All are JSON, indented as text.
    A plan that is not valid, or that the framework cannot run, is refused.
    """
    from shardplan.exporters import export, load_exporter

    load_exporter(to)
    data = export(load_plan(plan), to)
    compact = json.dumps(data, separators=(",", ":")) + "\n"
    console.write(compact if form == "json" else console.to_json(data), output)
