"""``shardplan schema``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import report_options

KINDS = ("topology", "cost-model", "workload", "plan", "study", "network")
"""The kinds of files, as in `shardplan.plans.schemas`."""


@click.command("schema", cls=Command, examples="shardplan schema plan -o schema.json")
@click.argument("kind", type=click.Choice(KINDS))
@report_options
def command(kind: str, form: str, output: str) -> None:
    """Print the JSON Schema of a kind of file.

    It is JSON in either format.
    """
    from shardplan.plans.schemas import format_schema

    console.write(format_schema(kind), output)
