"""Runs that are killed at any moment lose nothing, and end in the same bytes."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from shardplan.studies import load_study, run
from tests.studies import quick

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
]


def killed_after(study: Path, folder: Path, seconds: float) -> None:
    """Run a study in a process of its own that is killed after some time."""
    child = os.fork()
    if child == 0:
        run(study, folder)
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [15, pytest.param(100, marks=pytest.mark.long)])
def test_same_bytes_however_often_killed(kills: int, tmp_path: Path) -> None:
    """Points that were there stay there, and the end is that of a quiet run."""
    study = quick.write(tmp_path)
    began = time.monotonic()
    run(study, tmp_path / "quiet")
    whole_s = time.monotonic() - began
    draw = random.Random(kills)
    out, finished = tmp_path / "out", 0
    for _ in range(kills):
        if finished == 12:
            finished = 0
            run(study, out, fresh=True, only=["hosts=1"])
        killed_after(study, out, draw.uniform(0.0, 0.6) * whole_s)
        if (out / "inputs.json").exists():
            found = len(load_study(out).rows)
            assert found >= finished
            finished = found
    assert run(study, out).counts == {"feasible": 6, "infeasible": 6}
    assert quick.results(out) == quick.results(tmp_path / "quiet")
