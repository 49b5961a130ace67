"""What rows are worth: costs of those that break no rule, and by how much others do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.studies.codesign.worth import Worth
from tests.studies.codesign import small

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def worth(tmp_path: Path) -> Worth:
    """Two objectives and two conditions."""
    rules = 'subject_to = ["hbm_fill <= 0.8", "step_time_s < 10 ms"]\n'
    return Worth.of(small.spec(tmp_path, rules + small.TWO).file)


def row(**changes: Any) -> dict[str, Any]:
    """A row that breaks no rule, with changes."""
    values = {
        "status": "feasible",
        "cost_per_hour": 30.0,
        "throughput_samples_per_s": 5e6,
        "hbm_fill": 0.8,
        "step_time_s": 0.005,
    }
    return values | changes


def test_costs_are_minimised(worth: Worth) -> None:
    """More throughput is better, so it counts with a minus."""
    assert worth.costs(row()) == (30.0, -5e6)
    assert worth.violation(row()) == 0.0


@pytest.mark.parametrize(
    ("changes", "violation"),
    [
        ({"hbm_fill": 1.0}, 0.2),  # 1/4 of the limit beyond it: 0.25 / 1.25
        ({"step_time_s": 0.02}, 0.5),  # as much again
        ({"hbm_fill": 1.0, "step_time_s": 0.02}, 0.7),
        ({"hbm_fill": None}, 1.0),
        ({"cost_per_hour": None}, 1.0),
        ({"status": "infeasible", "shortfall_bytes": 0}, 4.0),
        ({"status": "infeasible", "shortfall_bytes": 2**32 - 1}, 4.5),
        ({"status": "error"}, 5.0),
    ],
)
def test_violations(worth: Worth, changes: dict[str, Any], violation: float) -> None:
    """Larger ones are worse; without a plan it is worst, but a shortfall has a size."""
    assert worth.violation(row(**changes)) == pytest.approx(violation)
    assert worth.costs(row(**changes)) is None


def test_a_strict_limit_is_outside(worth: Worth) -> None:
    """At 10 ms the step is not below 10 ms, by next to nothing."""
    assert 0.0 < worth.violation(row(step_time_s=0.01)) < 1e-12
