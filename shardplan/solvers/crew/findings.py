"""What all processes of a solve have found so far."""

from __future__ import annotations

import threading
from itertools import chain
from typing import TYPE_CHECKING

from shardplan.certify.highs import tell
from shardplan.solvers.base import GAP_TOLERANCE, SolverResult, SolveStatus
from shardplan.solvers.crew.child import Ended
from shardplan.solvers.crew.tasks import Found, Proven, Searched

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.problems.problem import Problem
    from shardplan.solvers.base import Observer, Stop


class Findings:
    """Keeps the best of all, tells the observer, and ends the search at the gap.

    It is an observer of this process's own search.

    Parameters
    ----------
    say : callable
        Is called with the value of every better plan [s].

    Attributes
    ----------
    value_s : float
        Of the best plan; infinite without one [s].
    changed : Condition
        Is told of everything that comes.
    """

    def __init__(
        self, stop: Stop, observer: Observer, say: Callable[[float], None]
    ) -> None:
        self._stop, self._observer, self._say = stop, observer, say
        self.changed = threading.Condition()
        self.value_s, self._bound_s = float("inf"), 0.0
        self._proven: Proven | None = None
        self._others: dict[int, list[SolverResult]] = {}
        self._ended: dict[int, Ended] = {}

    def improved(self, objective_s: float, lower_bound_s: float) -> None:
        """See `Observer`."""
        with self.changed:
            self._improved(objective_s, lower_bound_s)

    def hear(self, number: int, message: object) -> None:
        """Take what another process tells; its number decides between equals."""
        with self.changed:
            if isinstance(message, Found):
                self._improved(message.value_s, 0.0)
            elif isinstance(message, Proven):
                if self._proven is None or message.bound_s > self._proven.bound_s:
                    self._proven = message
                self._improved(float("inf"), message.bound_s)
            elif isinstance(message, Searched):
                self._others.setdefault(number, []).append(message.result)
            elif isinstance(message, Ended):
                self._ended[number] = message
            self.changed.notify_all()

    def _improved(self, value_s: float, bound_s: float) -> None:
        is_better = value_s < self.value_s
        if not (is_better or bound_s > self._bound_s):
            return
        self.value_s = min(value_s, self.value_s)
        self._bound_s = max(bound_s, self._bound_s)
        if is_better:
            self._say(value_s)
        self._observer.improved(self.value_s, min(self._bound_s, self.value_s))
        if self._stop.close_enough(self.value_s, self._bound_s):
            self._stop.is_enough = True

    @property
    def is_proven(self) -> bool:
        """Whether another process has proven anything."""
        return self._proven is not None

    def result(self, problem: Problem, own: SolverResult) -> SolverResult:
        """Return the best plan of all with the best proof; equals go to the first."""
        self._report()
        others = (self._others[number] for number in sorted(self._others))
        results = [own, *chain.from_iterable(others)]
        found = [one for one in results if one.assignment is not None]
        if not found:
            return own
        best = min(found, key=lambda one: _value(problem, one))
        bound_s, proof = own.lower_bound_s, own.certificate
        if self._proven is not None and self._proven.bound_s > bound_s:
            bound_s, proof = self._proven.bound_s, self._proven.certificate
        status = self._status(_value(problem, best), bound_s, own.status)
        rest = (one.assignment for one in found if one is not best)
        seen = (*own.seen, *(one for one in rest if one is not None))
        return SolverResult(best.assignment, bound_s, status, proof, seen)

    def _report(self) -> None:
        """Warn of what failed in other processes."""
        for number, ended in sorted(self._ended.items()):
            for text in ended.warnings:
                tell(text)
            if ended.failure:
                tell(f"worker {number} of the search was lost: {ended.failure}")

    def _status(self, value_s: float, bound_s: float, own: SolveStatus) -> SolveStatus:
        if value_s <= bound_s * (1.0 + GAP_TOLERANCE):
            return SolveStatus.OPTIMAL
        is_close = self._stop.close_enough(value_s, bound_s)
        is_cut_short = own is SolveStatus.TIME_LIMIT and is_close
        return SolveStatus.FEASIBLE if is_cut_short else own


def _value(problem: Problem, found: SolverResult) -> float:
    assert found.assignment is not None
    return problem.value(found.assignment)
