"""Choosing options so that their sums fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.costs.scopes import Scope
from shardplan.problems.totals import (
    OptionTotals,
    least_per_table,
    option_totals,
    simple_lower_bound,
)
from shardplan.solvers.selection import select
from tests.solvers.helpers import Hosts, brute_force, toy_problem

if TYPE_CHECKING:
    from tests.helpers import Instance


def test_with_room_every_table_takes_its_cheapest_option(one_host: Instance) -> None:
    """Without a limit the choice is the cheapest option of each bundle."""
    problem = one_host.problem()
    totals = OptionTotals.of(problem)
    choice = select(problem, totals, np.inf, 1.0)
    start = problem.options.start
    assert (choice >= start[:-1]).all()
    assert (choice < start[1:]).all()
    least = np.minimum.reduceat(totals.seconds, start[:-1])
    np.testing.assert_array_equal(totals.seconds[choice], least)
    mean = least.sum() / problem.world_size
    assert totals.mean_rank_seconds(problem) == pytest.approx(mean)


@pytest.mark.parametrize("fill", [0.8, 0.9, 1.0])
def test_the_choice_fits_the_memory(tiered: Instance, fill: float) -> None:
    """Tables that do not fit into HBM are split over tiers until they do."""
    problem = tiered.problem()
    totals = OptionTotals.of(problem)
    choice = select(problem, totals, np.inf, fill)
    assert (totals.tier_bytes[choice].sum(axis=0) <= fill).all()
    # A third of the tables fits in HBM: not everything is cheapest.
    least = least_per_table(totals.seconds, problem.options).sum()
    assert totals.seconds[choice].sum() > least


def test_less_memory_costs_more_time(tiered: Instance) -> None:
    """The sum of seconds grows as the share of memory shrinks."""
    problem = tiered.problem()
    totals = OptionTotals.of(problem)
    seconds = [
        totals.seconds[select(problem, totals, np.inf, fill)].sum()
        for fill in (1.0, 0.8)
    ]
    assert seconds == sorted(seconds)


def test_large_items_are_avoided_where_they_can_be(one_host: Instance) -> None:
    """With a limit on items, tables are cut; without legal cuts the least one stays."""
    problem = one_host.problem()
    totals = OptionTotals.of(problem)
    limit = float(np.median(totals.largest))
    choice = select(problem, totals, limit, 1.0)
    assert (totals.largest[choice] <= limit).all()
    nothing = select(problem, totals, 0.0, 1.0)
    least = least_per_table(totals.largest, problem.options)
    assert (totals.largest[nothing] <= least * (1 + 1e-9)).all()


def test_totals_count_every_place_and_rank(one_host: Instance) -> None:
    """An option over all ranks counts its item on each of them."""
    problem = one_host.problem()
    menu = problem.options
    seconds, tier_bytes = option_totals(problem)
    for option in range(0, len(menu), 5):
        items = menu.items_of(option)
        ranks = 1 if menu.scope[option] == Scope.RANK else problem.world_size
        times = menu.item_count[items] * ranks
        cost = menu.item_cost[items, 0].sum(axis=1)
        assert seconds[option] == pytest.approx(times @ cost)
        np.testing.assert_allclose(tier_bytes[option], times @ menu.item_bytes[items])


@pytest.mark.parametrize("seed", range(15))
def test_simple_bounds_are_bounds(seed: int) -> None:
    """No solution of a random problem is below the simple bound."""
    rng = np.random.default_rng(seed)
    problem = toy_problem(rng, 3, [Hosts(1, 2), Hosts(1, 1)])
    assert simple_lower_bound(problem) <= brute_force(problem)[0] * (1 + 1e-12)
