"""How far a study is, on standard error."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shardplan.cli.progress import ChangingLine, PlainLines, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.studies.session import RunObserver
    from shardplan.studies.study import StudyRow


class _Points(Progress):
    """Points that are done, how fast, and the best so far."""

    def __init__(self) -> None:
        self._points = self._known = self._ran = 0
        self._best = 0.0
        self._began = time.monotonic()
        super().__init__()

    def planned(self, points: int, known: int) -> None:
        """Take note that more points are asked for, some of them known."""
        self._points += points
        self._known += known

    def finished(self, row: StudyRow) -> None:
        """Take note of a point that was run."""
        self._ran += 1
        self._best = max(self._best, row.values["throughput_samples_per_s"] or 0.0)

    def state(self) -> object:
        """Return what differs after a change."""
        return self._points, self._ran

    def line(self) -> str:
        """Say how far the study is."""
        return points_line(
            self._points,
            self._known,
            self._ran,
            self._best,
            time.monotonic() - self._began,
        )


class ChangingPoints(_Points, ChangingLine):
    """A line of a terminal that is always current."""


class PlainPoints(_Points, PlainLines):
    """A line every few seconds; for logs."""


def points_line(
    points: int, known: int, ran: int, best: float, elapsed_s: float
) -> str:
    """Format points, those known before and run since, throughput and time [s]."""
    parts = [f"{known + ran:,} of {points:,} points"]
    if ran and elapsed_s > 0:
        rate = ran / elapsed_s
        left = (points - known - ran) / rate
        parts += [f"{rate:.3g}/s", f"{left:.0f} s left"]
    parts.append(f"best {best:,.0f} samples/s" if best else "none fits yet")
    return "  ".join([*parts, f"{elapsed_s:.0f} s"])


@contextmanager
def study_progress(mode: str = "auto") -> Iterator[RunObserver | None]:
    """Observe a study on standard error; None if nothing is to be shown."""
    if mode == "none" or (mode == "auto" and not sys.stderr.isatty()):
        yield None
        return
    shown = PlainPoints() if mode == "plain" else ChangingPoints()
    try:
        yield shown
    finally:
        shown.close()
