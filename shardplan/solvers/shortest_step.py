"""The plan with the shortest predicted step so far, and a bound of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.certify.step.bound import step_bound
from shardplan.problems.weighted import (
    StepView,
    by_phase,
    step_pricer,
    weights_at,
)

if TYPE_CHECKING:
    from shardplan.certify.params import ProofParams
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.problems.weighted import Groups
    from shardplan.records.arrays import Floats
    from shardplan.records.certificate import Certificate
    from shardplan.solvers.base import Observer, Stop
    from shardplan.steps.model import Prediction

_BOUND_SHARE = 0.2
"""Share of what is left, at most, for a bound that says when a plan is good enough."""


@dataclass
class MenuPart:
    """A part of the menu, the weights to solve it with next, and its best step [s]."""

    view: StepView
    weights: Floats
    groups: Groups | None = None
    step_s: float = np.inf
    best: Assignment | None = None
    cost: Floats | None = None
    prediction: Prediction | None = None

    def problem(self) -> Problem:
        """Return the part as a problem of sums, with its weights."""
        return self.view.problem(self.weights, self.groups)

    def renew(self) -> None:
        """Take the mean of the weights and those of the last plan."""
        # Weights jump from plan to plan, as paths do: the mean settles.
        assert self.cost is not None
        latest = weights_at(self.view.whole, self.cost, self.prediction)
        self.weights = 0.5 * (self.weights + latest)

    @classmethod
    def whole(cls, problem: Problem) -> Self:
        """Return the whole menu by phases, all operations alike: objective `step`."""
        every = StepView(problem, np.arange(len(problem.options)))
        return cls(every, np.ones(len(problem.pricer.phases)), by_phase())


class ShortestStep:
    """Keeps the assignment with the shortest predicted step, and a bound, if any.

    Attributes
    ----------
    enough_s : float
        A step that ends the search; 0 without a bound [s].
    """

    def __init__(self, problem: Problem, observer: Observer) -> None:
        self.problem, self._observer = problem, observer
        self.assignment: Assignment | None = None
        self.step_s = np.inf
        self.bound_s = self.enough_s = 0.0
        self.certificate: Certificate | None = None
        self._seen: list[tuple[float, Assignment]] = []

    def offer(self, start: MenuPart, found: Assignment | None) -> bool:
        """Look at what a view's solver found; say whether it fits."""
        if found is None:
            return False
        problem = self.problem
        assignment = start.view.whole_assignment(found)
        loads = problem.loads(assignment)
        if not loads.fits(problem.capacity):
            return False
        if start.cost is not None and np.array_equal(start.cost, loads.cost):
            return True
        start.cost = loads.cost
        start.prediction = step_pricer(problem).predict(loads.cost)
        step_s = start.prediction.step_s
        if step_s < start.step_s:
            start.step_s, start.best = step_s, assignment
        self._take(assignment, step_s)
        return True

    def take(self, assignment: Assignment) -> None:
        """Look at an assignment of the whole problem that fits."""
        self._take(assignment, self.problem.value(assignment))

    @property
    def is_enough(self) -> bool:
        """Whether the step is as near to the bound as asked for."""
        return self.step_s <= self.enough_s

    def bound(self, stop: Stop, params: ProofParams) -> None:
        """Prove quickly what no plan is below; with limits of work, the same always."""
        share_s = _BOUND_SHARE * stop.remaining_s()
        seconds = np.inf if stop.is_by_work else share_s
        with stop.beyond_work(), stop.sooner(seconds):
            self.certificate, self.bound_s = step_bound(
                self.problem, self.step_s, stop, params, is_quick=True
            )
        self.enough_s = stop.enough_s(self.bound_s)
        self._observer.improved(self.step_s, self.bound_s)

    def _take(self, assignment: Assignment, step_s: float) -> None:
        self._seen.append((step_s, assignment))
        if step_s < self.step_s:
            self.assignment, self.step_s = assignment, step_s
            self._observer.improved(step_s, self.bound_s)

    def greedy_first(self) -> tuple[Assignment, ...]:
        """Return all that was looked at by the predicted step, greedy's plan before."""
        ranked = sorted(self._seen[1:], key=lambda seen: seen[0])
        return tuple(one for _, one in (*self._seen[:1], *ranked))
