"""What a proof brings along: a bound, and now and then a better plan."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.planning.claims import Proof, prove, with_plan
from shardplan.records.sharding import Objective
from shardplan.solvers.base import SolverResult, SolveStatus, Stop
from tests.certify.step.tiny import tiny
from tests.helpers import random_assignment, two_hosts


class _Seen:
    def __init__(self) -> None:
        self.values: list[tuple[float, float]] = []

    def improved(self, objective_s: float, lower_bound_s: float) -> None:
        self.values.append((objective_s, lower_bound_s))


def test_the_better_plan_counts_and_is_told() -> None:
    problem = two_hosts().problem(objective=Objective.TIME)
    rng = np.random.default_rng(3)
    plans = sorted(
        (random_assignment(problem, rng) for _ in range(9)), key=problem.value
    )
    good, bad = plans[0], plans[-1]
    good_s = problem.value(good)
    assert good_s < problem.value(bad)
    for own, plan, is_taken in (
        (bad, good, True),
        (good, bad, False),
        (good, None, False),
    ):
        found, seen = SolverResult(own, 0.0, SolveStatus.TIME_LIMIT), _Seen()
        proof = prove(problem, found)
        best = with_plan(problem, found, found, Proof(*proof[:2], plan), seen)
        assert best.assignment is good
        assert best.status is SolveStatus.TIME_LIMIT
        assert seen.values == ([(good_s, proof.bound_s)] if is_taken else [])
        assert proof.bound_s <= good_s


def test_what_the_guard_rail_chose_stays() -> None:
    """Its simulated step is shorter; the plan from the proof was not simulated."""
    problem = two_hosts().problem(objective=Objective.TIME)
    rng = np.random.default_rng(3)
    drawn = [random_assignment(problem, rng) for _ in range(9)]
    good, *_, own, chosen = sorted(drawn, key=problem.value)
    found = SolverResult(own, 0.0, SolveStatus.FEASIBLE)
    refined = SolverResult(chosen, 0.0, SolveStatus.FEASIBLE)
    proof = Proof(*prove(problem, found)[:2], good)
    seen = _Seen()
    assert with_plan(problem, found, refined, proof, seen) is refined
    assert seen.values == []


@pytest.mark.parametrize(
    "stop",
    [Stop(), Stop(work_limit=1e3), Stop(time_limit_s=2.0)],
    ids=["endless", "by work", "by the clock"],
)
def test_plans_come_with_proofs_that_the_clock_ends(stop: Stop) -> None:
    """How far a proof comes must not decide on what is the same on every machine."""
    problem = tiny(1).problem
    assert problem.num_bundles <= 2 * problem.world_size
    plan = random_assignment(problem, np.random.default_rng(0))
    found = SolverResult(plan, 0.0, SolveStatus.FEASIBLE)
    is_timed = not (stop.is_endless or stop.is_by_work)
    proof = prove(problem, found, stop, is_quick=False, has_plans=True)
    assert (proof.plan is not None) <= is_timed
    assert prove(problem, found, Stop(time_limit_s=2.0), is_quick=False).plan is None
