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
    shardplan export plan.json --to torchrec --module model.sparse_arch.ebc
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
@click.option(
    "--module",
    metavar="PATH",
    help="With torchrec: path of the module of the tables that do not name theirs.",
)
@report_options
def command(plan: str, to: str, module: str | None, form: str, output: str) -> None:
    """Write a plan for the program that runs it.

    torchrec is loaded by shardplan.integrations.torchrec.load_sharding_plan, hugectr
    has shard_matrix and shard_strategy, manifest lists every rank's shards for any
    program, sbp has split and broadcast placements. All are JSON, indented as text.
    A plan that is not valid, or that the framework cannot run, is refused.
    """
    from shardplan.exporters import load_exporter
    from shardplan.exporters.torchrec import export as to_torchrec

    with console.strays_to_stderr():
        export = load_exporter(to)
        if module is not None and to != "torchrec":
            raise click.UsageError("--module is for --to torchrec")
        loaded = load_plan(plan)
        data = export(loaded) if module is None else to_torchrec(loaded, module)
    compact = json.dumps(data, separators=(",", ":")) + "\n"
    console.write(compact if form == "json" else console.to_json(data), output)
