"""Progress, JSON, and errors that nobody expects."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from shardplan.cli import console
from shardplan.cli.main import cli

if TYPE_CHECKING:
    from pathlib import Path


def test_progress_is_silent_without_terminal() -> None:
    """Without a terminal on standard error there is no observer."""
    with console.progress() as observer:
        assert observer is None


def test_progress_line() -> None:
    """The line has the best plan, the bound, the gap and the time."""
    line = console.progress_line(0.011, 0.010, 3.2)
    assert line == "best plan 11.000 ms  bound 10.000 ms  gap 10.00 %  3 s"
    assert "none yet" in console.progress_line(math.inf, 0.0, 0.0)


def test_progress_keeps_the_best() -> None:
    """A worse plan or bound changes nothing."""
    progress = console.Progress()
    for objective, bound in ((0.02, 0.01), (0.03, 0.001), (math.inf, 0.0)):
        progress.improved(objective, bound)
    progress.close()
    assert "20.000 ms  bound 10.000 ms  gap 100.00 %" in progress.line()


def test_progress_shows_after_a_while(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What takes long is shown on standard error and taken away in the end."""
    monkeypatch.setattr(console, "_PATIENCE_S", 3600.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    progress = console.Progress()
    progress.improved(0.02, 0.01)
    progress._show()
    progress.close()
    captured = capsys.readouterr()
    assert "best plan 20.000 ms" in captured.err
    assert captured.out == ""


def test_progress_that_is_over_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A timer that fires after the end shows nothing."""
    monkeypatch.setattr(console, "_PATIENCE_S", 3600.0)
    progress = console.Progress()
    progress.close()
    progress._show()
    assert capsys.readouterr().err == ""


def test_json_refuses_nan() -> None:
    """Numbers that JSON does not have are never written."""
    with pytest.raises(ValueError, match="JSON compliant"):
        console.to_json({"x": math.nan})


@pytest.mark.parametrize(
    ("error", "text"),
    [(MemoryError(), "out of memory"), (OSError(5, "Input/output error"), "output")],
)
def test_errors_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    """Lack of memory and broken disks are messages with code 1."""

    def fail(kind: str) -> list[str]:
        raise error

    monkeypatch.setattr("shardplan.catalog.names", fail)
    result = CliRunner().invoke(cli, ["topology", "list"])
    assert result.exit_code == 1
    assert text in result.stderr


def test_place_must_exist(tmp_path: Path) -> None:
    """Standard output and new files in a folder are places; folders are not."""
    from shardplan.errors import InputError

    console.require_place(None)
    console.require_place("-")
    console.require_place(str(tmp_path / "new.json"))
    with pytest.raises(InputError, match="directory"):
        console.require_place(str(tmp_path))
