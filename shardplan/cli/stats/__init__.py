"""``shardplan stats``: measure tables in logs, and look at what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardplan.cli.base import LazyGroup

if TYPE_CHECKING:
    from typing import Any

COMMANDS = {
    "measure": (
        "shardplan.cli.stats.measure",
        "Measure the tables of a log; what stats does with the names of files.",
    ),
    "guess": ("shardplan.cli.stats.guess", "Write a first mapping of a log's columns."),
    "show": ("shardplan.cli.stats.show", "Show what was measured."),
    "diff": ("shardplan.cli.stats.diff", "Compare what was measured of two logs."),
    "plot": ("shardplan.cli.stats.plot", "Draw the curves of tables."),
}


class _Measuring(LazyGroup):
    """Files in the place of a command are measured."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command there that files, or options of it, stand for."""
        if args and args[0] not in (*self.lazy, *ctx.help_option_names):
            self._refuse_typo(ctx, args[0])
            args = ["measure", *args]
        return super().parse_args(ctx, args)

    def _refuse_typo(self, ctx: click.Context, word: str) -> None:
        """Refuse what is near the name of a command, and no file."""
        if Path(word).suffix or word.startswith("-") or Path(word).exists():
            return
        from shardplan.io.wording import suggest

        if meant := suggest(word, self.lazy):
            ctx.fail(f"No such command, file or folder: {word!r}{meant}")


@click.group(
    "stats",
    cls=_Measuring,
    lazy=COMMANDS,
    examples="""
    shardplan stats guess clicks.parquet -o mapping.toml
    shardplan stats clicks.parquet --features mapping.toml -o statistics
    shardplan stats show statistics
    shardplan stats diff monday tuesday
    shardplan stats plot statistics -o curves.svg
    """,
)
def command(**_: Any) -> None:
    """Measure the statistics of tables in logs of lookups.

    ``shardplan stats LOGS... --features MAPPING -o FOLDER`` is short for ``stats
    measure``.
    """
