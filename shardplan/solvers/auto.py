"""The default: fast heuristics first, then a search until the gap is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.solvers.base import Observer, Solver, SolverResult, Stop, finished
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.ldm import LargestDifferencing
from shardplan.solvers.search.guide import Guide
from shardplan.solvers.search.portfolio import Incumbent, Portfolio
from shardplan.solvers.selection import OptionTotals

if TYPE_CHECKING:
    from shardplan.problem import Problem

_LDM_WORK = 400_000
"""Largest differencing is left out above this many tables times ranks."""


class Auto:
    """Greedy and largest differencing, then annealing from them and other starts."""

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`."""
        totals = OptionTotals.of(problem)
        guide = Guide.of(problem, totals)
        incumbent = Incumbent(problem, guide.bound_s, stop, observer)
        quick: list[Solver] = [Greedy()]
        if problem.num_bundles * problem.world_size <= _LDM_WORK:
            quick.append(LargestDifferencing())
        for solver in quick:
            if stop.now() and incumbent.assignment is not None:
                break
            result = solver.solve(problem, stop, seed, observer)
            if result.assignment is not None:
                incumbent.offer(result.assignment, problem.value(result.assignment))
        if not (stop.now() or incumbent.is_close):
            Portfolio(problem, totals, guide, stop, seed, incumbent).run()
        return finished(
            incumbent.assignment, incumbent.value_s, incumbent.bound_s, stop
        )
