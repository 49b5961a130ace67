"""Levelling: lower and lower levels that all ranks keep, and an end."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.records.sharding import SUMS, Objective
from shardplan.solvers.search.levelling import Levelling
from shardplan.solvers.search.params import AnnealParams
from tests.solvers.helpers import Hosts
from tests.solvers.search_helpers import (
    assert_allowed,
    hbm_problem,
    moves_of,
    scrambled,
)


@pytest.mark.parametrize("objective", SUMS)
def test_the_slowest_ranks_come_near_the_mean(objective: Objective) -> None:
    """Each step ends with less above the first level, and the last with hardly any."""
    rng = np.random.default_rng(0)
    problem = hbm_problem(rng, 150, [Hosts(5, 8)], objective)
    begun = scrambled(problem, rng)
    state, moves = begun.state, moves_of(begun, rng)
    levelling = Levelling(state, moves.swapper, AnnealParams(recut=False))
    first = levelling._penalty()
    totals = [levelling._total(first)]
    above = state.value() - state.load[:, :-1].mean(axis=0).sum()
    for _ in levelling.steps(moves.recutter):
        totals.append(levelling._total(first))
    assert totals[1] < totals[0]
    assert totals[-1] < 0.1 * totals[0]
    assert state.value() - state.load[:, :-1].mean(axis=0).sum() < 0.5 * above
    assert_allowed(problem, state.assignment())


def test_equal_loads_are_left_alone() -> None:
    """Without anything above a level there is no step, and it ends."""
    rng = np.random.default_rng(0)
    begun = scrambled(hbm_problem(rng, 20, [Hosts(2, 4)]), rng)
    begun.state.load[:] = 0.5
    moves = moves_of(begun, rng)
    levelling = Levelling(begun.state, moves.swapper, AnnealParams())
    assert list(levelling.steps(moves.recutter)) == []
