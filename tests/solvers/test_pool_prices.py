"""Prices of whole memory pools, against the linear relaxation solved outright."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from shardplan.problems.totals import OptionTotals, first_least
from shardplan.solvers.pool_prices import pool_prices
from shardplan.solvers.selection import select
from tests.solvers.helpers import Hosts, toy_problem


@pytest.mark.parametrize("seed", range(10))
def test_the_least_seconds_are_those_of_the_linear_program(seed: int) -> None:
    """No choice that fits is below, and the candidates include the cheapest ones."""
    rng = np.random.default_rng(seed)
    problem = toy_problem(rng, 12, [Hosts(2, 2)], fill=0.9, limited=False)
    totals = OptionTotals.of(problem)
    legal = np.ones(len(totals.seconds), dtype=bool)
    one = problem.options.table == np.arange(problem.num_bundles)[:, None]
    exact = linprog(
        totals.seconds,
        A_ub=totals.tier_bytes.T,
        b_ub=np.ones(3),
        A_eq=one.astype(float),
        b_eq=np.ones(problem.num_bundles),
    )
    found = pool_prices(problem, totals, legal, 1.0)
    if exact.status != 0:
        return
    assert found.least_s == pytest.approx(exact.fun, rel=1e-4)
    priced = totals.seconds + totals.tier_bytes @ found.prices
    assert np.isin(first_least(priced, problem.options.start), found.candidates).all()
    choice = select(problem, totals, np.inf, 1.0)
    if choice is not None and (totals.tier_bytes[choice].sum(axis=0) <= 1.0).all():
        assert totals.seconds[choice].sum() >= exact.fun * (1 - 1e-9)


def test_large_items_are_left_out_where_they_can_be() -> None:
    """With a limit on the share of a rank, bundles take their smaller items."""
    problem = toy_problem(
        np.random.default_rng(3), 8, [Hosts(2, 2)], fill=0.2, limited=False
    )
    totals = OptionTotals.of(problem)
    choice = select(problem, totals, np.inf, 1.0, 0.0)
    assert choice is not None
    start = problem.options.start[:-1]
    least = np.minimum.reduceat(totals.largest_bytes, start)
    np.testing.assert_allclose(totals.largest_bytes[choice], least)
