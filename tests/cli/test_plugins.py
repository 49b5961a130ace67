"""Plug-ins on the command line, as processes: one clear line, and their traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugged import install

ROOT = Path(__file__).resolve().parents[2]


def shardplan(
    site: Path, *arguments: str | Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the program with plug-ins that are installed in a folder."""
    paths = os.pathsep.join([str(ROOT), str(site)])
    return subprocess.run(
        [sys.executable, "-m", "shardplan", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of packages with one exporter that works and one that does not."""
    source = """\
        print("hello from theirs")

        def good(plan):
            print("exporting")
            return {"tables": len(plan.tables)}

        def bad(plan):
            return helper(plan)

        def helper(plan):
            return 1 / 0
    """
    entries = "good = theirs:good\nbad = theirs:bad"
    return install(tmp_path / "site", "exporters", entries, source)


def test_what_a_plug_in_prints_is_no_result(site: Path, plan_file: Path) -> None:
    """It goes to standard error; standard output is JSON and nothing else."""
    done = shardplan(site, "export", plan_file, "--to", "good")
    assert json.loads(done.stdout) == {"tables": 4}
    assert done.stderr == "hello from theirs\nexporting\n"
    assert done.returncode == 0


def test_a_failure_is_one_line(site: Path, plan_file: Path) -> None:
    """It names the plug-in and says how to see the traceback, which is then whole."""
    who = "exporter plug-in 'bad' (their-package 1.2, theirs:bad)"
    what = "exporting raised ZeroDivisionError: division by zero (theirs.py:11)"
    done = shardplan(site, "export", plan_file, "--to", "bad")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "hello from theirs\n"
        f"Error: {who}: {what}; set SHARDPLAN_TRACEBACK=1 for the traceback\n"
    )
    done = shardplan(site, "export", plan_file, "--to", "bad", SHARDPLAN_TRACEBACK="1")
    _, error, first, *frames = done.stderr.splitlines()
    assert (done.returncode, error) == (1, f"Error: {who}: {what}")
    assert first == "Traceback (most recent call last):"
    assert any(line.endswith('theirs.py", line 8, in bad') for line in frames)
    assert frames[-1] == "ZeroDivisionError: division by zero"


def test_a_name_that_is_built_in(site: Path, plan_file: Path, tmp_path: Path) -> None:
    """A warning says that the plug-in is not used."""
    other = install(tmp_path / "other", "exporters", "sbp = theirs:good", "1 / 0")
    done = shardplan(other, "export", plan_file, "--to", "sbp")
    assert done.returncode == 0
    assert json.loads(done.stdout)["tables"]
    assert done.stderr == (
        "Warning: exporter plug-in 'sbp' (their-package 1.2, theirs:good) is not used: "
        "'sbp' is built in; rename the plug-in\n"
    )


SOLVERS = """\
    print("hello from theirs")

    from shardplan.solvers import Record, load_solver

    class Good:
        class Params(Record):
            seed: int = 1

        def __init__(self, params):
            self.params = params

        def solve(self, problem, stop, seed, observer):
            print("seed", self.params.seed)
            return load_solver("greedy").solve(problem, stop, seed, observer)

    class Bad:
        def solve(self, problem, stop, seed):
            pass
"""


def solve(site: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Plan a small workload with a solver of a plug-in."""
    small = ("movielens-ncf", "--topology", "dgx-a100-40")
    return shardplan(site, "solve", *small, "--solver", *arguments)


def test_a_solver_of_a_plug_in(tmp_path: Path) -> None:
    """Its numbers come from a file; the plan says so and names it."""
    site = install(tmp_path / "site", "solvers", "mine = theirs:Good", SOLVERS)
    params = tmp_path / "params.toml"
    params.write_text("[mine]\nseed = 7\n", encoding="utf-8")
    done = solve(site, "mine", "--solver-params", params, "-o", "-")
    assert done.stderr == "hello from theirs\nseed 7\n"
    assert done.returncode == 0
    outcome = json.loads(done.stdout)["outcome"]
    assert (outcome["solver"], outcome["params"]) == ("mine", {"mine.seed": 7})


def test_a_solver_that_cannot_be_called(tmp_path: Path) -> None:
    """It is refused before anything is searched; there is nothing more to trace."""
    site = install(tmp_path / "site", "solvers", "mine = theirs:Bad", SOLVERS)
    done = solve(site, "mine", "-o", tmp_path / "plan.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "hello from theirs\n"
        "Error: solver plug-in 'mine' (their-package 1.2, theirs:Bad): the method "
        "`solve` of its Bad takes (problem, stop, seed), must be called with (problem, "
        "stop, seed, observer): too many positional arguments\n"
    )
    assert not (tmp_path / "plan.json").exists()


def test_help_and_completion_import_no_plug_in(tmp_path: Path) -> None:
    """Their names are known without."""
    site = install(tmp_path / "site", "solvers", "mine = theirs:Good", "1 / 0")
    done = shardplan(site, "solve", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    done = shardplan(
        site,
        _SHARDPLAN_COMPLETE="bash_complete",
        COMP_WORDS="shardplan solve neo-a --solver mi",
        COMP_CWORD="4",
    )
    assert (done.stdout, done.stderr) == ("plain,mine\n", "")
