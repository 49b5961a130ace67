"""How far a study is: from its folder alone, and what its search answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.errors import InputError
from shardplan.report.layout import to_text
from shardplan.report.study_summary import render_summary
from shardplan.studies import run
from shardplan.studies.summary import status, summary
from tests.studies import quick

if TYPE_CHECKING:
    from pathlib import Path

HEAD = quick.STUDY.split("[axes]")[0]
SEARCH = f"""{HEAD}
[axes]
hosts = [1, 2, 4]
"workload.tables.*.num_embeddings" = [1000, 10_000_000_000]
[search]
minimise = "hosts"
subject_to = ["hosts >= 2"]
"""


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


def summarised(folder: Path, text: str) -> dict[str, Any]:
    return summary(run(quick.spec(folder, text)))


def test_best_point_meets_the_conditions(tmp_path: Path) -> None:
    """Points that break one are never best."""
    text = quick.STUDY.replace("[base]", 'subject_to = ["hosts <= 1"]\n\n[base]', 1)
    assert summarised(tmp_path, text)["best"]["hosts"] == 1


def test_answers_of_a_search(tmp_path: Path) -> None:
    """The least value for each combination, and how the next better one fails."""
    data = summarised(tmp_path, SEARCH)
    assert data["best"] is None
    small, large = data["answers"]
    assert (small["hosts"], small["fails"]) == (2, "1 misses hosts >= 2")
    assert small["point"] is not None
    assert (large["point"], large["hosts"]) == (None, None)
    assert large["workload.tables.*.num_embeddings"] == 10_000_000_000
    assert large["fails"] == "4 is infeasible"
    text = to_text(render_summary({**data, "folder": "results"}), 80)
    assert text.count("\nAnswer\n") == 1
    assert "No answer" in text
    assert "1 misses hosts >= 2" in text
