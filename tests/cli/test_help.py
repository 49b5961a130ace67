"""Help, the list of commands, and what they import."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from shardplan.cli.base import Command, Group
from shardplan.cli.main import COMMANDS, cli
from shardplan.cli.reference import reference
from shardplan.cli.schema import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Run

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    *("numpy", "pandas", "pydantic", "rich", "scipy", "networkx", "pulp", "highspy"),
    *("jinja2", "markupsafe", "matplotlib", "PIL"),
)


def paths(
    command: click.Command, at: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """List all commands with the words that lead to them."""
    yield at, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from paths(child, (*at, name))


ALL = dict(paths(cli))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help_and_example(run: Run, words: tuple[str, ...]) -> None:
    """Help says what a command does and ends in examples that name it."""
    command = ALL[words]
    assert isinstance(command, (Command, Group))
    result = run(*words, "--help")
    assert result.exit_code == 0
    assert command.help
    assert "Example" in result.stdout
    assert command.examples
    for example in command.examples:
        assert example.startswith(" ".join(["shardplan", *words]))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_examples_use_options_that_exist(words: tuple[str, ...]) -> None:
    """Every option of an example belongs to its command."""
    if not words:
        return
    command = ALL[words]
    known = {name for p in command.params for name in p.opts}
    for example in command.examples:  # type: ignore[attr-defined]
        used = {word for word in example.split() if word.startswith("-")}
        if isinstance(command, Group):
            continue
        assert used <= known, example


@pytest.mark.parametrize("words", [w for w in ALL if w], ids=" ".join)
def test_reports_have_the_same_options(words: tuple[str, ...]) -> None:
    """Every command that does something has --format and --output."""
    command = ALL[words]
    if isinstance(command, Group):
        return
    names = {name for p in command.params for name in p.opts}
    assert {"--format", "--output", "-o"} <= names


def test_static_help_is_true() -> None:
    """The short help of the list is the first sentence of each command."""
    for name, (module, text) in COMMANDS.items():
        command = importlib.import_module(module).command
        assert command.name == name
        first = inspect.cleandoc(command.help).split("\n\n")[0]
        assert " ".join(first.split()) == text


def test_help_text(run: Run, golden: Callable[[str, str], None]) -> None:
    """The help of the program lists its commands in the order of their use."""
    golden("cli/help.txt", run("--help").stdout)


def test_version(run: Run) -> None:
    """--version names program and version."""
    from shardplan.version import VERSION

    assert VERSION in run("--version").stdout


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["solve", "--help"], ["topology", "-h"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Help needs no numerics, no validation and no layout."""
    code = (
        "import sys\n"
        "from shardplan.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print('LOADED', *sorted(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = done.stdout.rpartition("LOADED")[2].split()
    assert "click" in loaded
    assert not {name.partition(".")[0] for name in loaded} & set(HEAVY)


def test_reference_is_current() -> None:
    """docs/reference/cli.md is what the commands say."""
    path = ROOT / "docs" / "reference" / "cli.md"
    assert path.read_text(encoding="utf-8") == reference()


def test_reference_has_all_commands() -> None:
    """Every command has a section."""
    text = reference()
    for words in ALL:
        assert f"\n## {' '.join(['shardplan', *words])}\n" in text


def test_schema_kinds_are_those_of_the_files() -> None:
    """The static choice of `schema` has all kinds of files."""
    from shardplan.plans.schemas import KINDS as FILES

    assert tuple(FILES) == KINDS


def test_solver_help_names_all_solvers() -> None:
    """The help of --solver names every solver that is built in."""
    from shardplan.solvers.registry import SOLVERS

    option = next(p for p in ALL[("solve",)].params if p.name == "solver")
    assert isinstance(option, click.Option)
    assert all(name in (option.help or "") for name in SOLVERS)


@pytest.mark.parametrize("word", ["slove", "topolgy", "cost_model"])
def test_unknown_command_is_suggested(run: Run, word: str) -> None:
    """A typo in a command names the nearest one and ends in code 2."""
    result = run(word)
    assert result.exit_code == 2
    assert "did you mean" in result.stderr


def test_unknown_option_is_suggested(run: Run) -> None:
    """A typo in an option names the nearest one and ends in code 2."""
    result = run("solve", "neo-a", "--topolgy", "zionex")
    assert result.exit_code == 2
    assert "--topology" in result.stderr


def test_no_arguments_show_help(run: Run) -> None:
    """Without arguments the program shows its commands."""
    result = run()
    assert "Commands:" in result.output
