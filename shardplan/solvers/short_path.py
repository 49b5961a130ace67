"""Of plans that are equally good under `max-rank`, one with a shorter path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.step_columns import RankGroups
from shardplan.records.sharding import Objective
from shardplan.solvers.step_annealing import StepAnnealing

if TYPE_CHECKING:
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Floats, Ints
    from shardplan.solvers.base import Stop

_MOVES = 60
"""Moves per table."""
_SAME = 1e-12
"""Values that differ by less are equal."""
_STEEP = 20.0
"""Seconds of path that a second of the slowest rank is worth, beyond the plan's own."""
_BALANCE = 0.1
"""The same within it: ranks with time to spare can take more of a phase."""


class PathCurves:
    """The path as the sum over phases of the slowest rank, where no rank is slower.

    Stands in for `StepCurves`: the first column is the sum of a rank's phases.

    Parameters
    ----------
    problem : Problem
        Under `max-rank`.
    most_s : float
        What no rank may exceed [s].

    Attributes
    ----------
    exact_s : float
        The path of the plan that was last looked at; infinite if a rank is slower.
    """

    def __init__(self, problem: Problem, most_s: float) -> None:
        self._most_s = most_s
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
        """What the path depends on."""
        return self

    def loads(self, cost: Floats) -> list[Floats]:
        """Return what ranks have in each column for their phases (W, P)."""
        return [_with_sum(cost[:, self._used])]

    def step_s(self, fullest: Floats) -> Floats:
        """Return the paths of N plans (N,) from their fullest ranks (N, K) [s]."""
        excess = np.maximum(fullest[..., 0] - self._most_s, 0.0)
        return np.asarray(fullest[..., 1:].sum(axis=-1) + _STEEP * excess)

    def slopes(self, fullest: Floats) -> Floats:
        """Return by how much a path grows with the fullest ranks (K,)."""
        slopes = np.ones(len(fullest))
        slopes[0] = _STEEP if fullest[0] > self._most_s else _BALANCE
        return slopes

    def sent(self) -> Ints:
        """Return no column: no collective has a fixed time."""
        return np.zeros(0, dtype=np.int64)

    def look_at(self, cost: Floats) -> None:
        """Take the path of a plan with loads (W, P)."""
        is_slower = cost.sum(axis=1).max() > self._most_s
        self.exact_s = np.inf if is_slower else float(cost.max(axis=0).sum())

    renew = look_at


def _with_sum(cost: Floats) -> Floats:
    """Put the sum of phases before them: (..., P) -> (..., P + 1)."""
    return np.concatenate([cost.sum(axis=-1, keepdims=True), cost], axis=-1)


def shortened(
    problem: Problem, assignment: Assignment, stop: Stop, seed: int
) -> Assignment:
    """Return a plan with a shorter path whose slowest rank is no slower, or the same.

    Parameters
    ----------
    problem : Problem
        Under `max-rank`.
    assignment : Assignment
        That fits.
    """
    value = problem.value(assignment)
    loads = problem.loads(assignment)
    free = [b for b in range(problem.num_bundles) if not problem.conflicts.get(b)]
    if not free or loads.value(Objective.STEP) <= value * (1.0 + _SAME):
        return assignment
    search = StepAnnealing(
        problem,
        np.array(free),
        np.random.default_rng(seed),
        assignment,
        stop,
        PathCurves(problem, value * (1.0 + _SAME)),
    )
    search.enough_s = value * (1.0 + _SAME)
    search.run(_MOVES * len(free))
    return search.best
