"""The integer program as a solver: build, solve, convert back, check."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.legality import faults
from shardplan.problems.totals import simple_lower_bound
from shardplan.solvers.base import (
    Observer,
    Silent,
    SolverResult,
    SolveStatus,
    Stop,
    finished,
)
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.ilp import highs, solution
from shardplan.solvers.ilp.constraints import CONSTRAINTS, Constraints
from shardplan.solvers.ilp.objective import slowest_ranks, time_unit
from shardplan.solvers.ilp.program import Program
from shardplan.solvers.ilp.variables import Variables
from shardplan.solvers.params import DEFAULTS, IlpParams, SolverParams
from shardplan.solvers.tolerances import POOL_MARGIN, PROOF_TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Floats


@dataclass(frozen=True)
class Built:
    """A program with its variables and its unit of time [s]."""

    program: Program
    variables: Variables
    unit_s: float


def build(
    problem: Problem, margin: float = 0.0, params: IlpParams = DEFAULTS.ilp
) -> Built:
    """Write a problem as an integer program.

    Parameters
    ----------
    margin : float
        Share of every memory pool that is left free.

    Raises
    ------
    InputError
        If the model would be too large.
    """
    program = Program()
    variables = Variables.of(program, problem, params.max_variables)
    bound = simple_lower_bound(problem)
    unit_s = time_unit(bound)
    program.objective = slowest_ranks(variables)
    constraints = Constraints(problem, variables, bound, unit_s, margin)
    for rows in CONSTRAINTS:
        program.rows += rows(constraints)
    return Built(program, variables, unit_s)


class IntegerProgram:
    """Exact, for small problems.

    Parameters
    ----------
    start : Assignment or None
        Where to begin; None lets the greedy solver find a start.
    """

    run = staticmethod(highs.run)
    """Solves a program; another MIP solver takes its place in a subclass."""

    def __init__(
        self, start: Assignment | None = None, params: SolverParams = DEFAULTS
    ) -> None:
        self.start, self._params = start, params

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`."""
        if (np.diff(problem.options.start) == 0).any():
            return SolverResult(None, 0.0, SolveStatus.INFEASIBLE)
        search = _Progress(problem, stop, seed, observer, self.run, self._params.ilp)
        greedy = Greedy(self._params)
        start = self.start or greedy.solve(problem, stop, seed, Silent()).assignment
        if start is not None and not faults(problem, start):
            search.consider(start)
        for margin in (0.0, POOL_MARGIN):
            if search.is_over() or search.run(margin):
                break
        return search.result()


class _Progress:
    """The best assignment and bound so far."""

    def __init__(
        self,
        problem: Problem,
        stop: Stop,
        seed: int,
        observer: Observer,
        run: Callable[..., highs.MipEnd],
        params: IlpParams,
    ) -> None:
        self._run, self._params = run, params
        self._problem = problem
        self._stop = stop
        self._seed = seed
        self._observer = observer
        self._best: Assignment | None = None
        self._value = math.inf
        self._bound = simple_lower_bound(problem)
        self._status = SolveStatus.NOT_FOUND

    def consider(self, assignment: Assignment) -> bool:
        """Keep an assignment if it is the best; say whether it fits at all."""
        loads = self._problem.loads(assignment)
        if not loads.fits(self._problem.capacity):
            return False
        value = loads.value(self._problem.objective)
        if value < self._value:
            self._best, self._value = assignment, value
            self._observer.improved(value, self._bound)
        return True

    def is_over(self) -> bool:
        """Whether there is nothing left to do, or no time to do it."""
        return self._stop.now() or self._stop.close_enough(self._value, self._bound)

    def run(self, margin: float) -> bool:
        """Build and solve once; False if rounding overfilled a memory pool."""
        built = build(self._problem, margin, self._params)
        outcome = self._run(
            built.program,
            self._stop,
            self._seed,
            self._values(built),
            lambda value, bound: self._report(value, bound, built.unit_s),
        )
        self._status = outcome.status
        if margin:
            # Fewer plans fit than in truth, so neither proof holds for the problem.
            if outcome.status is SolveStatus.INFEASIBLE:
                self._status = SolveStatus.NOT_FOUND
        elif math.isfinite(outcome.bound):
            safe = outcome.bound * built.unit_s * (1.0 - PROOF_TOLERANCE)
            self._bound = max(self._bound, safe)
        if outcome.values is None:
            return True
        found = solution.assignment_of(self._problem, built.variables, outcome.values)
        return found is not None and self.consider(found)

    def result(self) -> SolverResult:
        """Return the best assignment with the status that was proven."""
        if self._best is None and self._status is SolveStatus.INFEASIBLE:
            return SolverResult(None, self._bound, SolveStatus.INFEASIBLE)
        bound = min(self._bound, self._value)
        closed = self._value <= bound * (1.0 + 2.0 * PROOF_TOLERANCE)
        if closed and self._status is SolveStatus.OPTIMAL:
            return SolverResult(self._best, bound, SolveStatus.OPTIMAL)
        return finished(self._best, self._value, bound, self._stop)

    def _values(self, built: Built) -> Floats | None:
        if self._best is None:
            return None
        return solution.values_of(
            self._problem, built.variables, self._best, built.unit_s
        )

    def _report(self, objective: float, bound: float, unit_s: float) -> None:
        if objective * unit_s < self._value:
            safe = bound * unit_s * (1.0 - PROOF_TOLERANCE)
            self._observer.improved(objective * unit_s, max(self._bound, safe))
