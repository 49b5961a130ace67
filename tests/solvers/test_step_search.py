"""Annealing on the predicted step."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.problems.weighted import StepCurves
from shardplan.records.sharding import Objective
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.by_step_time import ByStepTime
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.step_search import StepSearch
from tests.helpers import CLUSTERS, dlrm_like, random_assignment, two_hosts, varied


@pytest.mark.parametrize("seed", range(3))
def test_finds_better_plans_that_fit(seed):
    """From a random plan the step gets much shorter; pools are kept."""
    problem = dlrm_like().problem(objective=Objective.TIME)
    start = random_assignment(problem, np.random.default_rng(seed))
    if not problem.loads(start).fits(problem.capacity):
        start = ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent()).assignment
    found = StepSearch(problem, seed).improve(start, Stop(work_limit=400))
    assert problem.value(found) <= problem.value(start)
    assert problem.loads(found).fits(problem.capacity)


def test_improves_a_bad_plan():
    """All on one rank is not left so."""
    problem = two_hosts().problem(objective=Objective.TIME)
    menu = problem.options
    single = [
        int(np.flatnonzero((menu.table == b) & menu.is_single)[0])
        for b in range(problem.num_bundles)
    ]
    places = tuple(np.zeros(1, dtype=np.int64) for _ in single)
    start = type(random_assignment(problem, np.random.default_rng(0)))(
        np.array(single), places
    )
    found = StepSearch(problem, 0).improve(start, Stop(work_limit=600))
    assert problem.value(found) < 0.95 * problem.value(start)


@pytest.mark.parametrize("cluster", sorted(CLUSTERS))
def test_keeps_to_constraints(cluster):
    """Places are legal for pinned and colocated tables, and apart where needed."""
    problem = varied(CLUSTERS[cluster]).problem(objective=Objective.TIME)
    start = ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent()).assignment
    found = StepSearch(problem, 1).improve(start, Stop(work_limit=300))
    menu = problem.options
    for bundle, option in enumerate(found.option.tolist()):
        assert menu.table[option] == bundle
        places = found.places[bundle]
        assert np.isin(places, problem.group_places(bundle, option)).all()
        if problem.apart[option]:
            assert len(set(places.tolist())) == len(places)


@pytest.mark.parametrize("seed", range(5))
def test_curves_meet_the_prediction(seed):
    """At the plan that they were taken at, curves give the predicted step."""
    problem = two_hosts().problem(objective=Objective.TIME)
    loads = problem.loads(random_assignment(problem, np.random.default_rng(seed)))
    curves = StepCurves.at(problem, loads.cost)
    expected = problem.pricer.predict(loads.cost).step_s
    assert curves.exact_s == pytest.approx(expected, rel=1e-12)
    assert curves.step_s(loads.cost) == pytest.approx(expected, rel=1e-6)


def test_the_same_seed_finds_the_same():
    """Work, not time, ends it."""
    problem = two_hosts().problem(objective=Objective.TIME)
    start = random_assignment(problem, np.random.default_rng(0))
    first, second = (
        StepSearch(problem, 7).improve(start, Stop(work_limit=500)) for _ in range(2)
    )
    np.testing.assert_array_equal(first.option, second.option)
