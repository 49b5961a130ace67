"""The rank of a long item bears what every rank bears as well."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.certify.dual import lower_bound, strengthen
from shardplan.certify.relaxed import Relaxed
from shardplan.certify.rounds import best_prices
from shardplan.certify.verify import Box, replay, round_bound, verify
from shardplan.costs.scopes import Scope
from shardplan.records.certificate import Case, Prices
from shardplan.records.sharding import Objective
from tests.certify.test_dual import BOTH, CLUSTERS, draw
from tests.solvers.helpers import TW, Hosts, brute_force, make_problem, shapes_on

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem

FOUR = [Hosts(2, 2, 2)]
PLENTY = (np.full(4, 1.0), np.full(2, 1.0), np.full(2, 1.0))


def long_and_everywhere(objective: Objective) -> Problem:
    """Four ranks: a table of 3 ms on one of them, another of 1 ms on each."""
    every = next(s for s in shapes_on(FOUR) if s.scope == Scope.ALL)
    cost = np.zeros((2, 1, 6))
    cost[0, 0, 2:4] = (1e-3, 2e-3)
    cost[1, 0, 2] = 1e-3
    nothing = np.zeros((2, 3))
    return make_problem(
        FOUR, [[TW], [every]], cost, nothing, PLENTY, objective=objective
    )


@pytest.mark.parametrize("objective", BOTH)
def test_item_and_base_add_up(objective: Objective) -> None:
    """3 ms on one rank and 1 ms on all are 4 ms, not the larger of 3 and 1.75."""
    problem = long_and_everywhere(objective)
    optimum, _ = brute_force(problem)
    assert optimum == pytest.approx(4e-3)
    quick = lower_bound(problem)
    strong = strengthen(problem, quick, optimum)
    assert 4e-3 * (1 - 3e-4) <= strong.value_s <= 4e-3
    assert verify(problem, strong.certificate) == strong.value_s


def test_full_prices_do_not_see_it() -> None:
    """Without anything left over, the rank of the long item is like all others."""
    problem = long_and_everywhere(Objective.MAX_RANK)
    relaxed = Relaxed.of(problem)
    full = best_prices(relaxed)
    lean = full.replace(ranks=((0.0,),))
    assert replay(relaxed, (Case(rounds=(full, full)),), 3.9e-3) < 2e-3
    assert replay(relaxed, (Case(rounds=(full, lean)),), 3.9e-3) == 3.9e-3
    assert replay(relaxed, (Case(rounds=(full, lean)),), 4.1e-3) < 2e-3


def random_lean(rng: np.random.Generator, relaxed: Relaxed, prices: Prices) -> Prices:
    """Prices with a random share of every phase left over."""
    keep = rng.choice([0.0, 0.5, 1.0], relaxed.num_dimensions)
    scale = float(rng.choice([0.0, 0.5, 1.0]))
    ranks = np.array(prices.ranks) * keep
    pools = [
        tuple(scale * price for price in pool)
        for pool in (prices.hbm, prices.ddr, prices.ssd)
    ]
    return Prices(
        ranks=tuple(map(tuple, ranks.tolist())),
        hbm=pools[0],
        ddr=pools[1],
        ssd=pools[2],
    )


@pytest.mark.parametrize("objective", BOTH)
@pytest.mark.parametrize("groups", CLUSTERS.values(), ids=CLUSTERS.keys())
def test_no_plan_with_an_option_is_faster_than_given(
    groups: list[Hosts], objective: Objective
) -> None:
    """What is proven of plans that use an option holds for the best of them."""
    rng = np.random.default_rng(11)
    compared = 0
    for seed in range(3):
        problem = draw(seed, groups, objective)
        relaxed = Relaxed.of(problem)
        if relaxed.has_empty_bundle:
            continue
        menu = problem.options
        best = {}
        for option in relaxed.option:
            mine = menu.table != menu.table[option]
            mine[option] = True
            few = menu.select(np.flatnonzero(mine), problem.num_bundles)
            best[int(option)], _ = brute_force(replace(problem, options=few))
        full = best_prices(relaxed)
        for _ in range(6):
            prices = random_lean(rng, relaxed, full)
            box = Box.whole(relaxed.num_dimensions, 1e3)
            given = round_bound(relaxed, prices, box).given
            for option, value in zip(relaxed.option, given, strict=True):
                assert value <= best[int(option)] * (1 + 1e-12)
                compared += 1
    assert compared > 0


def test_a_device_that_takes_forever_gets_no_weight() -> None:
    """An item that only one class can serve is bounded by that class alone."""
    groups = [Hosts(1, 2, 2), Hosts(1, 2, 2)]
    cost = np.zeros((4, 2, 6))
    cost[:, 0, 2], cost[:, 1, 2] = 1e-3, np.inf
    room = (np.full(4, 1.0), np.full(2, 1.0), np.full(2, 1.0))
    problem = make_problem(
        groups, [[TW]] * 4, cost, np.zeros((4, 3)), room, objective=Objective.MAX_RANK
    )
    optimum, _ = brute_force(problem)
    assert optimum == pytest.approx(2e-3)
    bound = lower_bound(problem)
    assert 2e-3 * (1 - 1e-5) <= bound.value_s <= 2e-3
