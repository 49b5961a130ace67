"""Run the examples of a page and write down what they really print.

What is run, block by block, in one empty folder and one namespace per page:

- ``console``: lines after ``$`` are commands, the rest is their output. A command
  without output in the page may print anything. A first or a last line ``...`` stands
  for more lines. ``$ echo $?`` prints the exit code of the command before; without
  it, a command must succeed.
- ``pycon``: an interactive session, output as it is.
- ``python``: a program that must run.
- any block with a file name, such as ``toml my-cluster.toml``: that file.
- ``diff`` with a file name: a change of that file. Lines that begin with a space or
  ``-`` are in it, once, and become those that begin with a space or ``+``; ``@@``
  lies between two changes.

A page that writes or changes files of the checkout does so in a copy of it. After
``$ pip install .`` the package that the page made is found. From then on commands are
processes, for only a new one sees either; ``pytest`` may be run as well.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from shardplan.cli.main import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
_COPIED = (
    "shardplan",
    "cost_models",
    "measurements",
    "topologies",
    "workloads",
    "tests",
)
"""Folders that a page may change."""
_SITE = ".site"
"""Where a page's own package is installed, in the folder of the page."""
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
        self._paths: list[str] = []

    def run(self, kind: str, name: str | None, body: str) -> str:
        """Run a block; return its text with the real output."""
        if kind == "console":
            return "".join(self._commands(body))
        if kind == "pycon":
            return "".join(self._statements(body))
        if name:
            self._write(kind, name, body)
        elif kind == "python":
            exec(compile(body, "page", "exec", dont_inherit=True), self._names)
        return body

    def _write(self, kind: str, name: str, body: str) -> None:
        path = self._folder / name
        if name.split("/")[0] in _COPIED and str(self._folder) not in self._paths:
            self._copy_checkout()
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "diff":
            body = changed(path.read_text(encoding="utf-8"), body)
        path.write_text(body, encoding="utf-8")

    def _copy_checkout(self) -> None:
        unwanted = shutil.ignore_patterns("__pycache__")
        for name in _COPIED:
            shutil.copytree(ROOT / name, self._folder / name, ignore=unwanted)
        if not (self._folder / "pyproject.toml").exists():
            shutil.copy(ROOT / "pyproject.toml", self._folder)
        self._paths.append(str(self._folder))

    def _install(self) -> str:
        """Build the page's own package and unpack it where processes find it."""
        site = self._folder / _SITE
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
        subprocess.run(
            [*command, "--outdir", str(site)], check=True, capture_output=True
        )
        for wheel in site.glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(site)
        self._paths.append(str(site))
        return ""

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
        if [program, *arguments] == ["pip", "install", "."]:
            return self._install()
        if self._paths and program in ("shardplan", "pytest"):
            return self._process(program, arguments)
        if program != "shardplan":
            raise RuntimeError(f"only shardplan is run, not {program}")
        result = CliRunner().invoke(cli, arguments, prog_name="shardplan")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        self._exit_code = result.exit_code
        return "".join(f"{line.rstrip()}\n" for line in result.output.splitlines())

    def _process(self, program: str, arguments: list[str]) -> str:
        """Run a program that sees the page's own packages first."""
        paths = os.pathsep.join([*self._paths, str(ROOT)])
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}
        done = subprocess.run(
            [sys.executable, "-m", program, *arguments],
            cwd=self._folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._exit_code = done.returncode
        return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())

    def _statements(self, body: str) -> Iterator[str]:
        for example in doctest.DocTestParser().get_examples(body):
            first, *rest = example.source.splitlines()
            yield f">>> {first}\n"
            yield from (f"... {line}".rstrip() + "\n" for line in rest)
            buffer = io.StringIO()
            with contextlib.redirect_stdout(buffer):
                try:
                    code = compile(example.source, "page", "single", dont_inherit=True)
                    exec(code, self._names)
                except Exception as error:
                    print("Traceback (most recent call last):")  # noqa: T201
                    print(f"  ...\n{type(error).__name__}: {error}")  # noqa: T201
            lines = buffer.getvalue().splitlines()
            yield "".join(f"{line.rstrip()}\n" for line in lines)


def changed(text: str, body: str) -> str:
    """Apply the changes of a ``diff`` block to a file, but those that it has already.

    So the pages also run in a checkout of somebody who followed them.

    Raises
    ------
    ValueError
        If what a change leaves or takes away is not in the file exactly once.
    """
    for change in re.split(r"^@@.*\n", body, flags=re.MULTILINE):
        lines = change.splitlines(keepends=True)
        old = "".join(line[1:] or line for line in lines if line[0] != "+")
        new = "".join(line[1:] or line for line in lines if line[0] != "-")
        if text.count(new) == 1 and (old in new or old not in text):
            continue
        if text.count(old) != 1:
            raise ValueError(f"is in the file {text.count(old)} times:\n{old}")
        text = text.replace(old, new)
    return text


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
    lines, made = shown.splitlines(), output.splitlines()
    if lines[0] == _CUT:
        kept = [_CUT, *made[len(made) - len(lines) + 1 :]]
    elif lines[-1] == _CUT:
        kept = [*made[: len(lines) - 1], _CUT]
    else:
        return output
    return "".join(f"{line}\n" for line in kept)
