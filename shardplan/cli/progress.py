"""How far a search is, on standard error: a line that changes, or a line per change."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.live import Live

    from shardplan.solvers.base import Observer

MODES = ("auto", "plain", "none")
"""``auto`` shows a line that changes on a terminal, and nothing without one."""
_PATIENCE_S = 2.0
"""The line that changes is shown for what takes longer than this [s]."""
_PAUSE_S = 5.0
"""Plain lines have at least this between them [s]."""


class Progress:
    """The best plan, the bound and the time of a search."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._objective_s = float("inf")
        self._lower_bound_s = 0.0

    def improved(self, objective_s: float, lower_bound_s: float) -> None:
        """Take note of a better plan or bound."""
        self._objective_s = min(objective_s, self._objective_s)
        self._lower_bound_s = max(lower_bound_s, self._lower_bound_s)

    def state(self) -> object:
        """Return what differs after a change."""
        return self._objective_s, self._lower_bound_s

    def line(self) -> str:
        """Say how far the search is."""
        elapsed = time.monotonic() - self._start
        return progress_line(self._objective_s, self._lower_bound_s, elapsed)


class ChangingLine(Progress):
    """A line of a terminal that is always current; silent for the first seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._is_over = False
        self._timer = threading.Timer(_PATIENCE_S, self._show)
        self._timer.daemon = True
        self._timer.start()

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


class PlainLines(Progress):
    """A line for every change, with pauses between them; for logs."""

    def __init__(self) -> None:
        super().__init__()
        self._said = self.state()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Say the last change."""
        self._is_over.set()
        self._thread.join()
        self._say()

    def _run(self) -> None:
        while not self._is_over.wait(_PAUSE_S):
            self._say()

    def _say(self) -> None:
        now = self.state()
        if now != self._said:
            self._said = now
            with suppress(OSError):  # a log that is gone ends no search
                click.echo(self.line(), err=True)


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
def progress(mode: str = "auto") -> Iterator[Observer | None]:
    """Observe a solver on standard error; None if nothing is to be shown.

    Parameters
    ----------
    mode : str
        One of `MODES`.
    """
    if mode == "none" or (mode == "auto" and not sys.stderr.isatty()):
        yield None
        return
    shown = PlainLines() if mode == "plain" else ChangingLine()
    try:
        yield shown
    finally:
        shown.close()
