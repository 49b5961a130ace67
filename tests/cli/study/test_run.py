"""Ends of ``study run`` as shells see them: exit codes, signals, full disks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from shardplan.studies import load_study, run
from tests.studies import quick
from tests.workers.clusters import wait_for

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals, limits of files")

PATCHED = """\
import sys
import shardplan.studies.evaluate as module
from shardplan.cli.main import main
solve, calls = module.solve_point, []
def solve_point(resolved):
    calls.append(resolved)
    {what}
    return solve(resolved)
module.solve_point = solve_point
main()
"""
FAIL = "if len(calls) == 2: raise RuntimeError('odd')"
HANG = "import time\n    if len(calls) == 2: time.sleep(300)"
FULL = """\
import os, resource, signal
    if len(calls) == 2:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = os.path.getsize(sys.argv[5] + '/journal.jsonl')
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, size + 100))"""


def start(what: str, study: Path, out: Path) -> subprocess.Popen[str]:
    """Start a run that does something odd at its second point."""
    return subprocess.Popen(
        [
            *(sys.executable, "-c", PATCHED.format(what=what)),
            *("study", "run", str(study), "-o", str(out)),
            *("--workers", "1"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return quick.write(tmp_path)


@pytest.mark.parametrize(("what", "code"), [("pass", 0), (FAIL, 1)])
def test_codes_of_runs_that_end(
    what: str, code: int, study: Path, tmp_path: Path
) -> None:
    """That half of the points fit nowhere is no error; one that failed is."""
    process = start(what, study, tmp_path / "out")
    out, errors = process.communicate(timeout=300)
    assert process.returncode == code, errors
    assert out
    assert ("point 1: RuntimeError: odd" in errors) == bool(code)
    assert len(load_study(tmp_path / "out").missing) == code


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_signals(number: int, code: int, study: Path, tmp_path: Path) -> None:
    """What is finished is kept, and it is said how to go on."""
    folder = tmp_path / "out"
    process = start(HANG, study, folder)
    journal = folder / "journal.jsonl"
    wait_for(lambda: journal.exists() and journal.read_bytes().count(b"\n") == 2)
    process.send_signal(number)
    out, errors = process.communicate(timeout=120)
    assert (process.returncode, out) == (code, "")
    assert "1 of 12 points have a result in" in errors
    assert "Traceback" not in errors
    assert len(load_study(folder).rows) == 1
    assert not run(study, folder).missing


def test_a_full_disk(study: Path, tmp_path: Path) -> None:
    """The system refuses the second line: the first is kept whole."""
    folder = tmp_path / "out"
    process = start(FULL, study, folder)
    out, errors = process.communicate(timeout=300)
    assert (process.returncode, out) == (1, "")
    assert "cannot be written: File too large; what is finished is kept" in errors
    assert "Traceback" not in errors
    assert (folder / "journal.jsonl").read_bytes().endswith(b"\n")
    assert len(load_study(folder).rows) == 1
    assert not run(study, folder).missing
    run(study, tmp_path / "quiet")
    assert quick.results(folder) == quick.results(tmp_path / "quiet")


def test_results_need_a_folder(study: Path) -> None:
    """Standard output, which `-` is elsewhere, holds no journal."""
    command = [sys.executable, "-m", "shardplan", "study", "run", str(study), "-o", "-"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=study.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert "results need a folder" in done.stderr
    assert not (study.parent / "-").exists()
