"""Which options the portfolio leaves to the search."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.certify.dual import lower_bound
from shardplan.certify.regrets import Regrets
from shardplan.problems.totals import OptionTotals
from shardplan.records.sharding import Objective
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.params import SolverParams
from shardplan.solvers.search.incumbent import Incumbent
from shardplan.solvers.search.params import SearchParams
from shardplan.solvers.search.portfolio import Portfolio
from tests.solvers.helpers import Hosts, brute_force, toy_problem

WITHOUT = SolverParams(search=SearchParams(reduced_costs=False))


@pytest.mark.parametrize("objective", Objective)
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
        regrets, totals = Regrets.of(problem, bound), OptionTotals.of(problem)
        portfolio, plain = (
            Portfolio(problem, totals, regrets, stop, 0, incumbent, params=params)
            for params in (SolverParams(), WITHOUT)
        )
        limit = np.full(portfolio._limits.longest.shape[1], np.inf)
        by_limits = plain._excess(limit)
        assert (portfolio._excess(limit) == by_limits).all()
        incumbent.offer(found)
        assert (plain._excess(limit) == by_limits).all()
        excess = portfolio._excess(limit)
        assert (excess >= by_limits).all()
        left_out += int((excess > np.maximum(by_limits, 0.0)).sum())
        if optimum < incumbent.value_s * (1.0 - 1e-9):
            better += 1
            assert (excess[best.option] <= np.maximum(by_limits[best.option], 0)).all()
    assert left_out > 10
    assert better >= 3
