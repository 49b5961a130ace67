"""``shardplan recommend``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run

ROOT = Path(__file__).resolve().parents[2]
GOAL = ("--topology", "dgx-h100", "--throughput", "1 M", "--hosts-max", "3")


def test_text(run: Run, small: Path) -> None:
    """The answer, its neighbours, and how it was searched."""
    result = run("recommend", small, *GOAL, "--topology", "gb200-nvl72")
    assert result.exit_code == 0
    for text in (
        "4,096 samples per step at every size",
        "throughput_samples_per_s >= 1000000",
        "gb200-nvl72: 1 host, 4 ranks",  # fewer ranks than a host of eight
        "dgx-h100: 1 host, 8 ranks",
        "fewest ranks",
        "dgx-h100, there is none.",
        "2 sizes run, 1 implied by them",
    ):
        assert text in result.stdout, text


def test_json(run: Run, small: Path) -> None:
    """One document, with prices where they are given."""
    options = ("--price", "dgx-h100=100", "--format", "json")
    data = json.loads(run("recommend", small, *GOAL, *options).stdout)
    assert data["recommended"] == "dgx-h100"
    assert data["wanted_samples_per_s"] == 1e6
    (sizes,) = data["topologies"]
    assert sizes["smallest"]["cost_per_hour"] == 100.0
    assert sizes["larger"]["hosts"] == 2


def test_batch_per_rank(run: Run, small: Path) -> None:
    """The batch may grow with the ranks; the report says so."""
    result = run("recommend", small, *GOAL, "--batch-size", "512")
    assert "grows with ranks" in result.stdout


def test_nothing_reaches_it(run: Run, small: Path) -> None:
    """Exit code 3 after the report, and on standard error what comes nearest."""
    goal = ("--topology", "dgx-h100", "--throughput", "1e15", "--hosts-max", "2")
    result = run("recommend", small, *goal)
    assert result.exit_code == 3
    assert "Not reached" in result.stdout
    assert "no size that was searched meets" in result.stderr
    assert "nearest: dgx-h100 with" in result.stderr


def test_racks_are_whole(run: Run, small: Path) -> None:
    """Host counts that a topology does not have are left out, and it is said."""
    goal = ("--topology", "gb200-nvl72", "--throughput", "1e15", "--hosts-max", "20")
    result = run("recommend", small, *goal)
    text = "2 sizes left out: more than 18 hosts are whole domains of 18"
    assert text in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--topology", "dgx-h10", "--throughput", "1M"], 1, "mean 'dgx-h100'"),
        ([*GOAL, "--topology", "dgx-h100"], 1, "is given twice"),
        ([*GOAL, "--price", "dgx-h200=1"], 1, "none of the topologies"),
        ([*GOAL, "--price", "dgx-h100=much"], 2, "NAME=PER_HOST_HOUR"),
        ([*GOAL, "--price", "dgx-h100=1", "--price", "dgx-h100=2"], 2, "two prices"),
        ([*GOAL, "--cheapest"], 1, "without a price for dgx-h100"),
        ([*GOAL, "--throughput", "0"], 2, "not in the range x>0"),
        ([*GOAL, "--throughput=-1"], 2, "not in the range x>0"),
        ([*GOAL, "--throughput", "nan"], 2, "not a finite number"),
        ([*GOAL, "--throughput", "1 MB"], 2, "'MB' is a unit of bytes"),
        ([*GOAL, "--hosts-max", "0"], 2, "not in the range"),
        ([*GOAL, "--hbm-fill", "120 %"], 2, "not in the range"),
        ([*GOAL, "--solver", "auto"], 1, "needs work_limit"),
        ([*GOAL, "--set", "workload.tabels=1"], 1, "did you mean 'tables'"),
        (["--throughput", "1M"], 2, "Missing option '--topology'"),
    ],
)
def test_wrong_input(
    run: Run, small: Path, arguments: list[str], code: int, message: str
) -> None:
    """A message that says what to do, and no output."""
    result = run("recommend", small, *arguments)
    assert result.exit_code == code, result.stderr
    assert message in result.stderr
    assert result.stdout == ""


def test_wrong_input_of_a_process(small: Path) -> None:
    """The program itself shows all that is wrong, and no traceback."""
    wrong = ["--topology", "dgx-h100", "--topology", "dgx-h100:2"]
    wrong += ["--throughput", "1M", "--price", "dgx-h100=-1"]
    done = subprocess.run(
        [sys.executable, "-m", "shardplan", "recommend", str(small), *wrong],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("Error: 2 problems")
    assert "leave the number after ':' out" in done.stderr
    assert "must be a number of at least 0" in done.stderr
    assert done.stdout == ""
