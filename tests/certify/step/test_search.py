"""No plan has a shorter step than its certificate says, by prediction or simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.certify.step import convex, search
from shardplan.certify.step.bound import step_bound
from shardplan.certify.step.menu import StepMenu
from shardplan.certify.step.search import StepProof
from shardplan.certify.step.splits import long_meetings
from shardplan.certify.step.verify import verify_step
from shardplan.records.sharding import Objective
from shardplan.simulation import simulate
from shardplan.solvers.base import Stop
from tests.certify.step.tiny import tiny
from tests.helpers import Instance, plan_of
from tests.steps.draws import draw_assignment, draw_problem

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem


@pytest.mark.parametrize(
    ("seed", "routing"), [(1, None), (2, None), (4, None), (0, "blocks"), (12, "hash")]
)
def test_the_shortest_step_of_all_plans(seed: int, routing: str | None) -> None:
    """The bound is below it and near, whatever plan is known."""
    problem, best_s = tiny(seed, routing)
    for known_s in (best_s, 1.5 * best_s):
        certificate, bound_s = step_bound(problem, known_s, is_quick=seed > 1)
        assert verify_step(problem, certificate) == bound_s
        assert 0.7 * best_s < bound_s <= best_s * (1.0 + 1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_no_plan_is_faster(seed: int) -> None:
    """Random plans take as long as the bound by prediction, and by simulation."""
    assert_no_plan_is_faster(seed, *draw_problem(seed, most_tables=4, most_ranks=8))


@pytest.mark.parametrize("seed", range(4))
def test_no_plan_of_hot_rows_is_faster(seed: int) -> None:
    """The same where a cut of rows counts as its hottest shard, even or not."""
    drawn, problem = draw_problem(seed, most_tables=4, most_ranks=8)
    instance = drawn.with_workload(row_routing="blocks")
    hot = instance.problem(objective=Objective.TIME, target=problem.target)
    assert_no_plan_is_faster(seed, instance, hot)


def assert_no_plan_is_faster(seed: int, instance: Instance, problem: Problem) -> None:
    rng = np.random.default_rng(seed)
    found = [draw_assignment(problem, rng) for _ in range(8)]
    values = [problem.value(assignment) for assignment in found]
    if not np.isfinite(min(values)):
        return
    certificate, bound_s = step_bound(problem, min(values), is_quick=True)
    assert 0.0 < bound_s <= min(values)
    assert verify_step(problem, certificate) == bound_s
    for assignment, value in zip(found, values, strict=True):
        if np.isfinite(value):
            step_s = simulate(plan_of(instance, problem, assignment)).step_time_s
            assert bound_s <= value * (1.0 + 1e-12)
            assert bound_s <= step_s * (1.0 + 1e-9)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6, 200))
def test_no_plan_is_faster_of_many(seed: int) -> None:
    """The same, on many more systems."""
    test_no_plan_is_faster(seed)


def test_halves_that_are_nearly_refuted_are_cases() -> None:
    """With a limit that half of the way there is enough for, proofs stay true."""
    problem, best_s = tiny(1)
    found = 0
    for known_s in (1.1 * best_s, 1.3 * best_s, 1.5 * best_s):
        proof = StepProof(problem, known_s)
        aside = list(proof._aside)
        found += len(aside)
        waiting = [one[2] for one in proof._open]
        assert all(case in waiting for case in aside)
        assert all(case.bound_s < known_s for case in aside)
        proof.grow()
        assert verify_step(problem, proof.certificate()) <= best_s * (1.0 + 1e-12)
    assert found


@pytest.mark.parametrize("seed", [5, 24, 31, 37])
def test_no_split_proves_less(seed: int) -> None:
    """A part of a case is bounded at least as well as the case: it can inherit."""
    _, problem = draw_problem(seed, most_tables=6, most_ranks=8)
    rng = np.random.default_rng(seed)
    known_s = min(problem.value(draw_assignment(problem, rng)) for _ in range(6))
    proof = StepProof(problem, known_s, is_quick=True)
    first_s = proof.value_s
    proof.grow()
    assert proof.value_s >= first_s > 0.0
    assert verify_step(problem, proof.certificate()) >= first_s * (1.0 - 1e-9)


@pytest.mark.parametrize("limit_s", [60.0, np.inf])
@pytest.mark.parametrize("seed", [8, 11])
def test_menus_of_some_size_begin_with_what_runs(
    seed: int, limit_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proof says first what surely runs, and proves what no plan is below."""
    monkeypatch.setattr(search, "_FEW_OPTIONS", 0)
    problem, best_s = tiny(seed)
    proof = StepProof(problem, 1.001 * best_s, Stop(time_limit_s=limit_s))
    menu = StepMenu.of(problem)
    kinds = [menu.pressures[k].operation for k in long_meetings(menu, 1.001 * best_s)]
    first = proof.certificate().steps[0]
    assert (first.split, first.at_s) == (kinds[0], 0.0)
    proof.grow()
    bound_s = verify_step(problem, proof.certificate())
    assert 0.5 * best_s < bound_s <= best_s * (1.0 + 1e-12)


@pytest.mark.parametrize("seed", [0, 1, 3, 5])
def test_large_menus_have_few_cases(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are split by what runs alone, and prove what no plan is below."""
    monkeypatch.setattr(search, "_MOST_OPTIONS", 0)
    monkeypatch.setattr(convex, "_MOST_PRICED", 0)
    test_no_plan_is_faster(seed)
    problem, best_s = tiny(seed)
    certificate, bound_s = step_bound(problem, 1.2 * best_s, Stop(time_limit_s=60.0))
    assert verify_step(problem, certificate) == bound_s
    assert 0.5 * best_s < bound_s <= best_s * (1.0 + 1e-12)
    certificate, bound_s = step_bound(problem, 1.2 * best_s, Stop(time_limit_s=0.0))
    assert verify_step(problem, certificate) == bound_s
    assert 0.0 < bound_s <= best_s * (1.0 + 1e-12)
