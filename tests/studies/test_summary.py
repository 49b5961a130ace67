"""How far a study is, from its folder alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shardplan.errors import InputError
from shardplan.studies import run
from shardplan.studies.summary import status, summary
from tests.studies import quick

if TYPE_CHECKING:
    from pathlib import Path


def test_a_part_of_a_study(tmp_path: Path) -> None:
    """Counts, the best point with its axes, and lines that were cut."""
    study, out = quick.write(tmp_path), tmp_path / "out"
    found = run(study, out, only=["hosts=2"])
    with (out / "journal.jsonl").open("ab") as file:
        file.write(b'{"id":"half')
    told = status(out)
    assert (told["points"], told["finished"], told["missing"]) == (12, 6, 6)
    assert told["counts"] == {"feasible": 3, "infeasible": 3}
    assert (told["running"], told["broken_lines"]) == ("", 1)
    best = found.best()
    assert best is not None
    assert told["best"]["point"] == best.point.number
    assert told["best"]["hosts"] == 2
    assert told["best"]["step_time_s"] == best.values["step_time_s"]
    assert summary(found).items() <= told.items()


def test_a_study_of_which_nothing_fits(tmp_path: Path) -> None:
    text = quick.STUDY.replace("[1000, 10_000_000_000]", "[10_000_000_000]")
    found = run(quick.write(tmp_path, text))
    assert summary(found)["best"] is None


def test_a_folder_without_a_study(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no results of a study"):
        status(tmp_path)
