"""Estimates of the predicted step from the fullest ranks."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.problems.step_curves import StepCurves
from shardplan.records.sharding import Objective
from tests.helpers import dlrm_like, random_assignment, two_hosts


def _problem_and_cost(instance, seed):
    problem = instance.problem(objective=Objective.TIME)
    assignment = random_assignment(problem, np.random.default_rng(seed))
    return problem, problem.loads(assignment).cost


@pytest.mark.parametrize("seed", range(5))
def test_curves_meet_the_prediction(seed):
    """At the plan that they were taken at, curves give the predicted step."""
    problem, cost = _problem_and_cost(two_hosts(), seed)
    curves = StepCurves(problem, cost)
    expected = problem.pricer.predict(cost).step_s
    assert curves.exact_s == pytest.approx(expected, rel=1e-12)
    estimate = curves.step_s(curves.columns.fullest(cost)[None])
    assert estimate[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_path_that_was_missed_is_learned(seed):
    """Another plan's step is estimated no worse once it was looked at."""
    problem, cost = _problem_and_cost(two_hosts(), seed)
    other = problem.loads(random_assignment(problem, np.random.default_rng(99))).cost
    curves = StepCurves(problem, cost)
    curves.look_at(other)
    estimate = curves.step_s(curves.columns.fullest(other)[None])[0]
    assert estimate >= curves.exact_s * (1.0 - 2e-4)


def test_columns_in_proportion_are_one():
    """Fewer columns than operations, and none is lost: all follow from those kept."""
    problem, cost = _problem_and_cost(dlrm_like(), 0)
    curves = StepCurves(problem, cost)
    used = problem.options.item_cost.any(axis=(0, 1)).sum()
    assert 0 < curves.columns.item_load.shape[2] < used
    slower = curves.columns.fullest(2.0 * cost)[None]
    assert curves.step_s(slower)[0] > curves.exact_s


def test_slopes_are_what_the_step_grows_by():
    """A little more load on the fullest rank is a little more step."""
    problem, cost = _problem_and_cost(two_hosts(), 1)
    curves = StepCurves(problem, cost)
    fullest = curves.columns.fullest(cost)
    slopes = curves.slopes(fullest)
    now = curves.step_s(fullest[None])[0]
    for column, slope in enumerate(slopes.tolist()):
        more = fullest.copy()
        more[column] *= 1.0 + 1e-6
        grown = curves.step_s(more[None])[0] - now
        # A kernel at its least time does not grow yet.
        assert grown <= slope * (more - fullest).sum() + 1e-15


def test_what_a_rank_does_in_a_row_counts_as_one():
    """Update and next lookup: ranks slow in one and fast in the other are not slow."""
    problem, cost = _problem_and_cost(two_hosts(), 3)
    names = problem.pricer.phases
    forward, backward = map(names.index, ("embedding_forward", "embedding_backward"))
    share = np.linspace(0.2, 0.8, len(cost))
    apart, together = np.zeros_like(cost), np.zeros_like(cost)
    apart[:, forward], apart[:, backward] = share, 1.0 - share
    together[:, forward], together[:, backward] = share, share
    curves = StepCurves(problem, together)
    assert problem.pricer.predict(together).step_s == pytest.approx(
        curves.exact_s, rel=1e-12
    )
    estimate = curves.step_s(curves.columns.fullest(apart)[None])
    expected = problem.pricer.predict(apart).step_s
    assert estimate[0] == pytest.approx(expected, rel=1e-6)
    assert expected < 0.8 * curves.exact_s
