"""``shardplan study pareto``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


def test_formats(run: Run, results: Path) -> None:
    """Text for people, JSON for programs, CSV for tables."""
    text = run("study", "pareto", results).stdout
    assert "least hosts, most throughput_samples_per_s" in text
    data = json.loads(run("study", "pareto", results, "--format", "json").stdout)
    assert data["num_feasible"] == 6
    lines = run("study", "pareto", results, "--format", "csv").stdout.splitlines()
    assert len(lines) == 1 + len(data["front"])


def test_goals_of_options(run: Run, results: Path) -> None:
    """Instead of those of the file; one of them may stay."""
    words = ("study", "pareto", results, "--format", "json")
    data = json.loads(run(*words, "--x", "step_time_s", "--y", "hbm_fill").stdout)
    assert [goal["column"] for goal in data["goals"]] == ["step_time_s", "hbm_fill"]
    data = json.loads(run(*words, "--y", "gap").stdout)
    assert [goal["column"] for goal in data["goals"]] == ["hosts", "gap"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--x", "hbm_fil"], "is no column of results; did you mean 'hbm_fill'?"),
        (["--y", "bottleneck"], "has no better end; a goal is one of hosts"),
    ],
)
def test_wrong_options(run: Run, results: Path, words: list[str], message: str) -> None:
    """One line says what is wrong, and nothing is written."""
    done = run("study", "pareto", results, *words)
    assert done.exit_code == 1
    assert message in done.stderr
    assert done.stdout == ""


def test_a_plot_is_of_a_kind_that_can_be_drawn(run: Run, results: Path) -> None:
    """The name says which."""
    done = run("study", "pareto", results, "--plot", "front.pdf")
    assert done.exit_code == 2
    assert "does not end in .svg or .png" in done.stderr


def test_a_folder_without_a_study(run: Run, tmp_path: Path) -> None:
    """What makes one is said."""
    done = run("study", "pareto", tmp_path)
    assert done.exit_code == 1
    assert "holds no results of a study" in done.stderr


def test_plots(run: Run, results: Path, tmp_path: Path) -> None:
    """Both forms, the same bytes every time."""
    for form, start in (("svg", b"<?xml"), ("png", b"\x89PNG")):
        first, second = tmp_path / f"first.{form}", tmp_path / f"second.{form}"
        for path in (first, second):
            assert run("study", "pareto", results, "--plot", path).exit_code == 0
        assert first.read_bytes() == second.read_bytes()
        assert first.read_bytes().startswith(start)


def test_plots_without_the_extra(
    run: Run, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to install is said, and the front itself needs nothing."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run("study", "pareto", results, "--plot", tmp_path / "front.svg")
    assert done.exit_code == 1
    assert "pip install 'shardplan[report]'" in done.stderr
    assert run("study", "pareto", results).exit_code == 0
