"""What presses on an operation is at least what a bound says, whoever has the loads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.problems.weighted import step_pricer
from shardplan.records.sharding import Objective
from shardplan.steps.pressure import pressures
from tests.helpers import COST_MODEL, Instance, host_group, one_host, topology
from tests.steps.draws import draw_assignment, draw_problem, pressed

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Floats

UP = 1.0 + 1e-11
"""Roundings of a few sums."""


def corner(problem: Problem, rng: np.random.Generator) -> Floats:
    """Loads of any size on one rank, one host, one class, or alike on all ranks."""
    pricer, cluster = step_pricer(problem), problem.cluster
    size = problem.world_size, len(pricer.phases)
    cost = rng.lognormal(-9.0, 2.0, size) * (rng.random(size) < rng.choice([0.1, 1.0]))
    who = (np.arange(size[0]), cluster.rank_host, cluster.rank_class)
    kind = int(rng.integers(len(who) + 1))
    if kind == len(who):
        cost[:] = cost[0]
    else:
        cost *= (who[kind] == rng.choice(who[kind]))[:, None]
    every = np.array([name.startswith("replicated") for name in pricer.phases])
    cost[:, every] = 0.0  # what all ranks have alike is for assignments
    menu = problem.options.item_cost
    priced = np.where(np.isfinite(menu), menu, 0.0).any(axis=0)
    return np.asarray(np.where(priced[cluster.rank_class], cost, 0.0))


def assert_pressed(problem: Problem, cost: Floats) -> None:
    """Fail unless every pressure holds for loads (W, R)."""
    pricer, cluster = step_pricer(problem), problem.cluster
    prediction, found = pricer.predict(cost), pressed(pricer, cost)
    meetings = dict(zip(prediction.names, prediction.meetings, strict=True))
    for pressure in pressures(pricer):
        name = pressure.operation
        most, takes = found[name], prediction.seconds_of(name)
        for which, (mean, peak) in enumerate(
            zip(pressure.mean, pressure.peak, strict=True)
        ):
            own = cost[cluster.rank_class == which][:, pressure.columns]
            assert mean @ own.mean(axis=0) <= most * UP, name
            assert (own @ peak).max() <= most * UP, name
        if pressure.curve is None:
            assert most <= takes * UP, name
        elif most > 0:
            curve = float(pressure.curve(np.array([most]))[0])
            assert curve == pytest.approx(takes, rel=1e-11), name
        else:
            assert pressure.idle_s == pytest.approx(takes, rel=1e-11), name
        if pressure.meets and most > 0:
            meeting = meetings[name]
            assert meeting is not None
            assert len(meeting.first) == 1


@pytest.mark.parametrize("seed", range(18))
def test_whoever_has_the_loads(seed: int) -> None:
    """Random plans, those with all in one corner, and loads of no plan."""
    (_, problem), rng = draw_problem(seed, most_ranks=16), np.random.default_rng(seed)
    for _ in range(3):
        cost = problem.loads(draw_assignment(problem, rng)).cost
        if np.isfinite(cost).all():
            assert_pressed(problem, cost)
        assert_pressed(problem, corner(problem, rng))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(18, 800))
def test_whoever_has_the_loads_of_many(seed: int) -> None:
    """The same, on many more systems."""
    test_whoever_has_the_loads(seed)


def mixed_leaf() -> Problem:
    """Five slow hosts and a fast one, two under each leaf that is oversubscribed."""
    out = {"nics_per_host": 4, "nic_bw": 1e9, "rail_optimized": True}
    cluster = topology(
        host_group("slow", num_hosts=5, scale_out=out),
        host_group("fast", scale_out={**out, "nic_bw": 2e10}),
        fabric={"hosts_per_leaf": 2, "oversubscription": 16.0},
    )
    instance = Instance(one_host().workload, cluster, COST_MODEL)
    return instance.problem(objective=Objective.TIME)


def test_a_leaf_of_slow_and_fast_hosts() -> None:
    """Slow ranks beside fast ones have a faster uplink than other slow ranks."""
    problem = mixed_leaf()
    for rank in (0, 8, 16, 20):
        cost = np.zeros((problem.world_size, problem.num_phases))
        cost[rank] = 1e-3
        assert_pressed(problem, cost)


def odd_leaf(**fabric: float) -> Problem:
    """Five hosts, two under each leaf: one leaf is not full."""
    out = {"nics_per_host": 4, "nic_bw": 1e9, "rail_optimized": True}
    cluster = topology(
        num_hosts=5, scale_out=out, fabric={"hosts_per_leaf": 2, **fabric}
    )
    return Instance(one_host().workload, cluster, COST_MODEL).problem(
        objective=Objective.TIME
    )


@pytest.mark.parametrize("oversubscription", [1.0, 16.0])
def test_a_leaf_that_is_not_full(oversubscription: float) -> None:
    """Pressures hold; ranks are alike on all links but uplinks."""
    problem = odd_leaf(oversubscription=oversubscription)
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert_pressed(problem, corner(problem, rng))
        assert_pressed(problem, problem.loads(draw_assignment(problem, rng)).cost)


def test_ranks_press_together_with_a_leaf_that_is_not_full() -> None:
    """The mean load counts as where all leafs are full, and as where there are none."""
    odd = {p.operation: p for p in pressures(step_pricer(odd_leaf()))}
    flat = {p.operation: p for p in pressures(step_pricer(odd_leaf(hosts_per_leaf=0)))}
    exchange = "output_all_to_all"
    assert odd[exchange].mean == pytest.approx(flat[exchange].mean)
    assert (odd[exchange].mean[:, 0] > 2.0 * odd[exchange].peak[:, 0]).all()


def test_all_columns_that_press_are_listed() -> None:
    """Also on a mixed cluster, where sums of groups count as nothing."""
    problem = mixed_leaf()
    pricer = step_pricer(problem)
    listed = {p.operation: p.columns for p in pressures(pricer)}
    for column, name in enumerate(pricer.phases):
        cost = np.zeros((problem.world_size, problem.num_phases))
        cost[:4, column] = 1e-3
        prediction = pricer.predict(cost)
        for operation, columns in listed.items():
            runs = prediction.seconds_of(operation) > 0
            assert not runs or column in columns or operation.startswith("dense"), name
