"""Run the examples of a page and write down what they really print.

What is run, block by block, in one empty folder and one namespace per page:

- ``console``: lines after ``$`` are commands, the rest is their output. A command
  without output in the page may print anything. A last line ``...`` stands for more
  lines. ``$ echo $?`` prints the exit code of the command before; without it, a
  command must succeed.
- ``pycon``: an interactive session, output as it is.
- ``python``: a program that must run.
- any other block with a file name, such as ``toml my-cluster.toml``: that file.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from shardplan.cli.main import cli

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_RUNTIME = re.compile(r"^(runtime +|.*\"runtime_s\": ).*$", re.MULTILINE)
_CUT = "..."


def mask(text: str) -> str:
    """Hide the durations, which differ from run to run."""
    return _RUNTIME.sub(r"\1<time>", text)


def rerun(text: str, folder: Path) -> str:
    """Return a page with the outputs that its examples print in `folder`.

    Raises
    ------
    RuntimeError
        If a command fails and the page does not say so.
    """
    session = _Session(folder)

    def run(block: re.Match[str]) -> str:
        kind, name, body = block[1], block[2], block[3]
        made = session.run(kind, name, body)
        shown = body if mask(made) == mask(body) else made
        head = f"{kind} {name}" if name else kind
        return f"```{head}\n{shown}```"

    with contextlib.chdir(folder):
        return _BLOCK.sub(run, text)


def commands(text: str) -> list[str]:
    """Return the commands of all console blocks of a page."""
    bodies = [block[3] for block in _BLOCK.finditer(text) if block[1] == "console"]
    return [command for body in bodies for command, _ in _split(body)]


class _Session:
    """What the blocks of a page share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._exit_code = 0
        self._last = ""

    def run(self, kind: str, name: str | None, body: str) -> str:
        """Run a block; return its text with the real output."""
        if kind == "console":
            return "".join(self._commands(body))
        if kind == "pycon":
            return "".join(self._statements(body))
        if kind == "python":
            exec(compile(body, "page", "exec"), self._names)
        elif name:
            (self._folder / name).write_text(body, encoding="utf-8")
        return body

    def _commands(self, body: str) -> Iterator[str]:
        pieces = _split(body)
        for number, (command, shown) in enumerate(pieces):
            following = pieces[number + 1][0] if number + 1 < len(pieces) else ""
            output = self._command(command)
            if self._exit_code and following != "echo $?":
                raise RuntimeError(f"$ {command}\n{output}")
            yield f"$ {command}\n"
            yield _cut(output, shown) if shown else ""

    def _command(self, command: str) -> str:
        if command == "echo $?":
            code, self._exit_code = self._exit_code, 0
            return f"{code}\n"
        program, *arguments = shlex.split(command.replace("\\\n", " "))
        if program != "shardplan":
            raise RuntimeError(f"only shardplan is run, not {program}")
        result = CliRunner().invoke(cli, arguments, prog_name="shardplan")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        self._exit_code = result.exit_code
        return "".join(f"{line.rstrip()}\n" for line in result.output.splitlines())

    def _statements(self, body: str) -> Iterator[str]:
        for example in doctest.DocTestParser().get_examples(body):
            first, *rest = example.source.splitlines()
            yield f">>> {first}\n"
            yield from (f"... {line}".rstrip() + "\n" for line in rest)
            buffer = io.StringIO()
            with contextlib.redirect_stdout(buffer):
                try:
                    exec(compile(example.source, "page", "single"), self._names)
                except Exception as error:
                    print("Traceback (most recent call last):")  # noqa: T201
                    print(f"  ...\n{type(error).__name__}: {error}")  # noqa: T201
            lines = buffer.getvalue().splitlines()
            yield "".join(f"{line.rstrip()}\n" for line in lines)


def _split(body: str) -> list[tuple[str, str]]:
    """Split a console block into commands and the output shown after each."""
    pieces: list[tuple[str, str]] = []
    lines = iter(body.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command = f"{command}\n{next(lines)}"
            pieces.append((command, ""))
        else:
            command, shown = pieces[-1]
            pieces[-1] = (command, f"{shown}{line}\n")
    return pieces


def _cut(output: str, shown: str) -> str:
    """Keep as many lines of an output as the page shows, if it shows a part."""
    lines = shown.splitlines()
    if lines[-1] != _CUT:
        return output
    kept = output.splitlines()[: len(lines) - 1]
    return "".join(f"{line}\n" for line in kept) + f"{_CUT}\n"
