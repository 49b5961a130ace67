"""The annealing search: loads stay right, limits are kept, nothing gets worse."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.sharding import Objective, Scope
from shardplan.solvers.auto import Auto
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.ldm import LargestDifferencing
from shardplan.solvers.search.guide import Guide
from shardplan.solvers.search.limits import Limits
from shardplan.solvers.search.penalty import Penalty
from shardplan.solvers.search.recut import Recutter
from shardplan.solvers.search.repartition import Repartitioner
from shardplan.solvers.search.state import State
from shardplan.solvers.search.vectors import Vectors
from shardplan.solvers.selection import OptionTotals
from tests.solvers.helpers import Hosts, brute_force, toy_problem, two_tables

CLUSTERS = {
    "one host": [Hosts(1, 4, 4)],
    "two hosts": [Hosts(2, 4, 2)],
    "mixed": [Hosts(2, 2, 2), Hosts(1, 4, 4)],
}


def assert_legal(problem, assignment):
    """Check pools, pins, separation, distinct places and same hosts."""
    menu = problem.options
    assert problem.loads(assignment).fits(problem.capacity)
    used = []
    for bundle, option in enumerate(assignment.option):
        places = assignment.places[bundle]
        scope = int(menu.scope[option])
        assert menu.table[option] == bundle
        ranks = np.zeros(problem.world_size, dtype=bool)
        for place in places if scope != Scope.ALL else [0]:
            ranks[problem.place_ranks(scope, int(place))] = True
        assert not (ranks & ~problem.allowed_ranks(bundle)).any()
        if scope != Scope.ALL:
            assert len(places) == menu.num_places(option)
        if scope == Scope.RANK and menu.row_shards[option] > 1:
            assert len(set(places.tolist())) == len(places)
        if menu.same_host[option]:
            assert len(set(problem.cluster.rank_host[places].tolist())) == 1
        used.append(ranks)
    for bundle, others in problem.conflicts.items():
        assert not any((used[bundle] & used[other]).any() for other in others)


def solve(problem, work=2e5, seed=0):
    return Auto().solve(problem, Stop(work_limit=work), seed, Silent())


def started(problem):
    """Return a state that holds greedy's plan, and what the moves need."""
    totals = OptionTotals.of(problem)
    guide = Guide.of(problem, totals)
    vectors = Vectors.of(problem, guide.bound_s)
    state = State(problem, vectors)
    found = Greedy().solve(problem, Stop(), 0, Silent())
    assert found.assignment is not None
    state.fill(found.assignment)
    return state, guide, Limits(vectors, guide)


@pytest.mark.parametrize("objective", Objective)
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_loads_stay_right(cluster, objective):
    """After many random moves the loads equal a fresh sum over the assignment."""
    rng = np.random.default_rng(7)
    problem = toy_problem(rng, 40, CLUSTERS[cluster], fill=0.4, objective=objective)
    state, guide, limits = started(problem)
    excess = limits.excess(limits.best(0.0), 0.0)
    divider = Repartitioner(state, rng)
    recutter = Recutter(state, guide.regret, excess, rng)
    penalty = Penalty(np.full(state.num_times, 0.5 / state.num_times))
    moves = 0
    for step in range(4000):
        order = rng.permutation(problem.world_size)
        half = problem.world_size // 2
        found = divider.best(order[:half], order[half:], penalty, 1.0, 5)
        moves += int(found.goes.sum())
        state.divide(found.rank, found.other, found.units, found.goes)
        if step % 20 == 0:
            moves += recutter.recut(int(rng.integers(40)), penalty, 1.0)
    assert moves > 10**4
    fresh = State(problem, state.vectors)
    fresh.fill(state.assignment())
    assert np.allclose(state.load, fresh.load, rtol=0, atol=1e-9)
    assert np.allclose(state.host_load, fresh.host_load, rtol=0, atol=1e-9)
    loads = problem.loads(state.assignment())
    value = state.value() * state.vectors.unit_s
    assert value == pytest.approx(loads.value(objective), rel=1e-9)
    assert state.fits() == loads.fits(problem.capacity)
    listed = sorted(u for rank in state.slots for u in rank[rank > 0])
    assert listed == sorted(u for units in state.units for u in units)


@pytest.mark.parametrize("objective", Objective)
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_never_worse_and_legal(cluster, objective):
    """Auto keeps all constraints and is at least as good as greedy and LDM."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        problem = toy_problem(
            rng, 12, CLUSTERS[cluster], fill=0.5 + 0.1 * seed, objective=objective
        )
        found = solve(problem)
        quick = [
            solver.solve(problem, Stop(), 0, Silent()).assignment
            for solver in (Greedy(), LargestDifferencing())
        ]
        values = [problem.value(a) for a in quick if a is not None]
        if found.assignment is None:
            assert not values
            continue
        assert_legal(problem, found.assignment)
        value = problem.value(found.assignment)
        assert value <= min(values, default=np.inf) * (1 + 1e-12)
        assert found.lower_bound_s <= value * (1 + 1e-9)


@pytest.mark.parametrize("objective", Objective)
def test_close_to_the_optimum(objective):
    """On tiny problems the search ends close to what trying everything finds."""
    for seed in range(3, 6):
        rng = np.random.default_rng(100 + seed)
        problem = toy_problem(rng, 4, [Hosts(2, 2, 2)], objective=objective)
        best, _ = brute_force(problem)
        found = solve(problem, work=2e6)
        if not np.isfinite(best):
            assert found.assignment is None
            continue
        assert found.lower_bound_s <= best * (1 + 1e-9)
        if found.assignment is not None:
            assert problem.value(found.assignment) <= 1.1 * best


def test_same_seed_same_plan():
    """Two searches of one seed and work limit give the same assignment."""
    problem = toy_problem(np.random.default_rng(3), 20, [Hosts(2, 4, 4)], fill=0.5)
    first, second = solve(problem, seed=5), solve(problem, seed=5)
    assert np.array_equal(first.assignment.option, second.assignment.option)
    for a, b in zip(first.assignment.places, second.assignment.places, strict=True):
        assert np.array_equal(a, b)


def test_request_keeps_the_best():
    """A request from outside ends the search; the plan is the best one reported."""

    class Impatient:
        def __init__(self):
            self.values = []

        def improved(self, objective_s, lower_bound_s):
            self.values.append(objective_s)
            stop.requested = True

    problem = toy_problem(np.random.default_rng(4), 20, [Hosts(2, 4, 4)], fill=0.5)
    stop, observer = Stop(), Impatient()
    found = Auto().solve(problem, stop, 0, observer)
    assert problem.value(found.assignment) == min(observer.values)


def test_small_problem_with_every_constraint():
    """Two tables that share no rank, one of them forbidden on rank 3."""
    problem = two_tables()
    found = solve(problem)
    assert found.assignment is not None
    assert_legal(problem, found.assignment)
    assert problem.value(found.assignment) == pytest.approx(brute_force(problem)[0])
