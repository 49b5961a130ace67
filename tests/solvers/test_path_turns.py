"""Going on from the best plan, by what its path weighs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.problems.weighted import weights_at
from shardplan.records.sharding import Objective
from shardplan.solvers.auto import Auto
from shardplan.solvers.base import Improver, Silent, Stop
from shardplan.solvers.by_step_time import ByStepTime
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.path_turns import PathTurns
from shardplan.solvers.shortest_step import ShortestStep
from tests.benchmarks.families import Family, family_problem
from tests.helpers import random_assignment, two_hosts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.problems.problem import Assignment, Problem


@cache
def _problem() -> Problem:
    return two_hosts().problem(objective=Objective.TIME)


@cache
def _plan() -> Assignment:
    found = ByStepTime(Greedy()).solve(_problem(), Stop(), 0, Silent()).assignment
    assert found is not None
    return found


@cache
def _drawn() -> list[Assignment]:
    """Draw plans that fit, the longest step first."""
    problem, rng = _problem(), np.random.default_rng(1)
    drawn = [random_assignment(problem, rng) for _ in range(50)]
    legal = [one for one in drawn if problem.loads(one).fits(problem.capacity)]
    return sorted(legal, key=problem.value, reverse=True)


def _best() -> ShortestStep:
    best = ShortestStep(_problem(), Silent())
    best.take(_plan())
    return best


class _Scripted:
    """Yields given plans, again and again, and remembers what it was asked."""

    def __init__(self, *plans: Assignment) -> None:
        self.plans, self.asked, self.yielded = plans, [], 0

    def improve_from(
        self, problem: Problem, plan: Assignment, stop: Stop, seed: int
    ) -> Iterator[Assignment]:
        self.asked.append((problem, plan, seed))
        for one in self.plans:
            self.yielded += 1
            yield one


def test_auto_goes_on_from_a_plan() -> None:
    """Sums of its path get less, and so does the step."""
    assert isinstance(Auto(), Improver)
    assert not isinstance(Greedy(), Improver)
    problem = family_problem(Family.HOT_SMALL, 9302, 60, 8, Objective.TIME)
    plan = ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent()).assignment
    assert plan is not None
    best, stop = ShortestStep(problem, Silent()), Stop(work_limit=30_000)
    best.take(plan)
    PathTurns(Auto(), best, 0).run(stop, np.inf)
    assert stop.work >= 30_000
    assert best.assignment is not None
    assert best.step_s < 0.98 * problem.value(plan)
    assert problem.loads(best.assignment).fits(problem.capacity)


def test_each_cycle_begins_with_the_best_plan() -> None:
    """The first yield of the search is never worse than what it began with."""
    stop = Stop(work_limit=5_000)
    sums = family_problem(Family.HBM, 9302, 24, 4, Objective.STEP)
    start = Greedy().solve(sums, Stop(), 0, Silent()).assignment
    assert start is not None
    values = [sums.value(one) for one in Auto().improve_from(sums, start, stop, 0)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < sums.value(start)


def test_what_does_not_help_ends_the_turn() -> None:
    problem = _problem()
    worse = _drawn()[0]
    assert problem.value(worse) > problem.value(_plan())
    best, solver = _best(), _Scripted(worse, worse)
    PathTurns(solver, best, 0).run(Stop(), np.inf)
    assert best.assignment is _plan()
    assert solver.yielded == 1


def test_weights_become_the_mean_of_paths() -> None:
    """Those of the plan where it began, then half of each plan that it leads to."""
    problem = _problem()
    first, *_, second = _drawn()
    best = ShortestStep(problem, Silent())
    best.take(first)
    turns = PathTurns(_Scripted(second), best, 0)
    turns.run(Stop(), np.inf)
    assert best.step_s == problem.value(second)
    own, new = (weights_at(problem, problem.loads(one).cost) for one in (first, second))
    assert turns._part is not None
    weights = 0.5 * (0.5 * (own + new) + new)  # once more, without success
    np.testing.assert_allclose(turns._part.weights, weights)


@pytest.mark.parametrize("stop", [Stop(time_limit_s=0.0), Stop(work_limit=0.0)])
def test_nothing_is_done_after_the_end(stop: Stop) -> None:
    best, solver = _best(), _Scripted()
    PathTurns(solver, best, 0).run(stop, np.inf)
    assert solver.asked == []


def test_nothing_is_done_without_a_plan() -> None:
    solver = _Scripted()
    PathTurns(solver, ShortestStep(_problem(), Silent()), 0).run(Stop(), np.inf)
    assert solver.asked == []
