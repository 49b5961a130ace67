"""Anneal single tables on the predicted step itself: from where, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.step_annealing import StepAnnealing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.problems.problem import Assignment, Problem
    from shardplan.solvers.base import Stop

_FIRST = 0.5
"""Share of the search for all starts; the best of them has the rest."""
_FEW = 0.5
"""Moves per table that a start must get: with less, the best one has all the time."""


class StepSearch:
    """Moves one table at a time to the option and places that it draws.

    Parameters
    ----------
    problem : Problem
        Under `time`.

    Notes
    -----
    All options of a table are judged at once, each at the places where it does least
    harm, by the longest of the paths seen so far, with operations as long as their
    curves say. One is drawn, better ones more often (heat bath). What looks best is
    predicted exactly from time to time, and its path joins the others.

    References
    ----------
    Geman and Geman 1984, Stochastic relaxation, Gibbs distributions, and the Bayesian
    restoration of images.
    """

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem = problem
        self._rng = np.random.default_rng(seed)
        free = [b for b in range(problem.num_bundles) if not problem.conflicts.get(b)]
        self._free = np.array(free, dtype=np.int64)
        self._search: StepAnnealing | None = None

    def improve(
        self,
        starts: Sequence[Assignment],
        stop: Stop,
        enough_s: float = 0.0,
        length: float = np.inf,
    ) -> list[Assignment]:
        """Return ever better assignments, the best one last, until `stop` says so.

        Parameters
        ----------
        starts : sequence of Assignment
            That fit.
        enough_s : float
            A predicted step that ends the search [s].
        length : float
            As of `Stop.spent`; by default all that is left.
        """
        starts = sorted(starts, key=self._problem.value)
        if not len(self._free) or stop.now():
            return starts[:1]
        search = self._search = self._search or StepAnnealing(
            self._problem, self._free, self._rng, starts[0], stop
        )
        search.enough_s = enough_s
        search.take_up(starts[0])
        known = len(search.found)
        length = stop.left if length == np.inf else length
        ends = stop.spent + length
        self._begin(search, starts, stop, _FIRST * length)
        search.take_up(search.best)
        search.run(length=ends - stop.spent)
        return search.found[known - 1 :]

    def restart(
        self, start: Assignment, stop: Stop, length: float = np.inf
    ) -> Assignment:
        """Return the best found from one assignment, as if it were the first."""
        if not len(self._free) or stop.now():
            return start
        search = StepAnnealing(self._problem, self._free, self._rng, start, stop)
        search.run(length=length)
        return search.best

    def _begin(
        self,
        search: StepAnnealing,
        starts: list[Assignment],
        stop: Stop,
        length: float,
    ) -> None:
        """Search from each start, then without each kind of collective."""
        kinds = search.kinds_in_use()
        part, ends = length / (len(starts) + len(kinds)), stop.spent + length
        for start in starts:
            before = search.number
            search.take_up(start)
            search.run(length=part)
            if search.number - before < _FEW * len(self._free):
                return
        for kind in kinds:
            if stop.spent > ends or stop.now():
                return
            search.take_up(search.best)
            if search.leave(kind) and search.is_near():
                search.run(length=part)
            search.moves.menus.allow_all()
