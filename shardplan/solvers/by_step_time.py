"""Minimise the predicted step with solvers of sums, their weights from its path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.weighted import StepView, by_phase, step_pricer, weights_at
from shardplan.solvers.base import Silent, SolverResult, SolveStatus
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.params import DEFAULTS, SolverParams
from shardplan.solvers.step_search import StepSearch
from shardplan.steps.step_parts import reduce_names

if TYPE_CHECKING:
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.problems.weighted import Groups
    from shardplan.records.arrays import Floats
    from shardplan.solvers.base import Observer, Solver, Stop

_GREEDY_ROUNDS = 3
"""Solves with greedy per case: weights settle, or alternate, after that."""
_RUN_SHARE = 0.7
"""Share of what is left for the solver itself; single tables are moved in the rest."""
_WORTH = 0.05
"""Gain of weights and parts with greedy from which the solver gets them, too: below
that, the plain sum of phases is as good a guide, and steadier."""


@dataclass
class _MenuPart:
    """A part of the menu, the weights to solve it with next, and its best step [s]."""

    view: StepView
    weights: Floats
    groups: Groups | None = None
    step_s: float = np.inf


class _ShortestStep:
    """Keeps the assignment with the shortest predicted step."""

    def __init__(self, problem: Problem, observer: Observer) -> None:
        self.problem, self._observer = problem, observer
        self.assignment: Assignment | None = None
        self.step_s = self.plain_s = np.inf
        self.seen: list[Assignment] = []

    def offer(self, start: _MenuPart, found: Assignment | None) -> bool:
        """Look at what a view's solver found; set its next weights."""
        if found is None:
            return False
        problem = self.problem
        assignment = start.view.whole_assignment(found)
        loads = problem.loads(assignment)
        if not loads.fits(problem.capacity):
            return False
        step_s = step_pricer(problem).predict(loads.cost).step_s
        # Weights jump from plan to plan, as paths do: the mean settles.
        start.weights = 0.5 * (start.weights + weights_at(problem, loads.cost))
        start.step_s = min(start.step_s, step_s)
        if not self.seen:  # by weights of 1 on the whole menu
            self.plain_s = step_s
        self._take(assignment, step_s)
        return True

    def take(self, assignment: Assignment) -> None:
        """Look at an assignment of the whole problem that fits."""
        self._take(assignment, self.problem.value(assignment))

    def _take(self, assignment: Assignment, step_s: float) -> None:
        if step_s < self.step_s:
            self.assignment, self.step_s = assignment, step_s
            self.seen.append(assignment)
            self._observer.improved(step_s, 0.0)


class ByStepTime:
    """Runs a solver on sums of weighted operations, and keeps the shortest step.

    Each reduction that a plan uses at all takes a fixed time. Sums do not see it: parts
    of the menu without reductions over all ranks, inside groups, or both are solved
    apart.
    """

    def __init__(self, solver: Solver, params: SolverParams = DEFAULTS) -> None:
        self.inner, self._params = solver, params

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`."""
        best = _ShortestStep(problem, observer)
        starts = _starts(problem)
        greedy = Greedy(self._params)
        for start in starts:
            for _ in range(_GREEDY_ROUNDS):
                if stop.now() and best.assignment is not None:
                    break
                found = self._run(greedy, start, stop, seed)
                if not best.offer(start, found.assignment):
                    break
        if not isinstance(self.inner, Greedy):
            self._at_length(starts, best, stop, seed)
        if best.assignment is None:
            return SolverResult(None, 0.0, SolveStatus.NOT_FOUND)
        status = SolveStatus.TIME_LIMIT if stop.now() else SolveStatus.FEASIBLE
        last_first = tuple(reversed(best.seen))
        return SolverResult(best.assignment, 0.0, status, seen=last_first)

    def _at_length(
        self, starts: list[_MenuPart], best: _ShortestStep, stop: Stop, seed: int
    ) -> None:
        """Run the solver on the most promising part, then move single tables."""
        starts = sorted(starts, key=lambda start: start.step_s)
        chosen = starts[0]
        if best.plain_s <= best.step_s * (1.0 + _WORTH):
            chosen = _whole(best.problem)
        work = _RUN_SHARE * (stop.work_limit - stop.work)
        with stop.sooner(_RUN_SHARE * stop.remaining_s()), stop.with_work(work):
            found = self._run(self.inner, chosen, stop, seed)
        for seen in (*found.seen, found.assignment):
            best.offer(chosen, seen)
        if best.assignment is not None:
            search = StepSearch(best.problem, seed)
            best.take(search.improve(best.assignment, stop))

    def _run(
        self, solver: Solver, start: _MenuPart, stop: Stop, seed: int
    ) -> SolverResult:
        problem = start.view.problem(start.weights, start.groups)
        return solver.solve(problem, stop, seed, Silent())


def _whole(problem: Problem) -> _MenuPart:
    """Return the whole menu by phases, with all operations alike: objective `step`."""
    every = StepView(problem, np.arange(len(problem.options)))
    return _MenuPart(every, np.ones(len(problem.pricer.phases)), by_phase())


def _starts(problem: Problem) -> list[_MenuPart]:
    """List the parts of the menu that differ: by the reductions that they leave out."""
    named = [*reduce_names("reduce_scatter"), *reduce_names("all_gather")]
    of_all = tuple(name for scope, name in named if scope == Scope.ALL)
    of_groups = tuple(name for scope, name in named if scope != Scope.ALL)
    sizes, starts = set(), []
    for without in ((), of_all, of_groups, of_all + of_groups):
        view = StepView.of(problem, without)
        if view is not None and len(view.options) not in sizes:
            sizes.add(len(view.options))
            starts.append(_MenuPart(view, np.ones(len(problem.pricer.phases))))
    return starts
