"""What options cost a plan too much, by hand and against the best plan."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.certify.dual import lower_bound
from shardplan.certify.regrets import Regrets
from shardplan.certify.relaxed import Relaxed
from shardplan.certify.verify import replay
from shardplan.records.certificate import Case
from shardplan.records.sharding import PHASES, SUMS, Objective
from tests.solvers.helpers import (
    CW2,
    DP,
    TW,
    Hosts,
    brute_force,
    make_problem,
    toy_problem,
)

CLUSTERS = {
    "one host": [Hosts(1, 2, 2)],
    "two classes": [Hosts(1, 2, 2), Hosts(1, 1, 1)],
}


@pytest.mark.parametrize("roomy", [True, False])
def test_by_hand(roomy: bool) -> None:
    """A table whole or in two columns, twice; in memory for one and a half of them.

    Whole tables take 1 s and 1 GB, halves 0.6 s and 0.4 GB each. With room nothing
    but seconds counts. Else a GB has to cost 1 s, so that 0.2 GB less make up for
    0.2 s more: then both options are as good.
    """
    cost = np.zeros((4, 1, len(PHASES)))
    cost[:, 0, 2] = [1.0, 0.6, 1.0, 0.6]
    tier_bytes = np.zeros((4, 3))
    tier_bytes[:, 0] = [1e9, 0.4e9, 1e9, 0.4e9]
    room = 5e9 if roomy else 0.9e9
    capacity = (np.full(2, room), np.full(1, 1e9), np.full(1, 1e9))
    problem = make_problem([Hosts(1, 2)], [[TW, CW2]] * 2, cost, tier_bytes, capacity)
    regrets = Regrets.of(problem, lower_bound(problem))
    expected = [0.0, 0.2] * 2 if roomy else [0.0] * 4
    assert regrets.of_option == pytest.approx(np.array(expected), abs=1e-5)
    # 1 s/GB over two ranks, so half a second for each GB of a rank, 1.8 GB in all.
    memory_s = 0.0 if roomy else 0.9
    assert regrets.memory * regrets.bound_s == pytest.approx(memory_s, abs=1e-5)


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("groups", CLUSTERS.values(), ids=CLUSTERS.keys())
def test_regrets_add_to_the_bound(groups: list[Hosts], objective: Objective) -> None:
    """No plan is faster than the bound of the prices plus its options' mean regret."""
    tried = 0
    for seed in range(15):
        rng = np.random.default_rng(seed)
        problem = toy_problem(rng, 3, groups, fill=0.5, objective=objective)
        optimum, best = brute_force(problem)
        bound = lower_bound(problem)
        if best is None or not np.isfinite(bound.value_s):
            continue
        tried += 1
        regrets = Regrets.of(problem, bound)
        least = np.minimum.reduceat(regrets.of_option, problem.options.start[:-1])
        assert least.tolist() == [0.0] * problem.num_bundles
        case = Case(rounds=(bound.prices,))
        plain = replay(Relaxed.of(problem), (case,), float("inf"))
        extra = regrets.of_option[best.option].sum() / problem.world_size
        assert regrets.priced_s == pytest.approx(plain, rel=1e-9)
        assert optimum >= (plain + extra) * (1.0 - 1e-9)
    assert tried >= 5


def test_an_option_without_a_place() -> None:
    """A copy on all ranks, where one is forbidden, costs as much as everything."""
    cost = np.ones((2, 1, len(PHASES)))
    cost[1] = 1e-3
    capacity = (np.full(2, 1e9), np.full(1, 1e9), np.full(1, 1e9))
    problem = make_problem(
        [Hosts(1, 2)],
        [[TW, DP]],
        cost,
        np.zeros((2, 3)),
        capacity,
        allowed={0: np.array([True, False])},
    )
    found = Regrets.of(problem, lower_bound(problem))
    assert found.bound_s == pytest.approx(6.0, rel=1e-3)
    assert found.of_option.tolist() == [0.0, 2 * found.bound_s]
