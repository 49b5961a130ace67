"""The default: every fast heuristic, then the exact solver where it is small enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.solvers.base import Observer, SolverResult, SolveStatus, Stop, finished
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.ldm import LargestDifferencing

if TYPE_CHECKING:
    from shardplan.problem import Problem


class Auto:
    """Run greedy and largest differencing and keep the better plan."""

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`."""
        best: SolverResult | None = None
        value, bound = float("inf"), 0.0
        for solver in (Greedy(), LargestDifferencing()):
            if best is not None and (stop.now() or stop.close_enough(value, bound)):
                break
            result = solver.solve(problem, stop, seed, observer)
            bound = max(bound, result.lower_bound_s)
            if result.assignment is None:
                continue
            found = problem.value(result.assignment)
            if found < value:
                best, value = result, found
        if best is None:
            return SolverResult(None, bound, SolveStatus.NOT_FOUND)
        return finished(best.assignment, value, bound, stop)
