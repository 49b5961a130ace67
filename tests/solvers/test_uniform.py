"""All tables cut alike."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.io import catalog
from shardplan.problems.problem import build_problem
from shardplan.problems.weighted import StepView
from shardplan.records.sharding import PHASES, SUMS, Objective
from shardplan.solvers.base import Silent, SolverResult, SolveStatus, Stop
from shardplan.solvers.by_step_time import ByStepTime
from shardplan.solvers.ldm import LargestDifferencing
from shardplan.solvers.uniform import Uniform
from tests.solvers.helpers import CW2, TW, Hosts, brute_force, make_problem, toy_problem
from tests.solvers.search_helpers import assert_legal

GROUPS = [Hosts(2, 2, 2)]


def halves(num_tables: int, room: float) -> SolverResult:
    """Solve for equal tables of 2 bytes and 2 ms; halves take 1.5 ms."""
    cost = np.zeros((2 * num_tables, 1, len(PHASES)))
    cost[:, 0, 2] = np.tile([2e-3, 1.5e-3], num_tables)
    tier_bytes = np.zeros((2 * num_tables, 3))
    tier_bytes[:, 0] = np.tile([2.0, 1.0], num_tables)
    pools = (np.full(4, room), np.zeros(2), np.zeros(2))
    menus = [[TW, CW2]] * num_tables
    problem = make_problem(GROUPS, menus, cost, tier_bytes, pools)
    found = Uniform().solve(problem, Stop(), 0, Silent())
    if found.assignment is not None:
        assert_legal(problem, found.assignment)
    return found


def test_equal_tables_fill_ranks_to_the_last_byte() -> None:
    """Two tables in halves are 1.5 ms on each of four ranks with room for one each."""
    assert halves(2, room=1.0).assignment is not None
    assert halves(2, room=0.999).assignment is None
    assert halves(3, room=1.0).assignment is None


@pytest.mark.parametrize("objective", SUMS)
def test_legal_and_never_better_than_the_best(objective: Objective) -> None:
    """Plans are legal, and those at or above the given seconds are not returned."""
    found_any = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        problem = toy_problem(rng, 3, GROUPS, fill=0.4, objective=objective)
        found = Uniform().solve(problem, Stop(), 0, Silent()).assignment
        if found is None:
            continue
        found_any += 1
        assert_legal(problem, found)
        value = problem.value(found)
        assert value >= brute_force(problem)[0] * (1.0 - 1e-12)
        again = Uniform(value).solve(problem, Stop(), 0, Silent())
        assert again.assignment is None
        above = Uniform(1.01 * value).solve(problem, Stop(), 0, Silent())
        assert above.assignment is not None
    assert found_any > 10


def test_under_time_the_predicted_step_decides() -> None:
    """A plan with a higher sum of operations and a shorter step is kept."""
    topology = catalog.load_topology("dgx-h100", 2)
    problem = build_problem(
        catalog.load_workload("dlrm-s"),
        topology,
        catalog.load_cost_model(topology.cost_model),
        objective=Objective.TIME,
    )
    every = StepView(problem, np.arange(len(problem.options)))
    sums = every.problem(np.ones(problem.num_phases))
    by_time = Uniform().solve(problem, Stop(), 0, Silent())
    by_sum = Uniform().solve(sums, Stop(), 0, Silent())
    assert by_time.assignment is not None
    assert by_sum.assignment is not None
    assert_legal(problem, by_time.assignment)
    assert (by_time.status, by_time.lower_bound_s) == (SolveStatus.FEASIBLE, 0.0)
    step_s = problem.value(by_time.assignment)
    assert step_s < problem.value(by_sum.assignment) * 0.995
    assert sums.value(by_time.assignment) > sums.value(by_sum.assignment)
    # It is one of the plans that solvers for the step begin with.
    stop = Stop(work_limit=1)
    found = ByStepTime(LargestDifferencing()).solve(problem, stop, 0, Silent())
    assert found.assignment is not None
    assert problem.value(found.assignment) <= step_s
