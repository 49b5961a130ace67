"""Progress on terminals and in logs."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from shardplan.cli import progress
from tests.cli.test_process import shardplan

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_progress_is_silent_without_terminal() -> None:
    """Without a terminal on standard error there is no observer."""
    with progress.progress() as observer:
        assert observer is None


def test_progress_line() -> None:
    """The line has the best plan, the bound, the gap and the time."""
    line = progress.progress_line(0.011, 0.010, 3.2)
    assert line == "best plan 11.000 ms  bound 10.000 ms  gap 10.00 %  3 s"
    assert "none yet" in progress.progress_line(math.inf, 0.0, 0.0)


def test_progress_keeps_the_best() -> None:
    """A worse plan or bound changes nothing."""
    shown = progress.ChangingLine()
    for objective, bound in ((0.02, 0.01), (0.03, 0.001), (math.inf, 0.0)):
        shown.improved(objective, bound)
    shown.close()
    assert "20.000 ms  bound 10.000 ms  gap 100.00 %" in shown.line()


def test_progress_shows_after_a_while(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What takes long is shown on standard error and taken away in the end."""
    monkeypatch.setattr(progress, "_PATIENCE_S", 3600.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = progress.ChangingLine()
    shown.improved(0.02, 0.01)
    shown._show()
    shown.close()
    captured = capsys.readouterr()
    assert "best plan 20.000 ms" in captured.err
    assert captured.out == ""


def test_progress_that_is_over_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A timer that fires after the end shows nothing."""
    monkeypatch.setattr(progress, "_PATIENCE_S", 3600.0)
    shown = progress.ChangingLine()
    shown.close()
    shown._show()
    assert capsys.readouterr().err == ""


def test_plain_lines_of_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for what has changed, none for what has not, the last one in the end."""
    monkeypatch.setattr(progress, "_PAUSE_S", 3600.0)
    shown = progress.PlainLines()
    shown._say()
    shown.improved(0.02, 0.0)
    shown._say()
    shown._say()
    shown.improved(0.02, 0.01)
    shown.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "best plan 20.000 ms  bound none yet  gap -  0 s",
        "best plan 20.000 ms  bound 10.000 ms  gap 100.00 %  0 s",
    ]


def test_plain_lines_come_during_the_search(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They do not wait for the end."""
    monkeypatch.setattr(progress, "_PAUSE_S", 0.001)
    shown = progress.PlainLines()
    shown.improved(0.02, 0.01)
    err = ""
    for _ in range(10_000):
        err += capsys.readouterr().err
        if err:
            break
        shown._is_over.wait(0.001)
    assert "best plan 20.000 ms" in err
    shown.close()


def test_no_progress_if_none_is_wanted() -> None:
    """``none`` is silent on a terminal, too."""
    with progress.progress("none") as observer:
        assert observer is None


def test_plain_progress_of_the_program(small: Path) -> None:
    """Lines go to standard error; standard output has the report alone."""
    arguments = ("solve", small, "--topology", "dgx-h100", "--work-limit", "2000")
    silent = shardplan(*arguments)
    done = shardplan(*arguments, "--progress", "plain")
    assert silent.stderr == ""
    line = re.compile(r"best plan [\d.]+ \w+  bound .* gap .* \d+ s")
    assert done.stderr
    assert all(line.fullmatch(text) for text in done.stderr.splitlines())
    assert done.stdout.splitlines()[:5] == silent.stdout.splitlines()[:5]
