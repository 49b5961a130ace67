"""What is written to standard output and standard error: reports, warnings."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shardplan.errors import InputError
from shardplan.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from rich.console import RenderableType

    from shardplan.records.record import Record

STDOUT = "-"
"""The file name that means standard output."""
REPORT_VERSION = 1
"""Version of the JSON reports; it grows when a key goes away or changes its meaning."""


def report(
    data: dict[str, Any],
    render: Callable[[dict[str, Any]], RenderableType],
    form: str,
    output: str = STDOUT,
) -> None:
    """Write a report as text or JSON to a file or standard output.

    Text on standard output is as wide as the terminal or ``COLUMNS`` says, else, and
    in files, as wide as a page.
    """
    if form == "json":
        write(json_report(data), output)
        return
    from shardplan.report.layout import WIDTH, to_text

    is_terminal = output == STDOUT and sys.stdout is not None and sys.stdout.isatty()
    has_width = is_terminal or (output == STDOUT and "COLUMNS" in os.environ)
    width = shutil.get_terminal_size((WIDTH, 0)).columns if has_width else WIDTH
    write(to_text(render(data), width, is_terminal=is_terminal), output)


def json_report(data: dict[str, Any]) -> str:
    """Format a report as JSON, with its own version and that of the program."""
    from shardplan.version import VERSION

    versions = {"report_version": REPORT_VERSION, "shardplan_version": VERSION}
    return to_json({**versions, **data})


def to_json(data: dict[str, Any]) -> str:
    """Format data as JSON; numbers that JSON does not have are errors."""
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


def record_text(record: Record, form: str) -> str:
    """Format a record as a file of inputs: on one line for programs, else indented."""
    from shardplan.records.record import dump

    data = dump(record)
    if form == "text":
        return to_json(data)
    return json.dumps(data, separators=(",", ":"), allow_nan=False) + "\n"


def write(text: str, output: str = STDOUT) -> None:
    """Write text to a file, whole or not at all, or to standard output."""
    if output == STDOUT:
        _write_stdout(text)
        return
    from shardplan.io.atomic import write_text_atomically

    write_text_atomically(output, text)


def _write_stdout(text: str) -> None:
    """Write to standard output; click ends quietly where a reader went away."""
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, "it is closed")
        click.echo(text, nl=False)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        rule = f"cannot be written: {error.strerror or error}"
        raise InputError.single("standard output", "", None, rule) from error


def warn(message: str) -> None:
    """Write a warning to standard error."""
    click.echo(printable(f"Warning: {message}"), err=True)


def note(text: str) -> None:
    """Write something to standard error that is no part of the result."""
    click.echo(printable(text), nl=False, err=True)


def strays_to_stderr() -> AbstractContextManager[object]:
    """Within the block, what plug-ins print does not mix with the result."""
    return redirect_stdout(sys.stderr)


def keep(text: str, output: str) -> None:
    """Write what took long to find; if that fails, keep it elsewhere and say where."""
    from shardplan.io.atomic import rescue_text

    try:
        write(text, output)
    except (InputError, OSError):
        try:
            warn(f"the plan was kept in {rescue_text(text, '.json')} instead")
        except OSError:
            warn("the plan follows, for no file can be written")
            note(text)
        raise


def require_place(output: str | None, num_bytes: int = 0) -> None:
    """Refuse a file that cannot be written before any work is done for it."""
    if output is None or output == STDOUT:
        return
    from shardplan.io.atomic import require_writable

    require_writable(output, num_bytes)


def place(ctx: click.Context, param: click.Parameter, output: str | None) -> str | None:
    """Check where to write while options are read; ``-`` for standard output itself."""
    if output is None or ctx.resilient_parsing:
        return output
    if output == STDOUT or _is_stdout(output):
        return STDOUT
    files = ctx.meta.setdefault(__name__, set())
    if (file := Path(output).resolve()) in files:
        raise click.BadParameter("another option writes there", ctx, param)
    files.add(file)
    require_place(output)
    from shardplan.io.outputs import announce

    announce(output)
    return output


def place_json(
    ctx: click.Context, param: click.Parameter, output: str | None
) -> str | None:
    """Check the ending, and where to write, while options are read."""
    if output not in (None, STDOUT) and not output.lower().endswith(".json"):
        raise click.BadParameter(f"{output!r} does not end in .json", ctx, param)
    return place(ctx, param, output)


def _is_stdout(path: str) -> bool:
    """Whether a path, such as /dev/stdout, is where standard output goes."""
    try:
        return os.path.samestat(Path(path).stat(), os.fstat(1))
    except (OSError, ValueError):
        return False
