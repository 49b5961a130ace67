"""The entry point ``shardplan``: all commands, errors and exit codes."""

from __future__ import annotations

import sys

import click

from shardplan.cli.base import TopGroup
from shardplan.version import VERSION

COMMANDS = {
    "solve": ("shardplan.cli.solve", "Find a shard plan."),
    "check": ("shardplan.cli.check", "Prove a plan, or say what is wrong with it."),
    "evaluate": ("shardplan.cli.evaluate", "Price a plan: seconds and bytes."),
    "simulate": ("shardplan.cli.simulate", "Simulate the training step of a plan."),
    "validate": (
        "shardplan.cli.validate",
        "Compare predictions with published measurements.",
    ),
    "recommend": (
        "shardplan.cli.recommend",
        "Find the smallest, or cheapest, cluster that trains at a wanted rate.",
    ),
    "study": ("shardplan.cli.study", "Compare systems and settings."),
    "show": ("shardplan.cli.show", "Show what a plan decides."),
    "explain": ("shardplan.cli.explain", "Explain why a plan costs what it costs."),
    "report": ("shardplan.cli.report", "Write pages in HTML about a plan or a study."),
    "diff": ("shardplan.cli.diff", "Compare two plans."),
    "export": ("shardplan.cli.export", "Write a plan for the program that runs it."),
    "import": (
        "shardplan.cli.importing",
        "Describe a model and a cluster of another program.",
    ),
    "topology": ("shardplan.cli.topology", "List, show, validate and copy topologies."),
    "workload": (
        "shardplan.cli.workload",
        "List, show, validate, copy and build workloads.",
    ),
    "cost-model": (
        "shardplan.cli.cost_model",
        "List, show, validate and copy cost models.",
    ),
    "network": (
        "shardplan.cli.network",
        "List, show, validate, copy and fit networks.",
    ),
    "stats": (
        "shardplan.cli.stats",
        "Measure the statistics of tables in logs of lookups.",
    ),
    "schema": ("shardplan.cli.schema", "Print the JSON Schema of a kind of file."),
    "completion": ("shardplan.cli.completion", "Print a shell completion script."),
}
"""Command name to (module, short help), so that help needs no import."""


@click.group(
    cls=TopGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    examples="""
    shardplan solve dlrm-dcnv2 --topology dgx-h100:2 -o plan.json
    shardplan explain plan.json
    """,
)
@click.version_option(VERSION, "--version", prog_name="shardplan")
def cli() -> None:
    """Plan how embedding tables are sharded over a GPU cluster.

    An input is always a shipped name or a path. Exit codes: 1 wrong input or a plan
    with violations, 2 wrong usage, 3 infeasible, 4 stopped at a limit without a plan.
    """


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    cli(prog_name="shardplan")
