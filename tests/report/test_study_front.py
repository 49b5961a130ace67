"""The report of a front as text, JSON and CSV."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.report.layout import to_text
from shardplan.report.study_front import front_csv, front_data, render_front
from shardplan.studies.codesign.progress import history, reference_point
from shardplan.studies.runner import run
from shardplan.studies.study import Study
from tests.report.pages.study.made import BATCH, made_front, made_study
from tests.studies.codesign import small

if TYPE_CHECKING:
    from pathlib import Path


def data_of(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    study = made_study(changes)
    return front_data(study, made_front(study))


def test_text_lists_the_front_and_what_misses_it() -> None:
    """In order of the first goal; by how much a constraint is missed."""
    text = to_text(render_front(data_of()), 140)
    assert "least cost_per_hour, most throughput_samples_per_s" in text
    assert "hbm_fill <= 0.8" in text
    assert "Front: 3 points" in text
    assert "knee" in text
    assert "hbm_fill <= 0.8 by 12.5 %" in text
    assert "16 points; 14 feasible" in text


def test_json_has_everything() -> None:
    """All that miss a constraint, and by whom others are dominated."""
    data = json.loads(json.dumps(data_of(), allow_nan=False))
    assert data["goals"][0] == {
        "column": "cost_per_hour",
        "sense": "min",
        "unit": "currency/h",
    }
    assert data["columns"] == ["cost_per_hour", "throughput_samples_per_s", "hbm_fill"]
    assert len(data["front"]) + len(data["dominated"]) + len(data["near"]) == 14
    on_front = {point["point"] for point in data["front"]}
    assert all(beaten["by"] in on_front for beaten in data["dominated"])
    assert data["near"][0]["misses"][0]["share"] == pytest.approx(0.125)
    assert [point["knee"] for point in data["front"]] == [False, True, False]


def test_a_study_has_its_front() -> None:
    """By the goals of its file, or others."""
    study = made_study()
    assert study.pareto().rows == made_front(study).rows
    assert [goal.column for goal in study.pareto("hosts", "hbm_fill").goals] == [
        "hosts",
        "hbm_fill",
    ]


def test_csv_has_the_front() -> None:
    """Plain numbers under the names of axes and columns."""
    data = data_of()
    rows = list(csv.DictReader(StringIO(front_csv(data))))
    assert [int(row["point"]) for row in rows] == [p["point"] for p in data["front"]]
    assert float(rows[0]["cost_per_hour"]) == 120.0
    assert rows[0][BATCH] == "65536"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"subject_to": ["hbm_fill <= 0.1"]}, "No point meets all constraints"),
        ({"axes": {"hosts": [2], BATCH: [65_536]}}, "No point has a plan"),
        (
            {"prices": {}, "pareto": {"x": "cost_per_hour", "y": "hbm_fill"}},
            "No point has a value of all goals",
        ),
    ],
)
def test_an_empty_front_says_why(changes: dict[str, Any], words: str) -> None:
    """And CSV has its heading alone."""
    data = data_of(changes)
    assert words in to_text(render_front(data))
    assert front_csv(data).count("\n") == 1


def test_a_study_without_results() -> None:
    """Says what to do."""
    study = made_study()
    empty = Study(study.spec, (), tuple(row.point for row in study.rows))
    text = to_text(render_front(front_data(empty, made_front(empty))))
    assert "No point has finished yet" in text
    assert "0 points, 16 more have not run" in text


def test_co_design_shows_how_its_hypervolume_grew(tmp_path: Path) -> None:
    """As `history` has it, with the corner up to which it is measured."""
    spec = small.spec(tmp_path)
    study = run(spec)
    data = front_data(study, study.pareto())
    steps = history(spec, study.rows)
    assert data["codesign"]["measure"] == "hypervolume"
    assert data["codesign"]["reference"] == list(reference_point(spec, study.rows))
    assert [step["best"] for step in data["codesign"]["history"]] == [
        step.best for step in steps
    ]
    text = to_text(render_front(data), 140)
    assert f"{steps[-1].best:.6g}" in text
    assert "The hypervolume is measured up to the point" in text


def test_other_studies_have_no_history() -> None:
    """Only a co-design chooses its points."""
    data = data_of()
    assert data["codesign"] is None
    assert "search went on" not in to_text(render_front(data), 140)
