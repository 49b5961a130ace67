"""How good designs are after every batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.studies.codesign.progress import history, reference_point
from shardplan.studies.study import StudyRow
from tests.studies.codesign import small

if TYPE_CHECKING:
    from pathlib import Path

POINT: Any = None


def rows(*pairs: tuple[float, float] | None) -> list[StudyRow]:
    """Rows of price and rate; None has no plan."""
    return [
        StudyRow(
            POINT,
            {"status": "infeasible"}
            if pair is None
            else {
                "status": "feasible",
                "cost_per_hour": pair[0],
                "throughput_samples_per_s": pair[1],
            },
        )
        for pair in pairs
    ]


FOUND = rows(None, None, None, None, (10, 5), (8, 3), None, (12, 4), (7, 5), (9, 9))


def test_reference_of_the_first_batch(tmp_path: Path) -> None:
    """The worst of each objective in the first batch that has an eligible design."""
    spec = small.spec(tmp_path)
    assert reference_point(spec, FOUND) == (12, 3)
    assert reference_point(spec, FOUND[:4]) is None


def test_hypervolume_after_batches(tmp_path: Path) -> None:
    """Up to (12, 3): first (10, 5) alone, then (7, 5) and (9, 9) are the front."""
    found = history(small.spec(tmp_path), FOUND)
    assert [(step.points, step.eligible) for step in found] == [(4, 0), (8, 3), (10, 5)]
    assert found[0].best is None
    assert found[1].best == pytest.approx(2 * 2)
    assert found[2].best == pytest.approx(5 * 2 + 3 * 4)


def test_reference_of_the_file(tmp_path: Path) -> None:
    """It may see more, or less."""
    line = "reference = { throughput_samples_per_s = 0, cost_per_hour = 20 }\n"
    text = small.TWO.replace("batch = 4", f"batch = 4\n{line}")
    spec = small.spec(tmp_path, text)
    assert reference_point(spec, FOUND) == (20, 0)
    assert history(spec, FOUND[:5])[-1].best == pytest.approx(10 * 5)


def test_best_value(tmp_path: Path) -> None:
    """With one objective it is that of the best design so far."""
    text = small.TWO.replace('minimise = ["cost_per_hour"]', "")
    spec = small.spec(tmp_path, text)
    assert [step.best for step in history(spec, FOUND)] == [None, 5, 9]
    assert history(spec, []) == ()
