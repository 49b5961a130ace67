"""Plans that come with a proof: options that its open cases take most of, placed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.certify.step.nodes import Mixed
from shardplan.certify.step.search import StepProof
from shardplan.io import catalog
from shardplan.problems.problem import build_problem
from shardplan.records.sharding import Objective, Target
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.by_step_time import ByStepTime
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.plans_of_cases import _round, _rounded, plan_of, prove_and_plan
from tests.certify.step.tiny import tiny

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem


@cache
def _problem() -> Problem:
    cluster = catalog.load_topology("dgx-h100", 8)
    return build_problem(
        catalog.load_workload("dlrm-dcnv2"),
        cluster,
        catalog.load_cost_model(str(cluster.cost_model)),
        target=Target.HUGECTR,
        objective=Objective.TIME,
    )


@cache
def _proof() -> StepProof:
    """Prove what no step of it is below 2 ms, in few cases."""
    proof = StepProof(_problem(), 2e-3, is_quick=True)
    proof.grow()
    return proof


def test_open_cases_mix_options_of_all_tables() -> None:
    problem, mixes = _problem(), _proof().mixes()
    assert _proof().value_s < 2e-3
    assert mixes
    for options, shares in mixes:
        assert (np.diff(options) > 0).all()
        total = np.bincount(problem.options.table[options], shares)
        np.testing.assert_allclose(total, np.ones(problem.num_bundles), atol=1e-6)
        assert (shares > 0.0).all()


def test_refuted_cases_mix_nothing() -> None:
    """No plan is below the bound, so nothing of them is worth a look."""
    problem, best_s = tiny(1)
    proof = StepProof(problem, 0.1 * best_s)
    proof.grow()
    assert proof.mixes() == ()


def test_what_cases_take_most_of_is_a_good_plan() -> None:
    problem, bound_s = _problem(), _proof().value_s
    plan = plan_of(problem, _proof().mixes(), np.inf, Stop(time_limit_s=4.0))
    assert plan is not None
    assert problem.loads(plan).fits(problem.capacity)
    greedy = ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent()).assignment
    assert greedy is not None
    assert bound_s < problem.value(plan) < min(1.1 * bound_s, problem.value(greedy))


def test_first_comes_what_each_case_takes_most_of_and_nothing_twice() -> None:
    problem = tiny(1).problem
    start = problem.options.start
    one, other = start[:-1], start[1:] - 1
    options = np.sort(np.r_[one, other])
    assert (other > one).all()
    mixes = [
        Mixed(options, np.where(np.isin(options, some), 0.75, 0.25))
        for some in (other, one)
    ]
    found = list(_rounded(problem, mixes))
    assert found[0].tolist() == other.tolist()
    assert found[1].tolist() == one.tolist()
    # With two options each, by lot: all there are.
    assert len({tuple(some) for some in found}) == len(found) == 2 ** len(one)
    assert [some.tolist() for some in _rounded(problem, mixes)] == [
        some.tolist() for some in found
    ]


def test_options_are_drawn_by_their_shares() -> None:
    problem, rng = tiny(1).problem, np.random.default_rng(5)
    start = problem.options.start
    options = np.sort(np.r_[start[:-1], start[1:] - 1])
    mixed = Mixed(options, np.where(np.isin(options, start[:-1]), 0.9, 0.1))
    drawn = [np.isin(_round(problem, mixed, rng), start[:-1]) for _ in range(1_000)]
    assert np.mean(drawn) == pytest.approx(0.9, abs=0.02)


def test_without_open_cases_or_time_there_is_no_plan() -> None:
    problem = tiny(1).problem
    assert plan_of(problem, (), np.inf, Stop(time_limit_s=1.0)) is None
    mixes = _proof().mixes()
    assert plan_of(_problem(), mixes, np.inf, Stop(time_limit_s=0.0)) is None


def test_plans_that_begin_far_away_end_soon() -> None:
    """Each case is looked at once, and the proof has the rest of the time."""
    stop = Stop(time_limit_s=60.0)
    assert plan_of(_problem(), _proof().mixes(), 1e-3, stop) is None
    assert stop.elapsed_s() < 30.0


def test_what_does_not_fit_is_no_plan() -> None:
    """All tables whole on ranks of 1 byte."""
    problem = _problem()
    little = np.ones(problem.world_size)
    tight = replace(problem, capacity=replace(problem.capacity, rank_hbm=little))
    assert plan_of(tight, _proof().mixes(), np.inf, Stop(time_limit_s=0.5)) is None


def test_plans_are_made_of_few_tables_alone() -> None:
    problem, best_s = tiny(1)
    stop = Stop(time_limit_s=2.0)
    found = prove_and_plan(problem, 1.3 * best_s, stop)
    assert found.bound_s <= best_s * (1.0 + 1e-9)
    is_few = problem.num_bundles <= 2 * problem.world_size
    assert is_few or found.plan is None
