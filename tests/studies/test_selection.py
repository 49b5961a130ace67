"""Some columns and rows of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shardplan.errors import InputError
from shardplan.studies.expand import expand
from shardplan.studies.selection import Selection
from shardplan.studies.study import Study, make_row
from tests.studies import quick

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Four points: steps of 3, none, 2 and 1 s."""
    spec = quick.spec(tmp_path)
    steps = (3.0, None, 2.0, 1.0)
    rows = [
        make_row(spec, point, {"status": "feasible", "step_time_s": step})
        for point, step in zip(expand(spec), steps, strict=False)
    ]
    return Study(spec, tuple(rows))


def test_main_columns_are_those_that_say_something(study: Study) -> None:
    """Axes that vary, and results that any row has."""
    assert [column.name for column in Selection.of(study).columns] == [
        "workload.global_batch_size",
        "workload.tables.*.num_embeddings",
        "status",
        "step_time_s",
    ]


def test_the_column_of_the_order_is_shown(study: Study) -> None:
    """Else nobody sees why rows stand as they do."""
    names = [column.name for column in Selection.of(study, None, "gap").columns]
    assert names[-2:] == ["step_time_s", "gap"]
    again = [column.name for column in Selection.of(study, None, "step_time_s").columns]
    assert again.count("step_time_s") == 1


def test_a_study_without_results_has_columns(study: Study) -> None:
    """A table needs one; the run may have just begun."""
    names = [column.name for column in Selection.of(Study(study.spec, ())).columns]
    assert names[:2] == ["status", "step_time_s"]


def test_rows_are_chosen_and_sorted(study: Study) -> None:
    """Empty ones come last, and meet no rule."""
    found = Selection.of(study, ["step_time_s"], "step_time_s")
    assert [row["step_time_s"] for row in found.rows] == [1.0, 2.0, 3.0, None]
    found = Selection.of(study, ["step_time_s"], None, ["step_time_s >= 2000 ms"])
    assert found.to_dict()["rows"] == [{"step_time_s": 3.0}, {"step_time_s": 2.0}]


def test_every_wrong_word_is_named(study: Study) -> None:
    with pytest.raises(InputError) as error:
        Selection.of(study, ["hots"], "step", ["x > 1"])
    assert len(error.value.problems) == 3
    assert "did you mean 'hosts'" in str(error.value)
