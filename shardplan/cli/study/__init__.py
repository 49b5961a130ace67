"""Commands of ``shardplan study``, each imported when it runs."""

from __future__ import annotations

import click

from shardplan.cli.base import LazyGroup

COMMANDS = {
    "check": (
        "shardplan.cli.study.check",
        "Say what a study would run, or what is wrong with its file.",
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
    shardplan study parameter-servers dlrm-dcnv2 --topology dgx-h100:2
    """,
)
def command() -> None:
    """Compare systems and settings."""
