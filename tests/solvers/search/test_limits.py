"""Limits on single shards, the time that they idle, and reduced costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.certify.dual import lower_bound
from shardplan.certify.regrets import Regrets
from shardplan.costs.scopes import Scope
from shardplan.problems.totals import ranks_per_place
from shardplan.records.sharding import SUMS, Objective
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.search.incumbent import Incumbent
from shardplan.solvers.search.limits import Limits, _TrialMenu
from shardplan.solvers.search.params import SearchParams
from shardplan.solvers.search.vectors import Vectors
from tests.solvers.helpers import DP, TW, Hosts, brute_force, make_problem, toy_problem
from tests.solvers.search_helpers import (
    hbm_problem,
    start,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.problems.problem import Problem

    Floats = NDArray[np.float64]


def three_shards(time: Any, hbm: Any) -> Limits:
    """Whole tables on four ranks, and a copy on all; units are 1 s and 1 GB."""
    cost = np.zeros((3, 1, 6))
    cost[:, 0, 2] = time
    bytes_ = np.zeros((3, 3))
    bytes_[:, 0] = np.array(hbm) * 1e9
    capacity = (np.full(4, 1e9), np.full(1, 1e9), np.full(1, 1e9))
    menus = [[TW], [TW], [DP]]
    problem = make_problem([Hosts(1, 4)], menus, cost, bytes_, capacity)
    return Limits(
        Vectors.of(problem, 1.0), Regrets(1.0, 1.0, 0.0, np.zeros(3), np.zeros(3), 0.0)
    )


def test_idle_time() -> None:
    """A shard of most of a rank's memory leaves time that nobody can use."""
    limits = three_shards([0.2, 0.6, 0.1], [0.6, 0.1, 0.05])
    # Beside the first: time 1 - 0.1 - 0.2, memory 1 - 0.05 - 0.6.
    assert limits.idle(0.7) == pytest.approx([0.7 - 0.35 / 0.7, 0.0, 0.0])
    assert limits.idle(7.0) == pytest.approx([0.7 - 0.05, 0.3 - 0.85 / 7, 0.0])
    assert not limits.idle(0.0).any()
    full = three_shards([0.2, 0.6, 0.1], [0.99, 0.1, 0.05])
    assert full.idle(0.5)[0] == pytest.approx(0.7)


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


def trial_menu(steps: tuple[float, ...]) -> _TrialMenu:
    """Two tables, each short and large, longer and small, or long and tiny.

    One rank, whose whole memory costs 1 s at the prices, as much as the bound.
    """
    bytes_ = np.array([1.2, 0.4, 0.1, 1.2, 0.4, 0.1])
    seconds = np.array([0.0, 1.2, 2.4, 0.0, 1.2, 2.4])
    # At the prices the first of each costs least, as if memory were enough.
    regret = seconds + bytes_ - 1.2
    return _TrialMenu(
        regret=regret,
        longest=seconds[None],
        mean=np.stack([seconds, np.zeros(6)], axis=1),
        priced=regret,
        bytes_price=bytes_,
        memory=1.0,
        steps=steps,
        unit=1.0,
        start=np.array([0, 3, 6]),
        wide=np.zeros(6, dtype=bool),
        filled=np.zeros(6),
        fits=np.ones(6, dtype=bool),
    )


def test_limits_know_the_memory_that_they_take() -> None:
    """Prices rise until what is left within the limits fits into the memory."""
    trial = trial_menu((1.0, 2.0, 4.0))
    choice, priced = trial._cheapest(trial.regret)
    assert trial.bytes_price[choice].sum() <= 1.0
    assert choice.tolist() == [1, 4]
    # At twice the prices: regrets 0.4 + 0.4, and bytes of 0.8 where there is 1.
    assert priced == pytest.approx(1.0 + 0.8 - 0.2)
    _, cheap = trial_menu((1.0,))._cheapest(trial.regret)
    assert cheap == pytest.approx(1.0)
    everything = np.ones((1, 6), dtype=bool)
    assert trial.value(everything) > trial_menu((1.0,)).value(everything)


@pytest.mark.parametrize("objective", SUMS)
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


WITHOUT = SearchParams(reduced_costs=False)


@pytest.mark.parametrize("objective", SUMS)
def test_options_of_better_plans_stay(objective: Objective) -> None:
    """With a plan, options that no better one has are left out, and only these."""
    left_out = better = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        problem = toy_problem(rng, 3, [Hosts(1, 2, 2)], fill=0.5, objective=objective)
        optimum, best = brute_force(problem)
        found = Greedy().solve(problem, Stop(), 0, Silent()).assignment
        if best is None or found is None:
            continue
        stop, bound = Stop(), lower_bound(problem)
        incumbent = Incumbent(problem, bound, stop, Silent())
        regrets = Regrets.of(problem, bound)
        vectors = Vectors.of(problem, regrets.bound_s)
        limits, plain = (
            Limits(vectors.by_phase(), regrets, params)
            for params in (SearchParams(), WITHOUT)
        )
        limit = np.full(limits.longest.shape[1], np.inf)
        by_limits = plain.excess(limit)
        assert (limits.excess(limit, incumbent.value_s) == by_limits).all()
        incumbent.offer(found)
        assert (plain.excess(limit, incumbent.value_s) == by_limits).all()
        excess = limits.excess(limit, incumbent.value_s)
        assert (excess >= by_limits).all()
        left_out += int((excess > np.maximum(by_limits, 0.0)).sum())
        if optimum < incumbent.value_s * (1.0 - 1e-9):
            better += 1
            assert (excess[best.option] <= np.maximum(by_limits[best.option], 0)).all()
    assert left_out > 10
    assert better >= 3
