"""A gap never stands without what it is a gap of."""

from __future__ import annotations

from typing import Any

import pytest

from shardplan.records.sharding import QUANTITY, Objective
from shardplan.report.quality import bound_sentence, bound_text, objective_text


def quality(objective: Objective, bound: str, **changes: Any) -> dict[str, Any]:
    """Return what a report knows of a plan with a gap of a tenth."""
    return {
        "objective": objective.value,
        "objective_s": 1.1e-3,
        "lower_bound_s": 1e-3,
        "gap": 0.1,
        "bound": bound,
        "claimed_bound_s": None,
        **changes,
    }


@pytest.mark.parametrize("objective", list(Objective))
@pytest.mark.parametrize("bound", ["proven", "claimed"])
def test_every_gap_says_of_what(objective: Objective, bound: str) -> None:
    """Those on sums add that they say nothing about the step."""
    text = bound_text(quality(objective, bound))
    assert "10.0 %" in text
    assert QUANTITY[objective] in text
    if bound == "proven":
        assert "at most 10.0 % above the best possible " + QUANTITY[objective] in text
    assert ("nothing about the step" in text) == (objective is not Objective.TIME)


def test_the_bound_on_the_step_in_words() -> None:
    """It is about a menu and a cost model."""
    rule = "No plan of this menu has a predicted step below 1.000 ms"
    words = bound_sentence(quality(Objective.TIME, "proven"))
    assert words == f"{rule} by this cost model."
    claimed = bound_sentence(quality(Objective.TIME, "claimed"))
    assert claimed.startswith("It is claimed, not proven, that no plan of this menu")
    text = bound_text(quality(Objective.TIME, "proven"))
    assert "no plan of this menu has one below the bound by this cost model" in text


@pytest.mark.parametrize("objective", list(Objective))
def test_without_a_bound_nothing_is_said(objective: Objective) -> None:
    """No gap, no words about one."""
    data = quality(objective, "none", lower_bound_s=0.0, gap=None)
    assert (bound_text(data), bound_sentence(data)) == ("none", "")
    assert objective_text(data).endswith(f"({objective.value}: {QUANTITY[objective]})")
