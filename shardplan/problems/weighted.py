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
from shardplan.steps.pricing import REPLICA_SYNC, REPLICAS, StepPricer
from shardplan.steps.step_parts import reduce_names

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats, Ints
    from shardplan.steps.model import Prediction

LEAST_WEIGHT = 0.02
"""Weights are at least this, so that nothing that is hidden now becomes free."""
_TINY = 1e-6
"""Share of a load at which an operation takes no more than its fixed time."""


@dataclass(frozen=True, eq=False)
class GroupedPricer(StepPricer):
    """Prices in groups of operations, of which each is one phase of a solver."""

    groups: tuple[str, ...] = ()

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the groups."""
        return self.groups


Groups = dict[str, tuple[str, ...]]
"""Operations that solvers look at together, by the name of their group."""


def by_operation() -> Groups:
    """Group what ranks do in one go.

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
        # Between its update and its part of the averaging a rank waits for no other.
        "backward": ("embedding_backward", REPLICA_SYNC),
        **{name: (name,) for name in (*reduces, *gathers)},
        "everywhere": (
            "replicated_forward",
            "replicated_backward",
            REPLICAS,
            "reduce_scatter",
            "all_gather",
        ),
    }


def by_phase() -> Groups:
    """Group operations as the phases of objective `step` do."""
    reduces = tuple(name for _, name in reduce_names("reduce_scatter"))
    gathers = tuple(name for _, name in reduce_names("all_gather"))
    return {
        "ids": ("length_exchange", "id_exchange"),
        "prefetch": ("cache_prefetch",),
        "forward": ("embedding_forward", "replicated_forward"),
        "outputs": ("output_all_to_all", "output_encode", *reduces),
        "gradients": (
            "gradient_all_to_all",
            "gradient_encode",
            *gathers,
            REPLICAS,
            REPLICA_SYNC,
        ),
        "backward": ("embedding_backward", "replicated_backward"),
    }


def by_load() -> Groups:
    """Group operations whose loads are proportional: their maxima are on one rank."""
    reduces = [name for s, name in reduce_names("reduce_scatter") if s != Scope.ALL]
    gathers = [name for s, name in reduce_names("all_gather") if s != Scope.ALL]
    apart = by_operation()
    return {
        "ids": apart["ids"],
        "prefetch": apart["prefetch"],
        "forward": apart["forward"],
        "exchanges": (*apart["outputs"], *apart["gradients"]),
        "reductions": (*reduces, *gathers),
        "backward": apart["backward"],
        "everywhere": apart["everywhere"],
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

    def problem(self, weights: Floats, groups: Groups | None = None) -> Problem:
        """Return the view as a problem under `step`, with operations weighted (R,).

        Parameters
        ----------
        weights : float array (R,)
        groups : dict, optional
            Its phases; by default `by_operation`.
        """
        part, pricer = self.part, step_pricer(self.whole)
        groups = groups or by_operation()
        cost = _merged(part.options.item_cost, pricer, weights, groups)
        return replace(
            part,
            objective=Objective.STEP,
            pricer=GroupedPricer(pricer.model, tuple(groups)),
            options=replace(part.options, item_cost=cost),
        )

    @cached_property
    def part(self) -> Problem:
        """The problem with the options of the view alone."""
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


def _merged(
    cost: Floats, pricer: StepPricer, weights: Floats, groups: Groups
) -> Floats:
    """Weigh operations, and add up those of each group: (I, C, R) -> (I, C, G)."""
    index = {name: i for i, name in enumerate(pricer.phases)}
    rates = pricer.model.rates
    found = [
        sum(
            weights[index[name]] * cost[:, :, index[name]]
            for name in names
            if name in index  # copies are averaged only where there are any
        )
        for names in groups.values()
    ]
    position = {name: i for i, some in enumerate(groups.values()) for name in some}
    # What groups have added up goes by all-to-all.
    for exchange, kind in (("output", "reduce_scatter"), ("gradient", "all_gather")):
        weight = weights[index[f"{exchange}_all_to_all"]]
        for scope, name in reduce_names(kind):
            price = rates.reduce_scatter[scope]
            across = rates.across_groups[scope] / np.where(price > 0, price, np.inf)
            more = weight * cost[:, :, index[name]] * across
            at = position[f"{exchange}_all_to_all"]
            found[at] = found[at] + more
    return np.stack(found, axis=2)


def weights_at(
    problem: Problem, cost: Floats, here: Prediction | None = None
) -> Floats:
    """Return by how much the predicted step grows with each load of a plan (R,).

    Parameters
    ----------
    cost : float array (W, R)
        Loads of the plan.
    here : Prediction, optional
        Theirs, if there is one already.

    Notes
    -----
    The share of the longest path times the slope of the operation's curve from no load
    to this one, its fixed time left out; what the plan does not use has slope 1.
    """
    pricer = step_pricer(problem)
    here, none = here or pricer.predict(cost), pricer.predict(cost * _TINY)
    criticality = here.criticality
    weights = np.ones(len(pricer.phases))
    for index, (name, load) in enumerate(
        zip(pricer.phases, cost.max(axis=0), strict=True)
    ):
        operation = operation_of(name, here.names)
        rise = here.seconds_of(operation) - none.seconds_of(operation)
        slope = rise / load if load > 0 else 1.0
        weights[index] = criticality.get(operation, 0.0) * slope
    return np.maximum(weights, LEAST_WEIGHT)


def operation_of(column: str, names: tuple[str, ...]) -> str:
    """Return the operation of a column: replicas may join the dense all-reduce."""
    joined = column == REPLICAS and column not in names
    return "dense_all_reduce.0" if joined else column
