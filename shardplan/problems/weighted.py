"""The objective `time` near a plan: a sum of phases, with weights from the plan's path.

Solvers minimise sums over phases of the slowest rank. Around one plan the predicted
step is such a sum: operations on its longest path count fully, those that others hide
do not, and each grows with its load by the slope of its curve.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.problem import Assignment, Problem
from shardplan.records.sharding import Objective
from shardplan.steps.pricing import REPLICAS, StepPricer
from shardplan.steps.step_parts import reduce_names

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats, Ints

_LEAST = 0.02
"""Weights are at least this, so that nothing that is hidden now becomes free."""
_TINY = 1e-6
"""Share of a load at which an operation takes no more than its fixed time."""


class GroupedPricer(StepPricer):
    """Prices in groups of operations, of which each is one phase of a solver."""

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the groups."""
        return tuple(_groups())


def _groups() -> dict[str, tuple[str, ...]]:
    """Operations that solvers look at together.

    What all ranks have alike is one group: the sum of its largest is that of all.
    """
    reduces = [name for s, name in reduce_names("reduce_scatter") if s != Scope.ALL]
    gathers = [name for s, name in reduce_names("all_gather") if s != Scope.ALL]
    return {
        "ids": ("length_exchange", "id_exchange"),
        "prefetch": ("cache_prefetch",),
        "forward": ("embedding_forward",),
        "outputs": ("output_all_to_all", "output_encode"),
        "gradients": ("gradient_all_to_all", "gradient_encode"),
        "backward": ("embedding_backward",),
        **{name: (name,) for name in (*reduces, *gathers)},
        "everywhere": (
            "replicated_forward",
            "replicated_backward",
            REPLICAS,
            "reduce_scatter",
            "all_gather",
        ),
    }


@dataclass(frozen=True, eq=False)
class StepView:
    """A problem under `time`, or a part of its menu, for solvers of sums.

    Attributes
    ----------
    whole : Problem
        Its prices are those of a `StepPricer`.
    options : int array (O,)
        The options of the whole menu that are in the view, sorted.
    """

    whole: Problem
    options: Ints

    @classmethod
    def of(cls, problem: Problem, without: tuple[str, ...] = ()) -> Self | None:
        """Leave out options that need some operations; None if a table has no other.

        Parameters
        ----------
        without : tuple of str
            Names of operations.
        """
        pricer = step_pricer(problem)
        columns = [pricer.phases.index(name) for name in without]
        menu = problem.options
        uses = menu.item_cost[:, :, columns].any(axis=(1, 2))
        kept = np.bincount(menu.item_option, uses, minlength=len(menu)) == 0
        if np.bincount(menu.table[kept], minlength=problem.num_bundles).min() == 0:
            return None
        return cls(problem, np.flatnonzero(kept))

    def problem(self, weights: Floats) -> Problem:
        """Return the view as a problem under `step`, with operations weighted (R,)."""
        part = self._part
        pricer = step_pricer(self.whole)
        groups = _merged(part.options.item_cost, pricer, weights)
        return replace(
            part,
            objective=Objective.STEP,
            pricer=GroupedPricer(pricer.model),
            options=replace(part.options, item_cost=groups),
        )

    @cached_property
    def _part(self) -> Problem:
        problem, keep = self.whole, self.options
        bundles = replace(problem.bundles, sources=problem.bundles.sources[keep])
        options = problem.options.select(keep, problem.num_bundles)
        return replace(problem, options=options, bundles=bundles)

    def whole_assignment(self, found: Assignment) -> Assignment:
        """Return an assignment of the view as one of the whole problem."""
        return Assignment(self.options[found.option], found.places)


def step_pricer(problem: Problem) -> StepPricer:
    """Return the pricer of a problem under `time`."""
    assert isinstance(problem.pricer, StepPricer)
    return problem.pricer


def _merged(cost: Floats, pricer: StepPricer, weights: Floats) -> Floats:
    """Weigh operations, and add up those of each group: (I, C, R) -> (I, C, G)."""
    index = {name: i for i, name in enumerate(pricer.phases)}
    rates, groups = pricer.model.rates, _groups()
    found = [
        sum(weights[index[name]] * cost[:, :, index[name]] for name in names)
        for names in groups.values()
    ]
    position = {name: i for i, name in enumerate(groups)}
    # What groups have added up goes by all-to-all.
    for exchange, kind in (("output", "reduce_scatter"), ("gradient", "all_gather")):
        weight = weights[index[f"{exchange}_all_to_all"]]
        for scope, name in reduce_names(kind):
            price = rates.reduce_scatter[scope]
            across = rates.across_groups[scope] / np.where(price > 0, price, np.inf)
            more = weight * cost[:, :, index[name]] * across
            at = position[f"{exchange}s"]
            found[at] = found[at] + more
    return np.stack(found, axis=2)


def weights_at(problem: Problem, cost: Floats) -> Floats:
    """Return by how much the predicted step grows with each load of a plan (R,).

    Parameters
    ----------
    cost : float array (W, R)
        Loads of the plan.

    Notes
    -----
    The share of the longest path times the slope of the operation's curve from no load
    to this one, its fixed time left out; what the plan does not use has slope 1.
    """
    pricer = step_pricer(problem)
    here, none = pricer.predict(cost), pricer.predict(cost * _TINY)
    criticality = here.criticality
    weights = np.ones(len(pricer.phases))
    for index, (name, load) in enumerate(
        zip(pricer.phases, cost.max(axis=0), strict=True)
    ):
        joined = name == REPLICAS and name not in here.names
        operation = "dense_all_reduce.0" if joined else name
        rise = here.seconds_of(operation) - none.seconds_of(operation)
        slope = rise / load if load > 0 else 1.0
        weights[index] = criticality.get(operation, 0.0) * slope
    return np.maximum(weights, _LEAST)
