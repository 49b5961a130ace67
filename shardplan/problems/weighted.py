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
    from shardplan.records.arrays import Bools, Floats, Ints

_LEAST = 0.02
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


def by_phase() -> Groups:
    """Group operations as the phases of objective `step` do."""
    reduces = tuple(name for _, name in reduce_names("reduce_scatter"))
    gathers = tuple(name for _, name in reduce_names("all_gather"))
    return {
        "ids": ("length_exchange", "id_exchange"),
        "prefetch": ("cache_prefetch",),
        "forward": ("embedding_forward", "replicated_forward"),
        "outputs": ("output_all_to_all", "output_encode", *reduces),
        "gradients": ("gradient_all_to_all", "gradient_encode", *gathers, REPLICAS),
        "backward": ("embedding_backward", "replicated_backward"),
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
        part, pricer = self._part, step_pricer(self.whole)
        groups = groups or by_operation()
        cost = _merged(part.options.item_cost, pricer, weights, groups)
        return replace(
            part,
            objective=Objective.STEP,
            pricer=GroupedPricer(pricer.model, tuple(groups)),
            options=replace(part.options, item_cost=cost),
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


def _merged(
    cost: Floats, pricer: StepPricer, weights: Floats, groups: Groups
) -> Floats:
    """Weigh operations, and add up those of each group: (I, C, R) -> (I, C, G)."""
    index = {name: i for i, name in enumerate(pricer.phases)}
    rates = pricer.model.rates
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
        operation = _operation(name, here.names)
        rise = here.seconds_of(operation) - none.seconds_of(operation)
        slope = rise / load if load > 0 else 1.0
        weights[index] = criticality.get(operation, 0.0) * slope
    return np.maximum(weights, _LEAST)


@dataclass(frozen=True, eq=False)
class StepCurves:
    """The predicted step near some plans, quick to evaluate.

    Attributes
    ----------
    across : float array (R, R)
        What loads of each operation add to others: groups exchange what they reduced.
    fixed_s, slope : float arrays (R,)
        Of each operation: its time if in use, and seconds per second of load beyond it.
    is_kernel : bool array (R,)
        Operations that take the larger of both, not the sum.
    counts : float array (J, R)
        How often each path that was seen passes each operation.
    rest_s : float array (J,)
        What each path takes in dense operations [s].
    exact_s : float
        The step of the plan that was last looked at [s].
    """

    problem: Problem
    across: Floats
    fixed_s: Floats
    slope: Floats
    is_kernel: Bools
    counts: Floats
    rest_s: Floats
    exact_s: float

    @classmethod
    def at(cls, problem: Problem, cost: Floats) -> Self:
        """Take the curves around a plan with loads (W, R)."""
        pricer = step_pricer(problem)
        columns = len(pricer.phases)
        # What the plan does not use is probed at a tenth of its largest load.
        probe = np.where(cost.max(axis=0) > 0, cost, 0.1 * cost.max())
        is_kernel = np.array([not name.endswith(_SENT) for name in pricer.phases])
        blank = cls(
            problem,
            _across(pricer),
            np.zeros(columns),
            np.ones(columns),
            is_kernel,
            np.zeros((0, columns)),
            np.zeros(0),
            0.0,
        )
        return blank._with_curves(probe, np.ones(columns, dtype=bool)).renewed(cost)

    def step_s(self, cost: Floats) -> float:
        """Estimate the step for loads (W, R) [s]."""
        return float((self.counts @ self._seconds(cost) + self.rest_s).max())

    def renewed(self, cost: Floats) -> Self:
        """Predict the step of a plan exactly, and take its curves and its path."""
        pricer = step_pricer(self.problem)
        found = pricer.predict(cost)
        curves = self._with_curves(cost, cost.max(axis=0) > 0)
        counts = np.array(
            [
                found.criticality.get(_operation(name, found.names), 0.0)
                for name in pricer.phases
            ]
        )
        seconds = [found.seconds_of(_operation(n, found.names)) for n in pricer.phases]
        rest = found.step_s - float(counts @ seconds)
        # Where replicas join the dense all-reduce, it takes time without any as well.
        unused = cost.max(axis=0) <= 0
        rest += float(counts[unused] @ np.array(seconds)[unused])
        return replace(
            curves,
            counts=np.concatenate([self.counts[-_PATHS:], counts[None]]),
            rest_s=np.append(self.rest_s[-_PATHS:], rest),
            exact_s=found.step_s,
        )

    def _with_curves(self, cost: Floats, which: Bools) -> Self:
        """Take fixed times and slopes of some operations at loads (W, R)."""
        pricer = step_pricer(self.problem)
        here, none = pricer.predict(cost), pricer.predict(cost * _TINY)
        load = (cost @ self.across).max(axis=0)
        fixed, slope = self.fixed_s.copy(), self.slope.copy()
        for index in np.flatnonzero(which & (load > 0)):
            name = _operation(pricer.phases[index], here.names)
            fixed[index] = none.seconds_of(name)
            rise = here.seconds_of(name) - fixed[index]
            if not self.is_kernel[index]:
                slope[index] = max(rise, 0.0) / load[index]
            elif rise > 0:
                slope[index] = here.seconds_of(name) / load[index]
        return replace(self, fixed_s=fixed, slope=slope)

    def _seconds(self, cost: Floats) -> Floats:
        load = (cost @ self.across).max(axis=0)
        rise = self.slope * load
        larger = np.maximum(self.fixed_s, rise)
        seconds = np.where(self.is_kernel, larger, self.fixed_s + rise)
        return np.asarray(np.where(load > _NOTHING, seconds, 0.0))


_SENT = ("exchange", "all_to_all", "reduce_scatter", "all_gather", "all_reduce")
"""Ends of the names of collectives; other operations are kernels."""
_PATHS = 40
"""Paths that are kept: the last ones seen."""
_NOTHING = 1e-15
"""Loads below this are what rounding left of none [s]."""


def _operation(column: str, names: tuple[str, ...]) -> str:
    """Return the operation of a column: replicas may join the dense all-reduce."""
    joined = column == REPLICAS and column not in names
    return "dense_all_reduce.0" if joined else column


def _across(pricer: StepPricer) -> Floats:
    """Return what loads add to operations (R, R); of mixed clusters, the largest."""
    index = {name: i for i, name in enumerate(pricer.phases)}
    rates, found = pricer.model.rates, np.eye(len(index))
    for exchange, kind in (("output", "reduce_scatter"), ("gradient", "all_gather")):
        for scope, name in reduce_names(kind):
            price = rates.reduce_scatter[scope]
            more = rates.across_groups[scope] / np.where(price > 0, price, np.inf)
            found[index[name], index[f"{exchange}_all_to_all"]] = more.max()
    return found
