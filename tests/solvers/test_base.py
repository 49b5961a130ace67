"""Solvers by name, when they stop, and what their results mean."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.problems.problem import Assignment
from shardplan.solvers import base, registry
from shardplan.solvers.base import (
    Silent,
    SolveStatus,
    Stop,
    finished,
)

NOTHING = Assignment(np.zeros(0, dtype=int), ())


def test_names_that_went_elsewhere() -> None:
    """They are still found, with a warning."""
    with pytest.warns(DeprecationWarning, match=r"is solvers\.load_solver now"):
        assert base.load_solver is registry.load_solver
    with pytest.raises(AttributeError, match="no attribute 'load'"):
        base.load  # noqa: B018


def test_what_is_limited_is_spent() -> None:
    """Work where it is limited, whatever the clock says; else seconds."""
    by_work = Stop(work_limit=100.0, clock=lambda: 5.0)
    by_work.work = 30.0
    assert (by_work.spent, by_work.left) == (30.0, 70.0)
    by_work.work = 130.0
    assert by_work.left == 0.0
    times = iter([1.0, 4.0, 4.0])
    timed = Stop(time_limit_s=10.0, clock=lambda: next(times))
    assert (timed.spent, timed.left) == (3.0, 7.0)


def test_stop() -> None:
    """A limit, a request and a gap end a search."""
    never = Stop()
    assert not never.now()
    assert never.remaining_s() == float("inf")
    never.requested = True
    assert never.now()
    over = Stop(time_limit_s=0.0)
    assert over.now()
    assert over.remaining_s() == 0.0
    assert over.elapsed_s() >= 0.0


def test_stop_by_another_clock() -> None:
    """Limits count from when the stop was made, in seconds of its own clock."""
    now = 5.0
    stop = Stop(time_limit_s=3.0, last_s=4.0, clock=lambda: now)
    now = 7.0
    assert stop.elapsed_s() == 2.0
    assert stop.remaining_s() == 1.0
    assert not stop.now()
    now = 8.0
    assert stop.now()
    assert not stop.is_overdue()
    now = 9.0
    assert stop.is_overdue()


def test_sooner() -> None:
    """Within blocks the nearest limit holds; afterwards the old one, come what may."""
    stop = Stop(time_limit_s=1000.0)
    with stop.sooner(10.0):
        assert 9.0 < stop.remaining_s() <= 10.0
        with stop.sooner(0.0):
            assert stop.now()
            assert stop.remaining_s() == 0.0
        assert not stop.now()
        with stop.sooner(100.0):
            assert stop.remaining_s() <= 10.0
        assert 9.0 < stop.remaining_s() <= 10.0
    assert stop.time_limit_s == 1000.0
    never = Stop()

    def fail() -> None:
        with never.sooner(1.0):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert never.remaining_s() == float("inf")


@pytest.mark.parametrize(
    ("gap", "value", "close"),
    [(0.0, 1.0, True), (0.0, 1.001, False), (0.1, 1.099, True), (0.1, 1.2, False)],
)
def test_close_enough(gap: float, value: float, close: bool) -> None:
    """A search may end at a plan within the gap of its bound."""
    assert Stop(gap=gap).close_enough(value, 1.0) is close


@pytest.mark.parametrize(
    ("assignment", "value", "stop", "status"),
    [
        (None, np.inf, Stop(), SolveStatus.NOT_FOUND),
        (NOTHING, 1.0, Stop(), SolveStatus.OPTIMAL),
        (NOTHING, 2.0, Stop(), SolveStatus.FEASIBLE),
        (NOTHING, 2.0, Stop(time_limit_s=0.0), SolveStatus.TIME_LIMIT),
        (NOTHING, 1.0, Stop(time_limit_s=0.0), SolveStatus.OPTIMAL),
    ],
)
def test_how_a_search_ended(
    assignment: Assignment | None, value: float, stop: Stop, status: SolveStatus
) -> None:
    """Optimal with a proof, else feasible or cut short, or nothing found."""
    assert finished(assignment, value, 1.0, stop).status is status


def test_silence() -> None:
    """The default observer ignores everything."""
    Silent().improved(1.0, 0.5)
