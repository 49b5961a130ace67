"""Levels of ranks: the same as worked out from loads, item by item."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.costs.scopes import Scope
from shardplan.problems.totals import OptionTotals
from shardplan.records.sharding import SUMS, Objective
from shardplan.solvers.greedy import place_all
from shardplan.solvers.levels import Levels
from shardplan.solvers.placement import mean_phase_load
from shardplan.solvers.selection import select
from tests.solvers.helpers import Hosts, toy_problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.problems.problem import Problem

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

GROUPS = [[Hosts(2, 4, 4)], [Hosts(1, 4, 2), Hosts(2, 2, 2)]]


def some_levels(
    seed: int, power: float, objective: Objective
) -> tuple[Problem, Floats, Levels]:
    """Levels with a few items on random ranks."""
    rng = np.random.default_rng(seed)
    problem = toy_problem(rng, 8, GROUPS[seed % 2], fill=0.1, objective=objective)
    scale = mean_phase_load(problem, problem.options.start[:-1])
    levels = Levels(problem, scale, power)
    for item in rng.integers(len(problem.options.item_count), size=12).tolist():
        levels.add(item, int(rng.integers(problem.world_size)))
    levels.add_everywhere(np.array([0, 2]))
    return problem, scale, levels


def expected_score(
    problem: Problem, scale: Floats, levels: Levels, item: int, power: float
) -> list[float]:
    """Score of each rank, one by one, with loops."""
    menu, loads = problem.options, levels.loads
    rooms = problem.rooms
    scores = []
    for rank in range(problem.world_size):
        cost = loads.cost[rank] + menu.item_cost[item, problem.cluster.rank_class[rank]]
        if problem.objective is Objective.MAX_RANK:
            time = [cost.sum() / scale.sum()]
        else:
            time = list(cost / scale)
        pool = loads.rank_pool[rank]
        own = menu.item_bytes[item]
        hbm = (loads.hbm[rank] + own[0]) / rooms[0][rank]
        pools = [
            (used[pool] + own[tier]) / rooms[tier][pool]
            for tier, used in ((1, loads.ddr), (2, loads.ssd))
            if own[tier] > 0
        ]
        if power == np.inf:
            score = max(*time, hbm)
        else:
            score = sum(level**power for level in [*time, hbm])
        full = max(hbm, *pools, 0.0) > 1.0
        scores.append(np.inf if full else max(score, *pools, 0.0))
    return scores


def tried(
    levels: Levels, item: int, ranks: Ints | None, taken: list[int]
) -> int | None:
    """Rank to which an item would go."""
    rank = levels.put(item, ranks, taken)
    if rank is not None:
        levels.add(item, rank, -1.0)
    return rank


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("power", [np.inf, 8.0])
@pytest.mark.parametrize("seed", range(10))
def test_scores(seed: int, power: float, objective: Objective) -> None:
    """Scores are norms of what is on a rank after an item, infinite where none fits."""
    problem, scale, levels = some_levels(seed, power, objective)
    ranks = np.arange(problem.world_size)
    for item in range(len(problem.options.item_count)):
        expected = expected_score(problem, scale, levels, item, power)
        np.testing.assert_allclose(levels.scores(item, None), expected, rtol=1e-9)
        some = ranks[::2]
        np.testing.assert_array_equal(
            levels.scores(item, some), levels.scores(item, None)[some]
        )
        best = tried(levels, item, None, [])
        if best is None:
            assert np.isinf(expected).all()
            continue
        assert expected[best] == pytest.approx(min(expected), rel=1e-9)
        other = tried(levels, item, None, [best])
        assert other == tried(levels, item, np.delete(ranks, best), [])
        assert other == tried(levels, item, ranks, [best])


@pytest.mark.parametrize("seed", range(4))
def test_what_is_taken_back_leaves_no_trace(seed: int) -> None:
    """Items that are put on ranks and taken from them count no more."""
    problem, _, levels = some_levels(seed, np.inf, Objective.STEP)
    before = [levels.scores(item, None) for item in range(5)]
    ranks = problem.place_ranks(Scope.HOST, 0)
    for sign in (1.0, -1.0):
        levels.add(1, ranks, sign)
        levels.add(2, np.array([0, 3]), sign)
    for item, score in enumerate(before):
        np.testing.assert_allclose(levels.scores(item, None), score, rtol=1e-9)


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("seed", range(6))
def test_loads_are_those_of_the_plan(seed: int, objective: Objective) -> None:
    """What a placer has added up is what its assignment costs and takes."""
    rng = np.random.default_rng(seed)
    problem = toy_problem(rng, 12, GROUPS[seed % 2], fill=0.3, objective=objective)
    totals = OptionTotals.of(problem)
    choice = select(problem, totals, np.inf, 1.0)
    assert choice is not None
    placer = place_all(problem, totals, choice)
    assert placer is not None
    found, loads = placer.loads, problem.loads(placer.assignment())
    np.testing.assert_allclose(found.cost, loads.cost, rtol=1e-9, atol=1e-15)
    for name in ("hbm", "ddr", "ssd"):
        own, expected = getattr(found, name), getattr(loads, name)
        np.testing.assert_allclose(own, expected, rtol=1e-9, atol=1e-3)
