"""TorchRec's rating and critical path in one sum that solvers of phases minimise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.torchrec.pricer import TorchRecPricer
from shardplan.records.sharding import Objective

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem


@dataclass(frozen=True, eq=False)
class RatedPathPricer(TorchRecPricer):
    """Names the phases in use, and one more: a rank's sum."""

    names: tuple[str, ...]

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the phases."""
        return self.names


def with_rating_phase(problem: Problem, weight: float) -> Problem:
    """Return a problem whose `step` is the path and so many times the rating.

    Parameters
    ----------
    problem : Problem
        With prices of TorchRec's cost model, and the menu of `step`.
    weight : float
        Seconds of path that a second of the rating is worth.

    Notes
    -----
    A phase more, in which each shard takes `weight` times what it takes in all others,
    adds `weight` times the slowest rank's sum to the sum over phases of the slowest.
    """
    pricer, cost = problem.pricer, problem.options.item_cost
    assert isinstance(pricer, TorchRecPricer)
    used = np.flatnonzero(cost.any(axis=(0, 1)))
    names = (*(pricer.phases[phase] for phase in used.tolist()), "rating")
    rated = weight * cost.sum(axis=2, keepdims=True)
    both = np.concatenate([cost[:, :, used], rated], axis=2)
    return replace(
        problem,
        objective=Objective.STEP,
        pricer=RatedPathPricer(
            pricer.cluster, pricer.cost_model, pricer.tables, pricer.bandwidths, names
        ),
        options=replace(problem.options, item_cost=both),
    )
