"""Where annealing begins: how much of the memory starts may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.certify.dual import lower_bound
from shardplan.certify.regrets import Regrets
from shardplan.problems.totals import OptionTotals
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.search.incumbent import Incumbent
from shardplan.solvers.search.limits import Limits
from shardplan.solvers.search.params import SearchParams, StartParams
from shardplan.solvers.search.starts import Starts
from shardplan.solvers.search.vectors import Vectors
from tests.solvers.helpers import CW2, TW, Hosts, make_problem

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem


def starts_of(problem: Problem) -> Starts:
    """Make the starts of a search without a plan."""
    bound = lower_bound(problem)
    vectors = Vectors.of(problem, bound.value_s)
    regrets = Regrets.of(problem, bound)
    return Starts(
        vectors,
        OptionTotals.of(problem),
        regrets,
        Limits(vectors.by_phase(), regrets, SearchParams()),
        np.random.default_rng(0),
        Stop(),
        Incumbent(problem, bound, Stop(), Silent()),
    )


def test_what_one_table_needs_of_hbm_is_no_other_tables_ddr() -> None:
    """0.6 of all HBM and 0.6 of all DDR are 0.6 of the memory, not 1.2."""
    cost = np.zeros((2, 1, 6))
    cost[:, 0, 2] = 1.0
    tier_bytes = np.array([(0.6, 0.0, 0.0), (0.0, 0.6, 0.0)])
    room = (np.ones(1), np.ones(1), np.ones(1))
    problem = make_problem([Hosts(1, 1)], [[TW]] * 2, cost, tier_bytes, room)
    found = starts_of(problem)._fill(
        StartParams(scale=1.0, density=0.0, fill=0.5, filling=0.0),
        np.ones(2, dtype=bool),
    )
    assert found == pytest.approx(0.6 + SearchParams().room_share * 0.4)


def test_limits_are_raised_until_what_they_leave_fits() -> None:
    """Halves of 0.5 s need twice the memory of wholes of 1 s: four of them are 1.6."""
    menus = [[TW, CW2]] * 4
    cost = np.zeros((8, 1, 6))
    cost[:, 0, 2] = np.tile([1.0, 0.5], 4)
    tier_bytes = np.zeros((8, 3))
    tier_bytes[:, 0] = np.tile([0.4, 0.4], 4)
    room = (np.full(2, 1.0), np.ones(1), np.ones(1))
    problem = make_problem([Hosts(1, 2)], menus, cost, tier_bytes, room)
    starts = starts_of(problem)
    longest = starts._limits.longest
    half = longest.min(axis=0)
    _, all_fit = starts._within(half * 2.1)
    assert all_fit.all()
    excess, legal = starts._within(half * 1.05)
    # 1.3 and 1.7 times as much is still below a whole: 2.5 times is not.
    assert legal.all()
    assert (excess <= 0.0).all()
