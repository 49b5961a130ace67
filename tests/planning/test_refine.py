"""What becomes of a solver's result under TorchRec's ruler."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shardplan.certify.dual import lower_bound
from shardplan.io.catalog import load_cost_model
from shardplan.planning import refine as refining
from shardplan.planning.refine import has_path, refine
from shardplan.problems.problem import build_problem
from shardplan.records.inputs import Inputs
from shardplan.records.sharding import Objective, Target
from shardplan.solvers.auto import Auto
from shardplan.solvers.base import SolverResult, SolveStatus, Stop
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.short_path import RatedPath
from tests.helpers import CLUSTERS, random_assignment, workload

INPUTS = Inputs(
    workload=workload(*({"pooling_factor": 3.0 * i} for i in range(1, 12))),
    topology=CLUSTERS["two_hosts"],
    cost_model=load_cost_model("torchrec"),
)
PROBLEM = build_problem(
    **dict(INPUTS), target=Target.TORCHREC, objective=Objective.MAX_RANK
)


def two_plans() -> tuple[RatedPath, RatedPath]:
    """Return two plans, of which the first has the better rating."""
    rng = np.random.default_rng(1)
    plans = [RatedPath(PROBLEM, random_assignment(PROBLEM, rng)) for _ in range(30)]
    plans.sort(key=lambda plan: plan.rating_s)
    own = next(plan for plan in plans if not plan.is_short)
    return own, plans[-1]


def result(own: RatedPath, status: SolveStatus) -> SolverResult:
    """Return a plan as a result with a certificate."""
    bound = lower_bound(PROBLEM, own.rating_s)
    return SolverResult(own.assignment, bound.value_s, status, bound.certificate)


def test_what_was_optimal_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rating that is given up is said, and the plan is optimal no more."""
    own, other = two_plans()
    monkeypatch.setattr(refining, "shortened", lambda *_: other)
    found = result(own, SolveStatus.OPTIMAL)
    refined = refine(Auto(), PROBLEM, found, INPUTS, Stop(), 0, 0)
    assert refined.result.assignment is other.assignment
    assert refined.result.status is SolveStatus.FEASIBLE
    assert refined.result.lower_bound_s == own.rating_s
    assert refined.result.certificate is found.certificate
    (remark,) = refined.remarks
    lost = 100.0 * (other.rating_s / own.rating_s - 1.0)
    assert f"{lost:.2g} % above the best one found" in remark


def test_a_gap_that_was_asked_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of ratings is at the gap, or at the plan's own rating."""
    own, _ = two_plans()
    limits: list[float] = []

    def noted(*given: Any) -> RatedPath:
        limits.append(given[4].most_s)
        return own

    monkeypatch.setattr(refining, "shortened", noted)
    monkeypatch.setattr(refining, "simple_plans", lambda *_: [])
    found = result(own, SolveStatus.FEASIBLE)
    gap = own.rating_s / found.lower_bound_s - 1.0
    for asked in (0.0, gap + 0.01, gap / 2.0):
        refine(Auto(), PROBLEM, found, INPUTS, Stop(gap=asked), 0, 0)
    assert limits[0] >= own.rating_s * 1.02
    assert limits[1] == pytest.approx(found.lower_bound_s * (1.0 + gap + 0.01))
    assert limits[2] == own.rating_s


def test_only_a_search_for_the_rating_has_a_path() -> None:
    """Greedy's plan, and those by other cost models, stay what they are."""
    assert has_path(Auto(), Objective.MAX_RANK, INPUTS)
    assert not has_path(Auto(), Objective.STEP, INPUTS)
    assert not has_path(Greedy(), Objective.MAX_RANK, INPUTS)
    other = INPUTS.model_copy(update={"cost_model": load_cost_model("a100")})
    assert not has_path(Auto(), Objective.MAX_RANK, other)
