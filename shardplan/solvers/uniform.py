"""One sharding type for all tables, where they allow it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.bounds import simple_lower_bound
from shardplan.solvers.base import Observer, SolverResult, Stop, finished
from shardplan.solvers.greedy import place_all
from shardplan.solvers.selection import OptionTotals, select_from

if TYPE_CHECKING:
    from shardplan.problem import Assignment, Problem


class Uniform:
    """Give all tables the same type, each type in turn, and keep the best plan.

    Where phases are bounded by the slowest rank each, a plan that loads all ranks
    alike may beat any mixture that changes one table at a time.
    """

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`; the seed is not used, for nothing here is random."""
        bound = simple_lower_bound(problem)
        totals = OptionTotals.of(problem)
        menu = problem.options
        best: Assignment | None = None
        value = np.inf
        for kind in np.unique(menu.sharding_type).tolist():
            if stop.now():
                break
            legal = menu.sharding_type == kind
            offered = np.logical_or.reduceat(legal, menu.start[:-1])
            legal |= ~np.repeat(offered, np.diff(menu.start))
            choice = select_from(problem, totals, legal, 1.0)
            placer = place_all(problem, totals, choice)
            found = np.inf if placer is None else placer.loads.value(problem.objective)
            if placer is not None and found < value:
                best, value = placer.assignment(), found
                observer.improved(value, bound)
        return finished(best, value, bound, stop)
