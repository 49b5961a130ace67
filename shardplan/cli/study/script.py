"""``shardplan study script``."""

from __future__ import annotations

import click

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import WholeRange, format_option, output_option


@click.command(
    "script",
    cls=Command,
    examples="""
    shardplan study script study.toml --cluster slurm -o study.sh
    shardplan study script study.toml --cluster kubernetes
    """,
)
@click.argument("file", metavar="FILE", type=click.Path())
@click.option(
    "--cluster",
    type=click.Choice(["slurm", "kubernetes", "local"]),
    required=True,
    help="What runs the script.",
)
@click.option(
    "--results",
    metavar="DIR",
    default="results",
    help="Folder of the results (default: results).",
)
@click.option(
    "--workers",
    metavar="N",
    type=WholeRange(min=1, max=1024),
    default=8,
    help="Workers; for slurm on each host (default: 8).",
)
@format_option
@output_option
def command(
    file: str, cluster: str, results: str, workers: int, form: str, output: str
) -> None:
    """Print a script that runs a study on a cluster.

    It starts a Dask scheduler, workers, and `shardplan study run`. A job that ends
    early goes on where it was when the script is run again.
    """
    from shardplan.studies.scripts import SCRIPTS
    from shardplan.studies.spec import load_spec

    load_spec(file)
    text = SCRIPTS[cluster](file, results, workers)
    if form == "json":
        text = console.json_report({"cluster": cluster, "script": text})
    console.write(text, output)
