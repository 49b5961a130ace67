"""``shardplan study diff``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from shardplan.studies.runner import run as run_study
from tests.studies import quick

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


def test_says_what_differs(run: Run, results: Path, tmp_path: Path) -> None:
    """One value of an axis less: points are gone, the others are the same."""
    text = quick.STUDY.replace("[1000, 2000, 4000]", "[1000, 2000]")
    run_study(quick.write(tmp_path, text), tmp_path / "fewer")
    words = ("study", "diff", results, tmp_path / "fewer")
    data = json.loads(run(*words, "--format", "json").stdout)
    assert [change["key"] for change in data["asked"]] == [
        'axes."workload.global_batch_size"'
    ]
    assert (data["num_same"], data["num_changed"]) == (8, 0)
    assert (data["num_removed"], data["num_added"]) == (4, 0)
    assert data["before"]["made_by"] == data["after"]["made_by"] != ""
    assert "Only before: 4 points" in run(*words, "--limit", "2").stdout


def test_a_folder_without_a_study(run: Run, results: Path, tmp_path: Path) -> None:
    """Either of both."""
    for words in ((results, tmp_path), (tmp_path, results)):
        done = run("study", "diff", *words)
        assert done.exit_code == 1
        assert "holds no results of a study" in done.stderr
