"""A second goal beside TorchRec's rating: a short critical path for a small price.

A rank that is never the slowest may still hold up every phase once, so that plans of
nearly one rating have paths that differ by a factor of two. Both count here: seconds of
the rating are worth `WORTH` times as much as seconds of the path.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.problems.rated_path import with_rating_phase
from shardplan.problems.step_columns import RankGroups
from shardplan.records.sharding import Objective
from shardplan.solvers.auto import Auto
from shardplan.solvers.base import Silent
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.params import DEFAULTS
from shardplan.solvers.step_annealing import StepAnnealing
from shardplan.solvers.uniform import Uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Floats, Ints
    from shardplan.solvers.base import Solver, Stop

WORTH = 3.0
"""Seconds of path that must be saved for each second by which the rating rises."""
LOST, MOST_LOST = 0.025, 0.12
"""Shares of the best rating found by which it may rise: not above that of a simple
plan; and at most, as long as it stays well below what simple planners reach."""
_BELOW = 0.99
"""Share of the rating and path of simple planners that is well below them."""
_FREELY = 0.3
"""What a second of the rating is worth where a search begins far from a good one."""
_MOVES = 60
"""Moves per table of an annealing, at most."""
_SAME = 1e-12
"""Values that differ by less are equal."""
_STEEP = 20.0
"""Seconds of path that a second of rating or path beyond its limit costs."""
_DEAR = 9.0
"""The same of a rating that is not well below simple planners, within its limit."""
_OWN, _SIMPLE, _QUICK, _WHOLE, _BEST = 0.1, 0.1, 0.4, 0.65, 0.6
"""Shares of the time that is left then: for moves from the plan itself, from that of a
simple planner, for plans that were made for the path alone, for all tables anew, and
for the best plan; the rest is for the second best."""


class PathLimits(NamedTuple):
    """What rating and path should be at most; beyond it each second costs many [s].

    Attributes
    ----------
    rating_s, path_s : float
        Well below what simple planners reach.
    most_s : float
        What no rating may exceed.
    """

    rating_s: float
    path_s: float
    most_s: float

    def within(self, most_s: float) -> PathLimits:
        """Return limits of which those of the rating are not above this [s]."""
        rating_s = min(self.rating_s, most_s)
        return self._replace(rating_s=rating_s, most_s=min(self.most_s, most_s))

    def cost_s(self, rating: Floats, path: Floats) -> Floats:
        """Return what both cost beyond what they should be (N,), in seconds of path."""
        dear = _DEAR * np.maximum(rating - self.rating_s, 0.0)
        too_slow = np.maximum(rating - self.most_s, 0.0)
        too_slow += np.maximum(path - self.path_s, 0.0)
        return np.asarray(dear + _STEEP * too_slow)

    def slopes(self, rating: float, path: float) -> tuple[float, float]:
        """Return by how much that grows with each of the two."""
        by_rating = _DEAR * (rating > self.rating_s) + _STEEP * (rating > self.most_s)
        return by_rating, _STEEP * (path > self.path_s)


_FREE = PathLimits(np.inf, np.inf, np.inf)


class PathCurves:
    """The path and some times the rating, from the slowest rank in each phase.

    Stands in for `StepCurves`: the first column is the sum of a rank's phases.

    Parameters
    ----------
    problem : Problem
        With prices of TorchRec's cost model.
    limits : PathLimits
    worth : float
        Seconds of path that a second of the rating is worth.

    Attributes
    ----------
    exact_s : float
        The value of the plan that was last looked at [s].
    """

    def __init__(self, problem: Problem, limits: PathLimits, worth: float) -> None:
        self._limits, self._worth = limits, worth
        cost = problem.options.item_cost
        self._used = np.flatnonzero(cost.any(axis=(0, 1)))
        self.item_load = _with_sum(cost[:, :, self._used])
        cluster = problem.cluster
        members = np.zeros((problem.world_size, len(cluster.host_groups)))
        members[np.arange(problem.world_size), cluster.rank_class] = 1.0
        part = slice(0, self.item_load.shape[2])
        self.groups = (RankGroups(np.arange(problem.world_size), members, part),)
        self.exact_s = np.inf

    @property
    def columns(self) -> PathCurves:
        """What the value depends on."""
        return self

    def loads(self, cost: Floats) -> list[Floats]:
        """Return what ranks have in each column for their phases (W, P)."""
        return [_with_sum(cost[:, self._used])]

    def step_s(self, fullest: Floats) -> Floats:
        """Return the values of N plans (N,) from their fullest ranks (N, K) [s]."""
        rating, path = fullest[..., 0], fullest[..., 1:].sum(axis=-1)
        beyond = self._limits.cost_s(rating, path)
        return np.asarray(path + self._worth * rating + beyond)

    def slopes(self, fullest: Floats) -> Floats:
        """Return by how much the value grows with the fullest ranks (K,)."""
        rating, path = float(fullest[0]), float(fullest[1:].sum())
        by_rating, by_path = self._limits.slopes(rating, path)
        slopes = np.full(len(fullest), 1.0 + by_path)
        slopes[0] = self._worth + by_rating
        return slopes

    def sent(self) -> Ints:
        """Return no column: no collective has a fixed time."""
        return np.zeros(0, dtype=np.int64)

    def look_at(self, cost: Floats) -> None:
        """Take the value of a plan with loads (W, P)."""
        (load,) = self.loads(cost)
        self.exact_s = float(self.step_s(load.max(axis=0)[None])[0])

    renew = look_at


def _with_sum(cost: Floats) -> Floats:
    """Put the sum of phases before them: (..., P) -> (..., P + 1)."""
    return np.concatenate([cost.sum(axis=-1, keepdims=True), cost], axis=-1)


@dataclass(frozen=True, eq=False)
class RatedPath:
    """An assignment, the problem that it is one of, and its two times.

    Attributes
    ----------
    problem : Problem
        Under `max-rank`.
    """

    problem: Problem
    assignment: Assignment

    @cached_property
    def rating_s(self) -> float:
        """Slowest rank's sum [s]."""
        return self.problem.value(self.assignment)

    @cached_property
    def path_s(self) -> float:
        """Sum over phases of the slowest rank [s]."""
        return self.problem.loads(self.assignment).value(Objective.STEP)

    def value_s(self, limits: PathLimits) -> float:
        """Return what both are worth together [s]."""
        rating, path = np.array(self.rating_s), np.array(self.path_s)
        return float(path + WORTH * rating + limits.cost_s(rating, path))

    @property
    def is_short(self) -> bool:
        """Whether the path is as short as any with this rating."""
        return self.path_s <= self.rating_s * (1.0 + _SAME)


@dataclass(frozen=True, eq=False)
class _Search:
    """What all parts of a search share: limits and luck."""

    stop: Stop
    seed: int
    limits: PathLimits
    least_s: float

    def annealed(self, start: RatedPath, share: float, worth: float) -> RatedPath:
        """Move single tables, for a share of the time that is left.

        Where the path is almost all that counts, there are no limits.
        """
        limits = self.limits if worth == WORTH else _FREE
        problem, stop = start.problem, self.stop
        every = range(problem.num_bundles)
        free = [b for b in every if not problem.conflicts.get(b)]
        if not free:
            return start
        with self._slice(share):
            search = StepAnnealing(
                problem,
                np.array(free),
                np.random.default_rng(self.seed),
                start.assignment,
                stop,
                PathCurves(problem, limits, worth),
            )
            search.enough_s = self.least_s * (1.0 + worth)
            search.run(_MOVES * len(free))
        return RatedPath(problem, search.best)

    def quick(self, wide: Problem) -> Iterator[RatedPath]:
        """Begin with plans that were made for the path alone."""
        by_path = replace(wide, objective=Objective.STEP)
        solvers: tuple[Solver, ...] = Greedy(), Uniform()
        for solver, share in zip(
            solvers, (_QUICK / 2, _QUICK / (2 - _QUICK)), strict=True
        ):
            if self.stop.now():
                return
            with self._slice(share):
                found = solver.solve(by_path, self.stop, self.seed, Silent())
                if found.assignment is not None:
                    start = RatedPath(wide, found.assignment)
                    near = self.annealed(start, 0.5, _FREELY)
                    yield self.annealed(near, 1.0, WORTH)

    def whole(self, wide: Problem) -> Iterator[RatedPath]:
        """Search for both goals with all that finds good plans for sums of phases."""
        auto = DEFAULTS.auto.model_copy(
            update={"strengthen": False, "least_proof_s": 0.0}
        )
        solver = Auto(DEFAULTS.model_copy(update={"auto": auto}))
        with self._slice(_WHOLE):
            both = with_rating_phase(wide, WORTH)
            found = solver.solve(both, self.stop, self.seed, Silent()).assignment
        if found is not None:
            yield RatedPath(wide, found)

    @contextmanager
    def _slice(self, share: float) -> Iterator[None]:
        """Limit a block to a share of the time and of the work that is left."""
        stop = self.stop
        work = share * max(stop.work_limit - stop.work, 0.0)
        with stop.sooner(share * stop.remaining_s()), stop.with_work(work):
            yield


def simple_plans(problem: Problem, stop: Stop) -> list[RatedPath]:
    """Return what TorchRec's planner reaches without its search, the best first.

    These are Greedy's plan, and the best with one way to cut all tables. The best is
    that whose path, and `WORTH` times its rating, are the least: a rating may be good
    at the cost of a path that is twice as long.

    Parameters
    ----------
    problem : Problem
        Under `max-rank`.
    """
    plans = []
    solvers: tuple[Solver, ...] = Greedy(), Uniform()
    for solver in solvers:
        if not stop.now():
            found = solver.solve(problem, stop, 0, Silent()).assignment
            if found is not None:
                plans.append(RatedPath(problem, found))
    return sorted(plans, key=lambda plan: plan.value_s(_FREE))


def limits_of(best_s: float, simple: list[RatedPath]) -> PathLimits:
    """Return what rating and path should be at most: well below a simple plan's.

    Where that is far behind, `MOST_LOST` of the best rating may be given up.

    Parameters
    ----------
    best_s : float
        The best rating found [s].
    simple : list of RatedPath
        The best first.
    """
    least_s = best_s * (1.0 + LOST)
    if not simple:
        return PathLimits(least_s, np.inf, least_s)
    first = simple[0]
    far_s = min(best_s * (1.0 + MOST_LOST), first.rating_s * _BELOW)
    # The simple plan is there to take: nobody wants a rating above it.
    most_s = min(max(least_s, far_s), max(best_s, first.rating_s))
    return PathLimits(max(best_s, far_s), first.path_s * _BELOW, most_s)


def shortened(
    own: RatedPath,
    simple: list[RatedPath],
    stop: Stop,
    seed: int,
    limits: PathLimits,
    least_s: float,
    menu_of_path: Callable[[], Problem | None],
) -> RatedPath:
    """Return the plan whose path, and `WORTH` times its rating, are the least.

    Parameters
    ----------
    own : RatedPath
        That fits, of a problem under `max-rank`.
    simple : list of RatedPath
        Others to begin with; the first is.
    least_s : float
        A rating that no plan goes below [s].
    menu_of_path : callable
        Return the problem with options that are worse for the rating, but may be better
        for the path, under `max-rank` as well; None if there is no time for it.
    """
    if own.is_short or stop.now():
        return own
    search = _Search(stop, seed, limits, least_s)
    found = [own, *simple, search.annealed(own, _OWN, WORTH)]
    found += [search.annealed(first, _SIMPLE, WORTH) for first in simple[:1]]
    wide = menu_of_path()
    if wide is not None:
        found += [*search.quick(wide), *search.whole(wide)]
    found.sort(key=lambda one: one.value_s(limits))
    for near, share in zip(found[:2], (_BEST, 1.0), strict=False):
        found.append(search.annealed(near, share, WORTH))
    legal = [one for one in found if one.rating_s <= limits.most_s]
    return min(legal, key=lambda one: one.value_s(limits))
