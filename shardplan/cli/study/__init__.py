"""Commands of ``shardplan study``, each imported when it runs."""

from __future__ import annotations

import click

from shardplan.cli.base import LazyGroup

COMMANDS = {
    "check": (
        "shardplan.cli.study.check",
        "Say what a study would run, or what is wrong with its file.",
    ),
    "run": ("shardplan.cli.study.run", "Run the points that have no result yet."),
    "status": ("shardplan.cli.study.status", "Say how far a study is."),
    "table": ("shardplan.cli.study.table", "Show the results of a study."),
    "script": (
        "shardplan.cli.study.script",
        "Print a script that runs a study on a cluster.",
    ),
    "pareto": (
        "shardplan.cli.study.pareto",
        "List the points of a study that no other point beats.",
    ),
    "report": (
        "shardplan.cli.study.report",
        "Write pages in HTML about a study.",
    ),
    "diff": (
        "shardplan.cli.study.diff",
        "Compare two studies by their results.",
    ),
    "parameter-servers": (
        "shardplan.cli.study.parameter_servers",
        "Compare parameter servers on CPUs with the synchronous step of a plan.",
    ),
}
"""Command name to (module, short help), so that help needs no import."""


@click.group(
    "study",
    cls=LazyGroup,
    lazy=COMMANDS,
    examples="""
    shardplan study check study.toml
    shardplan study run study.toml -o results
    shardplan study table results --sort throughput_samples_per_s
    shardplan study pareto results
    shardplan study report results -o report
    shardplan study parameter-servers dlrm-dcnv2 --topology dgx-h100:2
    """,
)
def command() -> None:
    """Compare systems and settings."""
