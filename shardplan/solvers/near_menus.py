"""Plans of the options near the prices of memory: greedy's choice is made for it.

Where tables go to SSD, memory is scarce, and a giant's prefetch on one rank may be as
long as the step. Greedy chooses by sums, and what does not fit then goes anywhere. Of
menus without what is long, and without what costs much more at the prices of memory
than the cheapest option of its table, it makes plans of shorter loads in a moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.totals import OptionTotals
from shardplan.problems.weighted import StepView, weights_at
from shardplan.solvers.base import Silent
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.pool_prices import pool_prices
from shardplan.solvers.selection import below
from shardplan.solvers.shortest_step import MenuPart

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Ints
    from shardplan.solvers.base import Stop
    from shardplan.solvers.params import SolverParams
    from shardplan.solvers.shortest_step import ShortestStep

_MENUS = ((0.3, 0.5), (0.4, 0.7), (0.3, 1.0), (0.25, 0.5))
"""Longest items as shares of the step, and what options may cost above the cheapest of
their table, as shares of the step per table."""
_FILL = 0.98
"""Share of each tier at which memory is priced: what does not come out even is lost."""


def solve_near(
    best: ShortestStep, stop: Stop, ends: float, seed: int, params: SolverParams
) -> None:
    """Let greedy plan with small menus, and keep the best plan.

    Parameters
    ----------
    best : ShortestStep
        Has a plan, whose path says what loads cost.
    ends : float
        As of `Stop.spent`: after it no further menu is begun.
    """
    problem, assignment, step_s = best.problem, best.assignment, best.step_s
    assert assignment is not None
    weights = weights_at(problem, problem.loads(assignment).cost)
    every = StepView(problem, np.arange(len(problem.options)))
    sums = every.problem(weights)
    totals = OptionTotals.of(sums)
    for longest, regret in _MENUS:
        if stop.now() or stop.spent >= ends:
            return
        dearest_s = regret * step_s / problem.num_bundles
        options = _near(sums, totals, longest * step_s, dearest_s, params)
        part = MenuPart(StepView(problem, options), weights)
        found = Greedy(params).solve(part.problem(), stop, seed, Silent())
        best.offer(part, found.assignment)


def _near(
    problem: Problem,
    totals: OptionTotals,
    longest_s: float,
    dearest_s: float,
    params: SolverParams,
) -> Ints:
    """Return the options near the prices of memory, at least one of each table.

    Parameters
    ----------
    longest_s : float
        Time of the longest item [s]; a table that has only longer ones keeps the least.
    dearest_s : float
        Most that an option adds to the mean load of a rank, priced, above the cheapest
        of its table: its regret, as of `Regrets` [s].
    """
    start = problem.options.start
    legal = below(totals.largest, start, longest_s)
    planes = params.choice.cutting_planes
    prices = pool_prices(problem, totals, legal, _FILL, planes).prices
    priced = np.where(legal, totals.seconds + totals.tier_bytes @ prices, np.inf)
    least = np.repeat(np.minimum.reduceat(priced, start[:-1]), np.diff(start))
    return np.flatnonzero(priced - least <= dearest_s * problem.world_size)
