"""Turns of a solver of sums that begin with the best plan, by what its path weighs.

A plan that is balanced in sums of phases is not balanced in each operation of its path,
and a search from the start again seldom comes as far as the plan that is known. So the
solver goes on from that: all operations with loads in proportion are one phase, and
weigh what a second of their load adds to the step. Where that leads to another path,
weights are the mean of both, and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.weighted import StepView, by_load, weights_at
from shardplan.solvers.shortest_step import MenuPart

if TYPE_CHECKING:
    from shardplan.solvers.base import Improver, Stop
    from shardplan.solvers.shortest_step import ShortestStep

_CYCLES = 2
"""Cycles of the solver with the same weights."""


class PathTurns:
    """Goes on from the best plan, turn by turn.

    Parameters
    ----------
    solver : Improver
        Of sums.
    best : ShortestStep
    """

    def __init__(self, solver: Improver, best: ShortestStep, seed: int) -> None:
        self._solver, self._best, self._seed = solver, best, seed
        self._part: MenuPart | None = None

    def run(self, stop: Stop, ends: float) -> None:
        """Improve the best plan until `Stop.spent` is `ends` or that is fruitless."""
        best, before_s = self._best, np.inf
        if best.assignment is None:
            return
        while best.step_s < before_s and not (stop.now() or best.is_enough):
            before_s = best.step_s
            part = self._part = self._part or self._begin()
            self._cycle(part, stop, ends)
            if part.cost is None or stop.spent >= ends:
                return
            part.renew()

    def _cycle(self, part: MenuPart, stop: Stop, ends: float) -> None:
        """Go on with the same weights for a while, if that helps."""
        best, self._seed = self._best, self._seed + 1
        assert best.assignment is not None
        sums, start = part.problem(), best.assignment
        found = self._solver.improve_from(sums, start, stop, self._seed)
        for number, plan in enumerate(found, 1):
            before_s = best.step_s
            best.offer(part, plan)
            is_fruitless = best.step_s >= before_s
            if number == _CYCLES or is_fruitless or stop.spent >= ends:
                return

    def _begin(self) -> MenuPart:
        problem, plan = self._best.problem, self._best.assignment
        assert plan is not None
        weights = weights_at(problem, problem.loads(plan).cost)
        view = StepView(problem, np.arange(len(problem.options)))
        return MenuPart(view, weights, by_load())
