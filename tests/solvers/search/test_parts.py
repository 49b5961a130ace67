"""Limits on single shards, the incumbent, and exact plans of neighbourhoods."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.certify.regrets import Regrets
from shardplan.costs.scopes import Scope
from shardplan.problems.problem import Assignment
from shardplan.problems.totals import ranks_per_place
from shardplan.records.sharding import Objective
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.search.incumbent import Incumbent
from shardplan.solvers.search.limits import Limits
from shardplan.solvers.search.neighbourhood import Neighbourhood
from shardplan.solvers.search.state import State
from shardplan.solvers.search.vectors import Vectors
from tests.solvers.helpers import DP, TW, Hosts, make_problem, toy_problem
from tests.solvers.search_helpers import (
    CLUSTERS,
    assert_legal,
    empty,
    hbm_problem,
    is_same,
    start,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.problems.problem import Problem

    Floats = NDArray[np.float64]


# Limits


def three_shards(time: Any, hbm: Any) -> Limits:
    """Whole tables on four ranks, and a copy on all; units are 1 s and 1 GB."""
    cost = np.zeros((3, 1, 6))
    cost[:, 0, 2] = time
    bytes_ = np.zeros((3, 3))
    bytes_[:, 0] = np.array(hbm) * 1e9
    capacity = (np.full(4, 1e9), np.full(1, 1e9), np.full(1, 1e9))
    menus = [[TW], [TW], [DP]]
    problem = make_problem([Hosts(1, 4)], menus, cost, bytes_, capacity)
    return Limits(Vectors.of(problem, 1.0), Regrets(1.0, 1.0, 0.0, np.zeros(3)))


def test_waste() -> None:
    """A shard of most of a rank's memory leaves time that nobody can use."""
    limits = three_shards([0.2, 0.6, 0.1], [0.6, 0.1, 0.05])
    # Beside the first: time 1 - 0.1 - 0.2, memory 1 - 0.05 - 0.6.
    assert limits.waste(0.7) == pytest.approx([0.7 - 0.35 / 0.7, 0.0, 0.0])
    assert limits.waste(7.0) == pytest.approx([0.7 - 0.05, 0.3 - 0.85 / 7, 0.0])
    assert not limits.waste(0.0).any()
    full = three_shards([0.2, 0.6, 0.1], [0.99, 0.1, 0.05])
    assert full.waste(0.5)[0] == pytest.approx(0.7)


def test_density() -> None:
    """What shards that are not on all ranks need for each unit of their time."""
    limits = three_shards([0.2, 0.6, 0.1], [0.6, 0.1, 0.05])
    assert limits.mean_density == pytest.approx((0.6 + 0.1) / (0.2 + 0.6))


def test_excess() -> None:
    """How far a shard is beyond a limit, or beyond the memory of a rank."""
    limits = three_shards([0.2, 0.6, 0.1], [0.99, 0.1, 0.05])
    excess = limits.excess(np.array([0.4]))
    assert excess == pytest.approx([0.04, 0.5, -1.0])


def balanced(
    problem: Problem, limits: Limits, regrets: Regrets, limit: Floats
) -> float:
    """Value of a balanced plan within limits; written anew, one bundle at a time."""
    menu, vectors = problem.options, Vectors.of(problem, regrets.bound_s)
    ranks = ranks_per_place(menu, problem.world_size)
    total = np.zeros(vectors.num_times)
    base = np.zeros(vectors.num_times)
    top = np.zeros(vectors.num_times)
    for bundle in range(problem.num_bundles):
        options = range(menu.start[bundle], menu.start[bundle + 1])
        legal = [
            o
            for o in options
            if (limits.longest[o] <= limit).all() and limits.excess(limit * 9)[o] <= 0
        ]
        # A bundle without a legal option takes its least long one.
        option = (
            min(legal, key=lambda o: (regrets.of_option[o], o))
            if legal
            else min(options, key=lambda o: (limits.longest[o].sum(), o))
        )
        items = np.arange(menu.item_start[option], menu.item_start[option + 1])
        cost = vectors.of_items(items)[:, :, : vectors.num_times].min(axis=1)
        mean = (menu.item_count[items] * ranks[option]) @ cost / problem.world_size
        total += mean
        if menu.scope[option] != Scope.RANK:
            base += mean
        top = np.maximum(top, limits.longest[option])
    return float(np.maximum(total, top + base).sum())


@pytest.mark.parametrize("objective", Objective)
def test_the_best_limits_are_worth_it(objective: Objective) -> None:
    """A balanced plan within the limits is no worse than without any."""
    better = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        problem = hbm_problem(rng, 12, [Hosts(2, 4)], objective)
        _, regrets, limits = start(problem)
        best = limits.best(0.0, 0.0)
        found = balanced(problem, limits, regrets, best)
        free = balanced(problem, limits, regrets, np.full(len(best), 1e9))
        assert found <= free + 1e-9
        better += found < 0.99 * free
        for factor in (0.5, 0.85, 1.2, 2.0):
            other = factor * best
            if objective is Objective.MAX_RANK and factor != 0.5:
                # A single dimension: the last passes tried about these.
                assert found <= balanced(problem, limits, regrets, other) + 1e-3
    assert better > 2


# Incumbent


class Diary:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[float, float]] = []

    def improved(self, objective_s: float, lower_bound_s: float) -> None:
        self.told.append((objective_s, lower_bound_s))


def bound_of(value_s: float) -> Any:
    return SimpleNamespace(value_s=value_s, certificate=None)


def test_the_incumbent_only_improves() -> None:
    """Values fall, bounds rise, whatever is offered in whatever order."""
    rng = np.random.default_rng(0)
    problem = hbm_problem(rng, 10, [Hosts(1, 4)])
    problem.capacity.rank_hbm[:] *= 1.5
    state = empty(problem).state
    state.fill(Assignment(problem.options.start[:-1], (np.zeros(1, dtype=int),) * 10))
    diary, stop = Diary(), Stop(gap=0.5)
    incumbent = Incumbent(problem, bound_of(1e-9), stop, diary)
    assert not incumbent.is_close
    incumbent.offer(None)
    assert incumbent.assignment is None
    for _ in range(200):
        bundle = int(rng.integers(10))
        state.take(bundle)
        option = int(problem.options.start[bundle])
        rank = np.argmin(state.load[:, 0]) if rng.random() < 0.8 else rng.integers(4)
        state.put(bundle, option, np.array([rank]))
        before = incumbent.value_s
        if rng.random() < 0.5:
            incumbent.look_at(state)
        elif state.fits():
            incumbent.offer(state.assignment())
        incumbent.raise_bound(bound_of(rng.random() * 1e-3))
        assert incumbent.value_s <= before
        if incumbent.assignment is not None:
            assert incumbent.value_s == problem.value(incumbent.assignment)
            assert problem.loads(incumbent.assignment).fits(problem.capacity)
    told = np.array(diary.told)
    assert len(np.unique(told[:, 0])) > 2
    assert (told[1:, 0] <= told[:-1, 0]).all()
    assert (np.diff(told[:, 1]) >= 0).all()
    assert (told[:, 1] <= told[:, 0]).all()


def test_the_incumbent_wants_what_fits() -> None:
    """A state that overfills a rank is not kept, however good its value."""
    problem = hbm_problem(np.random.default_rng(0), 10, [Hosts(1, 4)])
    state = start(problem).state
    incumbent = Incumbent(problem, bound_of(0.0), Stop(), Silent())
    problem.capacity.rank_hbm[:] /= 10.0
    tight = State(problem, Vectors.of(problem, state.vectors.unit_s))
    tight.fill(state.assignment())
    incumbent.look_at(tight)
    assert incumbent.assignment is None
    problem.capacity.rank_hbm[:] *= 10.0
    incumbent.look_at(state)
    assert incumbent.assignment is not None


def test_the_incumbent_is_close_within_the_gap() -> None:
    """Value over bound decides."""
    problem = hbm_problem(np.random.default_rng(0), 10, [Hosts(1, 4)])
    assignment = start(problem).state.assignment()
    value = problem.value(assignment)
    incumbent = Incumbent(problem, bound_of(value / 1.2), Stop(gap=0.1), Silent())
    incumbent.offer(assignment)
    assert not incumbent.is_close
    incumbent.raise_bound(bound_of(value / 1.05))
    assert incumbent.is_close


# Neighbourhoods


class Watched(Neighbourhood):
    """Remembers which bundles were free."""

    free: NDArray[np.bool_]

    def _free(self, assignment: Assignment) -> NDArray[np.bool_]:
        self.free = super()._free(assignment)
        return self.free


@pytest.mark.parametrize("objective", Objective)
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_neighbourhoods(cluster: str, objective: Objective) -> None:
    """The plan stays legal and gets no worse; bundles that are fixed do not move."""
    rng = np.random.default_rng(14)
    problem = toy_problem(rng, 14, CLUSTERS[cluster], fill=0.4, objective=objective)
    found = Greedy().solve(problem, Stop(), 0, Silent()).assignment
    assert found is not None
    first, neighbourhood = found, Watched(problem, rng)
    for _ in range(3):
        better = neighbourhood.improve(found, Stop(time_limit_s=20.0))
        assert_legal(problem, better)
        assert problem.value(better) <= problem.value(found)
        assert 0 < neighbourhood.free.sum() < problem.num_bundles
        for bundle in np.flatnonzero(~neighbourhood.free).tolist():
            assert better.option[bundle] == found.option[bundle]
            assert set(better.places[bundle]) <= set(found.places[bundle])
        found = better
    assert not is_same(found, first)
    assert problem.value(found) < problem.value(first)
