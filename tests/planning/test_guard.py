"""The guard rail: nothing at hand simulates faster than what is returned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import shardplan
from shardplan.checking import check
from shardplan.planning.guard import NOISE, guard
from shardplan.planning.refine import refine, search_s
from shardplan.plans.assemble import assemble_unproven
from shardplan.plans.realize import placements
from shardplan.records.inputs import Inputs
from shardplan.records.sharding import QUANTITY, Objective
from shardplan.simulation import simulate
from shardplan.solvers.auto import Auto
from shardplan.solvers.base import Silent, SolverResult, SolveStatus, Stop
from shardplan.solvers.greedy import Greedy
from tests.helpers import dlrm_like, mixed_cluster, random_assignment, tiered, two_hosts


def plans(instance, problem):
    names = ("workload", "topology", "cost_model")
    inputs = Inputs(**dict(zip(names, instance, strict=True)))

    def make(assignment):
        return assemble_unproven(
            inputs,
            placements(problem, assignment),
            solver="",
            target=problem.target,
            objective=problem.objective,
        )

    return inputs, make


@pytest.mark.parametrize("objective", [Objective.STEP, Objective.TIME])
def test_no_rival_is_faster(objective):
    """Of random plans, greedy's among them, the fastest comes back."""
    instance = two_hosts()
    problem = instance.problem(objective=objective)
    _, make = plans(instance, problem)
    rng = np.random.default_rng(0)
    drawn = [random_assignment(problem, rng) for _ in range(5)]
    found = SolverResult(drawn[0], 0.0, SolveStatus.OPTIMAL, seen=tuple(drawn[1:]))
    guarded = guard(Auto(), problem, found, make, Stop())
    steps = [simulate(make(one)).step_time_s for one in drawn]
    own = simulate(make(guarded.result.assignment)).step_time_s
    assert own <= min(steps) * (1.0 + NOISE)
    if objective is not Objective.TIME:
        plain = Greedy().solve(problem, Stop(), 0, Silent()).assignment
        assert own <= simulate(make(plain)).step_time_s * (1.0 + NOISE)
    assert bool(guarded.sentence) == (guarded.result.assignment is not drawn[0])
    if guarded.sentence:
        assert "shorter simulated step" in guarded.sentence
        assert f"its {QUANTITY[objective]}" in guarded.sentence
        assert guarded.result.status is SolveStatus.FEASIBLE


@pytest.mark.parametrize("instance", [two_hosts, dlrm_like, mixed_cluster, tiered])
@pytest.mark.parametrize("seed", range(2))
def test_time_is_never_slower_than_greedy_for_step(instance, seed):
    """Its simulated step is at most that of greedy's plan for `step`."""
    by_step = instance().solve(objective="step", solver="greedy")
    by_time = instance().solve(objective="time", work_limit=500, seed=seed)
    slowest = simulate(by_step.plan).step_time_s * (1.0 + NOISE)
    assert simulate(by_time.plan).step_time_s <= slowest


def test_plans_are_taken_from_first_to_last():
    """Early plans compete: the last ones may share what the objective leaves out."""
    instance = two_hosts()
    problem = instance.problem()
    _, make = plans(instance, problem)
    rng, simulated = np.random.default_rng(0), []
    drawn = [random_assignment(problem, rng) for _ in range(60)]
    found = SolverResult(drawn[0], 0.0, SolveStatus.OPTIMAL, seen=tuple(drawn[1:]))

    def note(assignment):
        simulated.append(assignment)
        return make(assignment)

    guard(Auto(), problem, found, note, Stop())
    which = [i for i, one in enumerate(drawn) if any(one is s for s in simulated)]
    assert len(simulated) == 12
    assert which[0] == 0
    assert which[-1] == 59
    assert np.diff(which).max() < 12


def test_a_result_that_nothing_beats_stays():
    """Also its status: nothing is said, nothing is changed."""
    instance = two_hosts()
    problem = instance.problem()
    _, make = plans(instance, problem)
    found = Greedy().solve(problem, Stop(), 0, Silent())
    for solver in (Greedy(), Auto()):
        assert guard(solver, problem, found, make, Stop()) == (found, "")


def test_the_slowest_rank_is_what_was_asked_for():
    """`max-rank` is compared by itself: a shorter step does not replace its plan."""
    instance = two_hosts()
    problem = instance.problem(objective=Objective.MAX_RANK)
    _, make = plans(instance, problem)
    rng = np.random.default_rng(0)
    drawn = [random_assignment(problem, rng) for _ in range(5)]
    found = SolverResult(drawn[0], 0.0, SolveStatus.OPTIMAL, seen=tuple(drawn[1:]))
    assert guard(Auto(), problem, found, make, Stop()) == (found, "")


@pytest.mark.parametrize("solver", ["greedy", "auto"])
def test_rounds_have_work_of_their_own(solver):
    """A search that used up its limit leaves the rounds theirs, and says so."""
    result = dlrm_like().solve(solver=solver, rounds=2, work_limit=500)
    assert check(result.plan) == ()
    said = [text for text in result.remarks if "of 2 rounds ran" in text]
    assert len(said) == 1
    assert not said[0].startswith("0 ")


def test_rounds_have_time_of_their_own():
    """The first search leaves three tenths of the time."""
    result = two_hosts().solve(solver="auto", rounds=2, time_limit_s=2.0)
    (said,) = [text for text in result.remarks if "of 2 rounds ran" in text]
    assert not said.startswith("0 ")


def test_the_same_work_gives_the_same_answer():
    """Nothing of rounds and guard rail looks at the clock under a limit of work."""
    first, second = (
        dlrm_like().solve(solver="auto", rounds=1, work_limit=1000) for _ in range(2)
    )
    assert first.plan.tables == second.plan.tables
    assert first.remarks == second.remarks


def test_what_cannot_be_simulated_is_left_alone():
    """TorchRec's cost model has no step: no rival is looked for, rounds are refused."""
    instance = two_hosts()
    arguments = (*instance[:2], "torchrec")
    result = shardplan.solve(
        *arguments, target="torchrec", objective="max-rank", solver="greedy"
    )
    assert result.remarks == ()
    with pytest.raises(shardplan.InputError, match="cannot simulate a step"):
        shardplan.solve(
            *arguments, target="torchrec", solver="greedy", rounds=1, objective="step"
        )


def test_refine_without_rounds_says_nothing_of_them():
    """No remark without a change."""
    instance = two_hosts()
    problem = instance.problem()
    inputs, _ = plans(instance, problem)
    found = replace(Greedy().solve(problem, Stop(), 0, Silent()), seen=())
    refined = refine(Greedy(), problem, found, inputs, Stop(), 0, 0)
    assert refined == (problem, found, ())


def test_rounds_under_time_are_said_not_to_run():
    """Its solver does what rounds do: they keep no time for themselves."""
    instance = two_hosts()
    inputs, _ = plans(instance, instance.problem())
    result = instance.solve(solver="greedy", objective=Objective.TIME, rounds=2)
    assert any(text.startswith("No rounds ran") for text in result.remarks)
    stop = Stop(time_limit_s=10.0)
    spans = {one: search_s(stop, 2, one, Greedy(), inputs) for one in Objective}
    longest = max(spans[Objective.STEP], spans[Objective.MAX_RANK])
    assert spans[Objective.TIME] > 1.2 * longest
