"""The best assignment so far, and the best bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.tolerances import LEAST_GAIN

if TYPE_CHECKING:
    from shardplan.certify.dual import Bound
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.solvers.base import Observer, Stop
    from shardplan.solvers.search.state import State


class Incumbent:
    """Keeps what is best and tells the observer.

    Attributes
    ----------
    assignment : Assignment or None
    value_s : float
        Its value; infinite without one [s].
    bound : Bound
        Certified.
    seen : list of Assignment
        What was the best one at the end of each part of a solver.
    """

    def __init__(
        self, problem: Problem, bound: Bound, stop: Stop, observer: Observer
    ) -> None:
        self._problem, self._stop, self._observer = problem, stop, observer
        self.bound = bound
        self.assignment: Assignment | None = None
        self.value_s = np.inf
        self.seen: list[Assignment] = []

    @property
    def is_close(self) -> bool:
        """Whether the wanted gap is reached."""
        return self._stop.close_enough(self.value_s, self.bound.value_s)

    def offer(self, assignment: Assignment | None) -> None:
        """Keep an assignment that fits, if it is better."""
        if assignment is None:
            return
        loads = self._problem.loads(assignment)
        value = loads.value(self._problem.objective)
        if value < self.value_s and loads.fits(self._problem.capacity):
            self.assignment, self.value_s = assignment, value
            self._tell()

    def look_at(self, state: State) -> None:
        """Keep what a state holds, if it fits and is better."""
        # The state's own loads are quick to look at, every round, but have drifted by
        # roundings: `offer` sums afresh and decides.
        value = state.value() * state.vectors.unit_s
        if value < self.value_s * (1.0 - LEAST_GAIN) and state.fits():
            self.offer(state.assignment())

    def keep(self) -> None:
        """Keep in mind what is the best one now."""
        one = self.assignment
        if one is not None and (not self.seen or self.seen[-1] is not one):
            self.seen.append(one)

    def raise_bound(self, bound: Bound) -> None:
        """Keep a bound, if it is better."""
        if bound.value_s > self.bound.value_s:
            self.bound = bound
            self._tell()

    def _tell(self) -> None:
        bound = min(self.bound.value_s, self.value_s)
        self._observer.improved(self.value_s, bound)
