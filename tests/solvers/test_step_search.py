"""Annealing on the predicted step."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.problems.problem import Assignment
from shardplan.records.sharding import Objective
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.by_step_time import ByStepTime
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.step_search import StepSearch
from tests.helpers import (
    CLUSTERS,
    COST_MODEL,
    Instance,
    dlrm_like,
    random_assignment,
    topology,
    two_hosts,
    varied,
    workload,
)


@pytest.mark.parametrize("seed", range(3))
def test_finds_better_plans_that_fit(seed):
    """From a random plan the step gets much shorter; pools are kept."""
    problem = dlrm_like().problem(objective=Objective.TIME)
    start = random_assignment(problem, np.random.default_rng(seed))
    if not problem.loads(start).fits(problem.capacity):
        start = ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent()).assignment
    found = StepSearch(problem, seed).improve([start], Stop(work_limit=400))[-1]
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
    found = StepSearch(problem, 0).improve([start], Stop(work_limit=600))[-1]
    assert problem.value(found) < 0.95 * problem.value(start)


@pytest.mark.parametrize("cluster", sorted(CLUSTERS))
def test_keeps_to_constraints(cluster):
    """Places are legal for pinned and colocated tables, and apart where needed."""
    problem = varied(CLUSTERS[cluster]).problem(objective=Objective.TIME)
    start = ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent()).assignment
    found = StepSearch(problem, 1).improve([start], Stop(work_limit=300))[-1]
    menu = problem.options
    for bundle, option in enumerate(found.option.tolist()):
        assert menu.table[option] == bundle
        places = found.places[bundle]
        assert np.isin(places, problem.group_places(bundle, option)).all()
        if problem.apart[option]:
            assert len(set(places.tolist())) == len(places)


def test_the_best_start_is_not_lost():
    """Of several starts none is shorter than what comes out, whatever the limit."""
    problem = two_hosts().problem(objective=Objective.TIME)
    starts = [
        random_assignment(problem, np.random.default_rng(seed)) for seed in range(4)
    ]
    shortest = min(problem.value(start) for start in starts)
    for work in (0, 1, 300):
        found = StepSearch(problem, 0).improve(starts, Stop(work_limit=work))[-1]
        assert problem.value(found) <= shortest


def test_the_same_seed_finds_the_same():
    """Work, not time, ends it."""
    problem = two_hosts().problem(objective=Objective.TIME)
    start = random_assignment(problem, np.random.default_rng(0))
    first, second = (
        StepSearch(problem, 7).improve([start], Stop(work_limit=500))[-1]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.option, second.option)


def test_ranks_on_one_nic_are_seen():
    """Two busy ranks on a NIC are no fuller than others: only their link tells."""
    tables = [{"constraints": {"sharding_types": ["table_wise"]}}] * 4
    cluster = topology(num_hosts=2, scale_out={"nics_per_host": 2, "nic_bw": 1e9})
    instance = Instance(workload(*tables), cluster, COST_MODEL)
    problem = instance.problem(objective=Objective.TIME)
    menu = problem.options
    whole = [int(np.flatnonzero(menu.table == b)[0]) for b in range(4)]
    start, apart = (
        Assignment(np.array(whole), tuple(np.array([rank]) for rank in ranks))
        for ranks in ([0, 1, 4, 5], [0, 2, 4, 6])
    )
    assert problem.value(apart) < problem.value(start)
    found = StepSearch(problem, 0).improve([start], Stop(work_limit=400))[-1]
    assert problem.value(found) <= problem.value(apart) * (1.0 + 1e-9)


def test_a_step_that_is_enough_ends_the_search():
    """No move is made from a plan that is good enough."""
    problem = two_hosts().problem(objective=Objective.TIME)
    start = random_assignment(problem, np.random.default_rng(0))
    stop, enough_s = Stop(work_limit=500), 2.0 * problem.value(start)
    (found,) = StepSearch(problem, 0).improve([start], stop, enough_s)
    assert found is start
    assert stop.work < 100
