"""Turns are as long whatever limits the search."""

from __future__ import annotations

import pytest

from shardplan.solvers.base import Stop
from shardplan.solvers.turns import Turns


@pytest.mark.parametrize("limit", [1e3, 1e6])
def test_a_turn_is_a_share_of_the_work_before(limit: float) -> None:
    """Of the least at first, and never of what is left."""
    stop = Stop(work_limit=limit, work=50.0)
    turns = Turns(stop, 100.0)
    assert turns.length(0.5) == 50.0
    stop.work = 450.0
    assert turns.length(0.5) == 200.0
    assert turns.ends(0.5) == 650.0


def test_without_a_limit_of_work_seconds_count() -> None:
    now = [0.0]
    stop = Stop(time_limit_s=10.0, clock=lambda: now[0])
    turns = Turns(stop, 1e6)
    now[0] = 4.0
    assert turns.length(0.25) == pytest.approx(1.0)


def test_without_a_limit_a_turn_has_no_end() -> None:
    """How many moves there are then is no matter of the clock."""
    turns = Turns(Stop(), 1.0)
    assert turns.is_free
    assert turns.length(0.1) == float("inf")
    assert not Turns(Stop(work_limit=1.0), 1.0).is_free
