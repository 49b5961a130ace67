"""Everything that is written to the terminal: reports, warnings, progress."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shardplan.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType
    from rich.live import Live

    from shardplan.solvers.base import Observer

STDOUT = "-"
"""The file name that means standard output."""
REPORT_VERSION = 1
"""Version of the JSON reports; it grows when a key goes away or changes its meaning."""
_PATIENCE_S = 2.0
"""Progress is shown for what takes longer than this [s]."""


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

    is_terminal = output == STDOUT and sys.stdout.isatty()
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


def write(text: str, output: str = STDOUT) -> None:
    """Write text to a file, whole or not at all, or to standard output."""
    if output == STDOUT:
        click.echo(text, nl=False)
        return
    from shardplan.io.atomic import write_text_atomically

    write_text_atomically(output, text)


def warn(message: str) -> None:
    """Write a warning to standard error."""
    click.echo(f"Warning: {message}", err=True)


def note(text: str) -> None:
    """Write something to standard error that is no part of the result."""
    click.echo(text, nl=False, err=True)


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
    if _is_stdout(output):
        return STDOUT
    require_place(output)
    return output


def _is_stdout(path: str) -> bool:
    """Whether a path, such as /dev/stdout, is where standard output goes."""
    try:
        return os.path.samestat(Path(path).stat(), os.fstat(1))
    except (OSError, ValueError):
        return False


class Progress:
    """Shows the best plan, the bound and the time; silent for the first seconds."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._objective_s = float("inf")
        self._lower_bound_s = 0.0
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._is_over = False
        self._timer = threading.Timer(_PATIENCE_S, self._show)
        self._timer.daemon = True
        self._timer.start()

    def improved(self, objective_s: float, lower_bound_s: float) -> None:
        """Take note of a better plan or bound."""
        self._objective_s = min(objective_s, self._objective_s)
        self._lower_bound_s = max(lower_bound_s, self._lower_bound_s)

    def close(self) -> None:
        """Take the line away."""
        with self._lock:
            self._is_over = True
            self._timer.cancel()
            if self._live is not None:
                self._live.stop()

    def _show(self) -> None:
        from rich.console import Console
        from rich.live import Live

        with self._lock:
            if not self._is_over:
                self._live = Live(
                    get_renderable=self.line,
                    console=Console(stderr=True, highlight=False),
                    transient=True,
                    redirect_stdout=False,
                    redirect_stderr=False,
                )
                self._live.start()

    def line(self) -> str:
        """Say how far the search is."""
        elapsed = time.monotonic() - self._start
        return progress_line(self._objective_s, self._lower_bound_s, elapsed)


def progress_line(objective_s: float, lower_bound_s: float, elapsed_s: float) -> str:
    """Format the best plan [s], the bound [s], the gap and the time [s]."""
    from shardplan.units import format_seconds

    has_plan, has_bound = objective_s < float("inf"), lower_bound_s > 0
    plan = format_seconds(objective_s) if has_plan else "none yet"
    bound = format_seconds(lower_bound_s) if has_bound else "none yet"
    gap = "-"
    if has_plan and has_bound:
        gap = f"{100 * max(0.0, objective_s / lower_bound_s - 1):.2f} %"
    return f"best plan {plan}  bound {bound}  gap {gap}  {elapsed_s:.0f} s"


@contextmanager
def progress() -> Iterator[Observer | None]:
    """Observe a solver on standard error; None if that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    shown = Progress()
    try:
        yield shown
    finally:
        shown.close()
