"""Of equally good plans under `max-rank`, those with a shorter path."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.io.catalog import load_cost_model
from shardplan.problems.problem import Assignment, Problem, build_problem
from shardplan.records.sharding import Objective, Target
from shardplan.solvers.base import Stop
from shardplan.solvers.short_path import PathCurves, shortened
from tests.helpers import CLUSTERS, random_assignment, workload

WHOLE = {"sharding_types": ["table_wise"], "compute_kernels": ["fused"]}
HOT = {"num_embeddings": 10_000, "pooling_factor": 500.0, "constraints": WHOLE}
"""A table that cannot be cut, and takes longer than all others together."""


def hot_and_cold(cluster: str = "one_host") -> Problem:
    """One hot table, and one for each other rank that may be cut."""
    cold = CLUSTERS[cluster].world_size - 1
    return build_problem(
        workload(HOT, *({"num_embeddings": 100_000} for _ in range(cold))),
        CLUSTERS[cluster],
        load_cost_model("torchrec"),
        target=Target.TORCHREC,
        objective=Objective.MAX_RANK,
    )


def cut_by_columns(problem: Problem) -> Assignment:
    """Put the hot table on rank 0, and halves of all others on ranks 1 and 2."""
    menu = problem.options
    halves = np.flatnonzero(menu.column_shards == 2)
    first = halves[
        np.searchsorted(menu.table[halves], np.arange(1, problem.num_bundles))
    ]
    options = np.concatenate([menu.start[:1], first])
    return Assignment(options, (np.array([0]), *([np.array([1, 2])] * len(first))))


def path(problem: Problem, assignment: Assignment) -> float:
    """Sum over phases of the slowest rank [s]."""
    return problem.loads(assignment).value(Objective.STEP)


@pytest.mark.parametrize("cluster", ["one_host", "two_hosts"])
def test_what_the_slowest_rank_hides_is_free(cluster: str) -> None:
    """Cold tables on other ranks add nothing to the path; cut by columns they do."""
    problem = hot_and_cold(cluster)
    start = cut_by_columns(problem)
    assert path(problem, start) > problem.value(start) * 1.01
    found = shortened(problem, start, Stop(), 0)
    assert problem.value(found) <= problem.value(start) * (1 + 1e-12)
    assert path(problem, found) == pytest.approx(problem.value(found), rel=1e-9)
    assert problem.loads(found).fits(problem.capacity)
    assert shortened(problem, found, Stop(), 0) is found


def test_no_time_changes_nothing() -> None:
    """A search that is over leaves the plan as it is."""
    problem = hot_and_cold()
    start = cut_by_columns(problem)
    stop = Stop()
    stop.requested = True
    found = shortened(problem, start, stop, 0)
    assert (found.option == start.option).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_path_counts_where_no_rank_is_slower(seed: int) -> None:
    """What is estimated from the fullest ranks is the path of the plan."""
    problem = hot_and_cold("two_hosts")
    plan = random_assignment(problem, np.random.default_rng(seed))
    cost, value = problem.loads(plan).cost, problem.value(plan)
    curves = PathCurves(problem, value * (1 + 1e-12))
    (load,) = curves.loads(cost)
    assert load[:, 0].max() == pytest.approx(value)
    (estimate,) = curves.step_s(load.max(axis=0)[None])
    assert estimate == pytest.approx(path(problem, plan))
    curves.look_at(cost)
    assert curves.exact_s == pytest.approx(path(problem, plan))
    slower = PathCurves(problem, value * 0.9)
    slower.look_at(cost)
    assert slower.exact_s == np.inf
    assert slower.step_s(load.max(axis=0)[None])[0] > path(problem, plan)
