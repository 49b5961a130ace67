"""The integer program as a solver: build, solve, convert back, check."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.legality import faults
from shardplan.problems.totals import simple_lower_bound
from shardplan.problems.weighted import step_pricer
from shardplan.records.sharding import Objective
from shardplan.solvers.base import (
    GAP_TOLERANCE,
    Observer,
    Silent,
    Solver,
    SolverResult,
    SolveStatus,
    Stop,
    finished,
)
from shardplan.solvers.by_step_time import ByStepTime
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.ilp import highs, solution
from shardplan.solvers.ilp.constraints import CONSTRAINTS, PLACING, Constraints
from shardplan.solvers.ilp.objective import slowest_ranks, time_unit
from shardplan.solvers.ilp.program import Program
from shardplan.solvers.ilp.step_part import ACCURACY, StepPart, most_loads
from shardplan.solvers.ilp.variables import Variables, require_size
from shardplan.solvers.params import DEFAULTS, IlpParams, SolverParams
from shardplan.solvers.tolerances import POOL_MARGIN, PROOF_TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Floats
    from shardplan.solvers.ilp.program import Row


_SHARE = 0.7
"""Share of the time left for each solve under `time` but the last."""
_SOLVES = 3
"""Solves under `time`, each with curves that are exact at the best plan before."""


@dataclass(frozen=True)
class Built:
    """A program with its variables and its unit of time [s].

    Attributes
    ----------
    step : StepPart or None
        Operations and path, under `time`.
    """

    program: Program
    variables: Variables
    unit_s: float
    step: StepPart | None = None


def build(
    problem: Problem,
    margin: float = 0.0,
    params: IlpParams = DEFAULTS.ilp,
    near: Assignment | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> Built:
    """Write a problem as an integer program.

    Parameters
    ----------
    margin : float
        Share of every memory pool that is left free.
    near : Assignment, optional
        Under `time`, a plan where the program is exact, and that steps are no longer
        than; without one it is less exact everywhere.
    go_on : callable
        Is called now and then, and raises to give up: to write a program of 66,000
        variables takes seconds.

    Raises
    ------
    InputError
        If the model would be too large.
    """
    program = Program()
    variables = Variables.of(program, problem, params.max_variables, go_on)
    if problem.objective is Objective.TIME:
        return _build_step(problem, program, variables, margin, params, near, go_on)
    bound = simple_lower_bound(problem)
    unit_s = time_unit(bound)
    program.objective = slowest_ranks(variables)
    constraints = Constraints(problem, variables, bound, unit_s, margin)
    for rows in CONSTRAINTS:
        program.rows += _while(go_on, rows(constraints))
    return Built(program, variables, unit_s)


def _build_step(
    problem: Problem,
    program: Program,
    variables: Variables,
    margin: float,
    params: IlpParams,
    near: Assignment | None,
    go_on: Callable[[], None],
) -> Built:
    """Write a problem under `time`: what makes a plan, then its step."""
    cost = most_loads(problem) if near is None else problem.loads(near).cost
    most_s = step_pricer(problem).predict(cost).step_s
    unit_s = time_unit(most_s)
    step = StepPart(program, problem, variables, cost, most_s, unit_s)
    variables.number = len(program.variables)
    require_size(variables.number, params.max_variables)
    program.objective = [(step.step, 1.0)]
    program.accuracy = ACCURACY
    constraints = Constraints(problem, variables, 0.0, unit_s, margin)
    for rows in PLACING:
        program.rows += _while(go_on, rows(constraints))
    program.rows += _while(go_on, step.rows())
    return Built(program, variables, unit_s, step)


def _while(go_on: Callable[[], None], rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        go_on()
        yield row


class _TimeIsOverError(Exception):
    """A program could not be written in time."""


class IntegerProgram:
    """Exact, for small problems; under `time`, up to how exact curves are.

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
        by_time = problem.objective is Objective.TIME
        search = _Progress(problem, stop, seed, observer, self.run, self._params.ilp)
        greedy: Solver = Greedy(self._params)
        if by_time:
            greedy = ByStepTime(greedy, self._params)
        start = self.start or greedy.solve(problem, stop, seed, Silent()).assignment
        if start is not None and not faults(problem, start):
            search.consider(start)
        if by_time:
            search.run_again()
        else:
            search.run_once()
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
        self._is_exact = problem.objective is not Objective.TIME
        self._bound = simple_lower_bound(problem) if self._is_exact else 0.0
        self._status = SolveStatus.NOT_FOUND

    def consider(self, assignment: Assignment) -> bool:
        """Keep an assignment if it is the best; say whether it fits at all."""
        loads = self._problem.loads(assignment)
        if not loads.fits(self._problem.capacity):
            return False
        value = self._problem.value_of(loads)
        if value < self._value:
            self._best, self._value = assignment, value
            self._observer.improved(value, self._bound)
        return True

    def run_once(self) -> None:
        """Solve, and a second time if rounding overfilled a memory pool."""
        for margin in (0.0, POOL_MARGIN):
            if self._is_over() or self._run_with(margin):
                break

    def run_again(self) -> None:
        """Solve until curves that are taken at the best plan lead to no better one."""
        seed = self._seed
        for number in range(_SOLVES):
            # What was cut short goes another way the next time.
            self._seed, before = seed + number, self._value
            share = 1.0 if number == _SOLVES - 1 else _SHARE
            with self._stop.sooner(share * self._stop.remaining_s()):
                self.run_once()
            is_better = self._value < before * (1.0 - GAP_TOLERANCE)
            is_cut = self._status is SolveStatus.TIME_LIMIT
            if self._stop.now() or not (is_better or is_cut):
                break

    def _is_over(self) -> bool:
        """Whether there is nothing left to do, or no time to do it."""
        return self._stop.now() or self._stop.close_enough(self._value, self._bound)

    def _run_with(self, margin: float) -> bool:
        """Build and solve once; False if rounding overfilled a memory pool."""
        try:
            built = build(
                self._problem, margin, self._params, self._best, self._require_time
            )
        except _TimeIsOverError:
            self._status = SolveStatus.TIME_LIMIT
            return True
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
        elif self._is_exact and math.isfinite(outcome.bound):
            safe = outcome.bound * built.unit_s * (1.0 - PROOF_TOLERANCE)
            self._bound = max(self._bound, safe)
        if outcome.values is None:
            return True
        found = solution.assignment_of(self._problem, built.variables, outcome.values)
        return found is not None and self.consider(found)

    def _require_time(self) -> None:
        if self._stop.give_up(has_plan=self._best is not None):
            raise _TimeIsOverError

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
        values = solution.values_of(
            self._problem, built.variables, self._best, built.unit_s
        )
        if built.step is not None:
            built.step.fill(values, self._problem.loads(self._best).cost)
        return values

    def _report(self, objective: float, bound: float, unit_s: float) -> None:
        # Curves make a step of the program a little shorter or longer than it is.
        if self._is_exact and objective * unit_s < self._value:
            safe = bound * unit_s * (1.0 - PROOF_TOLERANCE)
            self._observer.improved(objective * unit_s, max(self._bound, safe))
