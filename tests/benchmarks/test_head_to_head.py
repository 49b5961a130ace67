"""The comparison with TorchRec, as far as it runs without TorchRec."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest

from shardplan.planning.planner import solve
from tests.benchmarks.frozen import frozen_cost_model
from tests.benchmarks.head_to_head.cases import CASES
from tests.benchmarks.head_to_head.runs import TIMED
from tests.benchmarks.head_to_head.steps import plan_for_step
from tests.benchmarks.head_to_head.table import HEADER, Row, as_csv

if TYPE_CHECKING:
    from pathlib import Path

CASE = "movielens-ncf, 8 A100"


def test_plans_for_the_ruler_and_for_the_step_have_predicted_steps(
    tmp_path: Path,
) -> None:
    """Both are timed by the cluster's own cost model."""
    ruler = tmp_path / "ruler.json"
    model = frozen_cost_model("torchrec")
    solve(*CASES[CASE](), model, target="torchrec", solver="greedy").plan.save(ruler)
    timed = plan_for_step(CASE, 2.0, ruler)
    assert min(timed["step_ms"], timed["ruler_step_ms"]) > 0
    row = Row(CASE, {"shardplan": {}, "shardplan step": {}, TIMED: timed})
    assert row.step_ratio == pytest.approx(timed["step_ms"] / timed["ruler_step_ms"])
    assert len(row.cells()) == len(HEADER)
    lines = list(csv.DictReader(io.StringIO(as_csv({CASE: row.found}))))
    assert float(lines[2]["step_ms"]) == timed["step_ms"]


def test_without_a_plan_for_the_ruler_there_is_no_ratio(tmp_path: Path) -> None:
    """A case in which the ruler's search ran out of time still has its step."""
    timed = plan_for_step(CASE, 2.0, tmp_path / "missing.json")
    row = Row(CASE, {"shardplan": {}, TIMED: timed})
    assert "ruler_step_ms" not in timed
    assert row.cells()[-1] == "-"


def test_a_plan_has_a_rating_and_a_path_of_the_best_variant() -> None:
    """The path is compared with that of the variant of the best rating."""
    found = {
        "shardplan": {"tables": 2},
        "shardplan rated": {"rating_ms": 1.0, "path_ms": 1.5, "fits": True},
        "default": {"rating_ms": 2.0, "path_ms": 2.5, "fits": True},
        "uniform": {"rating_ms": 3.0, "path_ms": 1.0, "fits": True},
    }
    row = Row(CASE, found)
    assert row.ratio("best") == 0.5
    assert row.ratio("path") == 0.6
    assert row.ratio("shortest path") is None
