"""Commands on mutants: any exit code but no exception."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner

from shardplan.cli.main import cli

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from shardplan.errors import ShardplanError
    from shardplan.plans.plan import Plan

COMMANDS = (
    *(("show",), ("explain",), ("evaluate",), ("check",), ("check", "--format=json")),
    *(("simulate",), ("export", "--to", "torchrec"), ("export", "--to", "manifest")),
    *(("export", "--to", "hugectr"), ("show", "--format", "json")),
)


def run_commands(plan: Plan, rng: Random, folder: Path) -> None:
    """Run a command on a plan that may be wrong in any way."""
    path = folder / "mutant.json"
    plan.save(path)
    run(*rng.choice(COMMANDS), str(path))


def run(*arguments: str) -> None:
    """Run a command; raise what escapes it, or what a terminal would obey."""
    result = CliRunner().invoke(cli, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert_printable(result.output)
    assert result.exit_code in (0, 1, 2, 3, 4), result.output


def assert_readable(error: ShardplanError) -> None:
    """Require that an error says something, and nothing that a terminal obeys."""
    assert str(error)
    assert_printable(str(error))


def assert_printable(text: str) -> None:
    """Require that all characters but line breaks are printable."""
    odd = {character for character in text if not character.isprintable()} - {"\n"}
    assert not odd
