"""Of plans that TorchRec rates about equally, one with a shorter critical path."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shardplan.io.catalog import load_cost_model
from shardplan.problems.problem import Assignment, Problem, build_problem
from shardplan.records.sharding import Objective, Target
from shardplan.solvers.base import Stop
from shardplan.solvers.short_path import (
    LOST,
    MOST_LOST,
    WORTH,
    PathCurves,
    PathLimits,
    RatedPath,
    limits_of,
    shortened,
    simple_plans,
)
from tests.helpers import CLUSTERS, random_assignment, workload

WHOLE = {"sharding_types": ["table_wise"], "compute_kernels": ["fused"]}
HOT = {"num_embeddings": 10_000, "pooling_factor": 500.0, "constraints": WHOLE}
"""A table that cannot be cut, and takes longer than all others together."""


def hot_and_cold(
    cluster: str = "one_host", objective: Objective = Objective.MAX_RANK
) -> Problem:
    """One hot table, and one for each other rank that may be cut."""
    cold = CLUSTERS[cluster].world_size - 1
    return build_problem(
        workload(HOT, *({"num_embeddings": 100_000} for _ in range(cold))),
        CLUSTERS[cluster],
        load_cost_model("torchrec"),
        target=Target.TORCHREC,
        objective=objective,
    )


def wide_menu(cluster: str = "one_host") -> Problem:
    """Return the same with the menu of `step`."""
    by_path = hot_and_cold(cluster, Objective.STEP)
    return replace(by_path, objective=Objective.MAX_RANK)


def short(problem: Problem, start: Assignment, stop: Stop, lost: float) -> RatedPath:
    """Shorten a path; without another menu."""
    limits = up_to(problem.value(start) * (1.0 + lost))
    own = RatedPath(problem, start)
    return shortened(own, [], stop, 0, limits, 0.0, lambda: None)


def up_to(most_s: float) -> PathLimits:
    """Limit the rating alone."""
    return PathLimits(most_s, np.inf, most_s)


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
    found = short(problem, start, Stop(), 0.0)
    assert found.problem is problem
    assert found.rating_s <= problem.value(start)
    assert found.path_s == pytest.approx(found.rating_s, rel=1e-9)
    assert problem.loads(found.assignment).fits(problem.capacity)
    again = short(problem, found.assignment, Stop(), 0.0)
    assert again.assignment is found.assignment


def test_no_time_changes_nothing() -> None:
    """A search that is over leaves the plan as it is."""
    problem = hot_and_cold()
    start = cut_by_columns(problem)
    stop = Stop()
    stop.requested = True
    assert short(problem, start, stop, 0.0).assignment is start


@pytest.mark.parametrize("lost", [0.0, 0.1])
def test_a_rating_rises_for_several_times_as_much_path(lost: float) -> None:
    """It stays within the limit, and the path pays for what is lost."""
    problem, wide = hot_and_cold("two_hosts"), wide_menu("two_hosts")
    start = cut_by_columns(problem)
    most_s = problem.value(start) * (1.0 + lost)
    stop = Stop(work_limit=20_000)
    own = RatedPath(problem, start)
    found = shortened(own, [], stop, 0, up_to(most_s), 0.0, lambda: wide)
    assert found.rating_s <= most_s
    saved = path(problem, start) - found.path_s
    assert saved > 0
    assert saved >= WORTH * (found.rating_s - problem.value(start))
    assert found.problem.loads(found.assignment).fits(problem.capacity)


def test_a_rating_stays_below_what_simple_planners_reach() -> None:
    """Near them little or nothing may be given up, far from them more."""
    simple = simple_plans(hot_and_cold(), Stop())
    rating_s, path_s = simple[0].rating_s, simple[0].path_s
    for best_s, wanted_s, most_s in (
        (rating_s, rating_s, rating_s),
        (rating_s / 1.005, rating_s / 1.005, rating_s),
        (rating_s / 1.05, rating_s * 0.99, rating_s * 0.99),
        (rating_s / 2.0, *[rating_s / 2.0 * (1.0 + MOST_LOST)] * 2),
    ):
        limits = limits_of(best_s, simple)
        assert limits == pytest.approx((wanted_s, path_s * 0.99, most_s))
    assert limits_of(1.0, []) == (1.0 + LOST, np.inf, 1.0 + LOST)
    assert simple_plans(hot_and_cold(), Stop(time_limit_s=0.0)) == []


def test_the_best_of_simple_plans_is_that_of_both_goals() -> None:
    """A good rating with a path that is far longer says little of what can be had."""
    first, second = simple_plans(hot_and_cold("two_hosts"), Stop())
    values = [one.path_s + WORTH * one.rating_s for one in (first, second)]
    assert values[0] <= values[1]


def test_a_path_longer_than_a_simple_plan_s_is_given_up() -> None:
    """The rating rises for it, by more than the path alone would be worth."""
    problem = hot_and_cold("two_hosts")
    simple = RatedPath(problem, cut_by_columns(problem))
    limits = PathLimits(2 * simple.rating_s, 0.9 * simple.path_s, 2 * simple.rating_s)
    better = limits._replace(path_s=simple.path_s)
    assert simple.value_s(limits) > simple.value_s(better)
    assert simple.value_s(better) == pytest.approx(
        simple.path_s + WORTH * simple.rating_s
    )
    found = shortened(simple, [], Stop(work_limit=2e3), 0, limits, 0.0, lambda: None)
    assert found.path_s < simple.path_s


def test_limits_are_kept_within_what_was_asked_for() -> None:
    """A gap that was asked for lowers both limits of the rating, and nothing else."""
    limits = PathLimits(2.0, 5.0, 3.0)
    assert limits.within(2.5) == (2.0, 5.0, 2.5)
    assert limits.within(1.0) == (1.0, 5.0, 1.0)
    assert limits.within(9.0) == limits


def test_what_is_beyond_a_limit_costs_as_its_slopes_say() -> None:
    """Slopes are differences of the cost, on both sides of each limit."""
    limits = PathLimits(2.0, 5.0, 3.0)
    for rating in (1.0, 2.5, 3.5):
        for path in (4.0, 6.0):
            at, more, longer = (
                float(limits.cost_s(np.array(r), np.array(p)))
                for r, p in ((rating, path), (rating + 0.1, path), (rating, path + 0.1))
            )
            slopes = ((more - at) / 0.1, (longer - at) / 0.1)
            assert limits.slopes(rating, path) == pytest.approx(slopes)


@pytest.mark.parametrize("seed", range(3))
def test_both_goals_count(seed: int) -> None:
    """What is estimated from the fullest ranks is the path and the rating's worth."""
    problem = hot_and_cold("two_hosts")
    plan = random_assignment(problem, np.random.default_rng(seed))
    cost, value = problem.loads(plan).cost, problem.value(plan)
    curves = PathCurves(problem, up_to(value * (1 + 1e-12)), 2.0)
    (load,) = curves.loads(cost)
    assert load[:, 0].max() == pytest.approx(value)
    both = path(problem, plan) + 2.0 * value
    (estimate,) = curves.step_s(load.max(axis=0)[None])
    assert estimate == pytest.approx(both)
    curves.look_at(cost)
    assert curves.exact_s == pytest.approx(both)
    assert curves.slopes(load.max(axis=0))[:2] == pytest.approx([2.0, 1.0])
    slower = PathCurves(problem, up_to(value * 0.9), 2.0)
    slower.look_at(cost)
    assert slower.exact_s > 1.01 * both
    assert slower.slopes(load.max(axis=0))[0] > 2.0
