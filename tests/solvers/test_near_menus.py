"""Menus of what is short and cheap at the prices of memory."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.problems.totals import OptionTotals
from shardplan.records.sharding import Objective
from shardplan.solvers import near_menus
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.near_menus import _near, solve_near
from shardplan.solvers.params import DEFAULTS
from shardplan.solvers.shortest_step import MenuPart, ShortestStep
from tests.benchmarks.families import Family, family_problem


@pytest.fixture(scope="module")
def planned():
    problem = family_problem(Family.SSD, 9301, 12, 8, Objective.TIME)
    best = ShortestStep(problem, Silent())
    whole = MenuPart.whole(problem)
    best.offer(whole, Greedy().solve(whole.problem(), Stop(), 0, Silent()).assignment)
    assert best.assignment is not None
    return best


def test_every_table_keeps_an_option_and_long_ones_go_first(planned):
    """What is left is short where the table has short options, and near the least."""
    sums = MenuPart.whole(planned.problem).problem()
    totals, menu = OptionTotals.of(sums), sums.options
    longest_s = 0.3 * planned.step_s
    kept = _near(sums, totals, longest_s, 1e-4 * planned.step_s, DEFAULTS)
    more = _near(sums, totals, longest_s, 1e-2 * planned.step_s, DEFAULTS)
    assert np.bincount(menu.table[kept], minlength=sums.num_bundles).min() >= 1
    assert set(kept.tolist()) < set(more.tolist())
    least = np.minimum.reduceat(totals.largest, menu.start[:-1])
    limit = np.maximum(longest_s, least[menu.table])
    assert (totals.largest <= limit * (1.0 + 1e-9))[more].all()
    assert len(more) < (totals.largest <= limit).sum()


def test_the_best_plan_is_never_worse_and_fits(planned, monkeypatch):
    monkeypatch.setattr(near_menus, "_MENUS", near_menus._MENUS[1:3])
    before = planned.step_s
    solve_near(planned, Stop(), 0.0, 0, DEFAULTS)
    assert planned.step_s == before  # the turn was over before it began
    seen = len(planned.greedy_first())
    solve_near(planned, Stop(), np.inf, 0, DEFAULTS)
    assert len(planned.greedy_first()) > seen
    assert planned.step_s <= before
    loads = planned.problem.loads(planned.assignment)
    assert loads.fits(planned.problem.capacity)


def test_it_is_for_menus_with_ssd(planned):
    assert planned.problem.options.uses_ssd
    hbm = family_problem(Family.HBM, 9301, 10, 8, Objective.TIME)
    assert not hbm.options.uses_ssd
