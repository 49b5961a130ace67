"""How far the measurement of a log is, on standard error."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shardplan.cli.progress import ChangingLine, PlainLines, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.statistics.measure import MeasureObserver


class _PartsDone(Progress):
    """Parts that are done of the present stage."""

    def __init__(self) -> None:
        self._word = ""
        self._parts = self._known = self._done = 0
        self._began = self._stage_began = time.monotonic()
        super().__init__()

    def stage(self, word: str, total: int, known: int) -> None:
        """Take note that parts are now to be counted, or ordered; some of them are."""
        self._word, self._parts, self._known, self._done = word, total, known, 0
        self._stage_began = time.monotonic()

    def advance(self) -> None:
        """Take note that one more is."""
        self._done += 1

    def state(self) -> object:
        """Return what differs after a change."""
        return self._word, self._parts, self._done

    def line(self) -> str:
        """Say how far the measurement is."""
        now = time.monotonic()
        each_s = (now - self._stage_began) / self._done if self._done else 0.0
        done = self._known + self._done
        return parts_line(self._word, self._parts, done, each_s, now - self._began)


class ChangingParts(_PartsDone, ChangingLine):
    """A line of a terminal that is always current."""


class PlainParts(_PartsDone, PlainLines):
    """A line every few seconds; for logs."""


def parts_line(
    word: str, parts: int, done: int, each_s: float, elapsed_s: float
) -> str:
    """Format parts, those that are done, and times [s]; 0 for each if none is known."""
    if not word:
        return f"reading names and sizes  {elapsed_s:.0f} s"
    found = [f"{min(done, parts):,} of {parts:,} parts {word}"]
    if each_s:
        found.append(f"{max(parts - done, 0) * each_s:.0f} s left")
    return "  ".join([*found, f"{elapsed_s:.0f} s"])


@contextmanager
def measure_progress(mode: str = "auto") -> Iterator[MeasureObserver | None]:
    """Observe a measurement on standard error; None if nothing is to be shown."""
    if mode == "none" or (mode == "auto" and not sys.stderr.isatty()):
        yield None
        return
    shown = PlainParts() if mode == "plain" else ChangingParts()
    try:
        yield shown
    finally:
        shown.close()
