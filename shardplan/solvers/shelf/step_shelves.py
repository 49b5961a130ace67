"""Shelves for the predicted step: the longest of the paths of the plans seen so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.weighted import step_pricer, weights_at
from shardplan.solvers.shelf.program import Aims
from shardplan.solvers.shelf.shelves import is_little, on_shelves
from shardplan.steps.step_parts import reduce_names

if TYPE_CHECKING:
    from shardplan.problems.problem import Assignment
    from shardplan.problems.weighted import StepView
    from shardplan.records.arrays import Floats
    from shardplan.solvers.base import Stop
    from shardplan.solvers.shelf.params import ShelfParams


_EXCHANGES = (("output", "reduce_scatter"), ("gradient", "all_gather"))
"""All-to-alls, and the reductions in groups before or after them."""


class StepShelves:
    """Chooses options below the paths of some plans, each of which is a weighted sum.

    At a plan the step is such a sum of its largest loads, and the weights of its path
    and of curves there hold for others nearly: the longest of several paths bends to
    the step where plans differ (Kelley's cutting planes).

    Parameters
    ----------
    view : StepView
        A part of the menu.

    Attributes
    ----------
    suits : bool
        Whether tables are few beside ranks, and the program is small.
    """

    def __init__(self, view: StepView, params: ShelfParams) -> None:
        self._view, self._params = view, params
        self._weights: list[Floats] = []
        self._rest_s: list[float] = []
        self._unit_s = 1.0
        self.suits = is_little(view.part, params)

    def look_at(self, assignment: Assignment) -> None:
        """Add the path of a plan of the whole problem."""
        problem = self._view.whole
        cost = problem.loads(assignment).cost
        found = step_pricer(problem).predict(cost)
        weights = self._with_exchanges(weights_at(problem, cost, found))
        self._weights.append(weights)
        self._rest_s.append(found.step_s - float(weights @ cost.max(axis=0)))
        self._unit_s = found.step_s

    def solve(self, most_s: float, stop: Stop) -> Assignment | None:
        """Return the plan with the shortest step by the paths so far, below a limit."""
        paths = np.array(self._weights), np.array(self._rest_s)
        aims = Aims(*paths, most_s, self._unit_s)
        found = on_shelves(self._view.part, aims, stop, self._params)
        return found and self._view.whole_assignment(found)

    def _with_exchanges(self, weights: Floats) -> Floats:
        """Let reductions in groups count for what the groups exchange after them."""
        pricer, found = step_pricer(self._view.whole), weights.copy()
        rates, index = pricer.model.rates, {n: i for i, n in enumerate(pricer.phases)}
        for exchange, kind in _EXCHANGES:
            weight = weights[index[f"{exchange}_all_to_all"]]
            for scope, name in reduce_names(kind):
                price = rates.reduce_scatter[scope]
                more = rates.across_groups[scope] / np.where(price > 0, price, np.inf)
                found[index[name]] += weight * more.max()
        return found
