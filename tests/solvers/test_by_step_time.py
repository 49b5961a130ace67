"""Solving for the predicted step: parts of the menu, weights from its path."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.costs.scopes import Scope
from shardplan.errors import InputError
from shardplan.planning.planner import integer_program, solve
from shardplan.plans.evaluation import evaluate
from shardplan.problems.weighted import StepView, by_phase, weights_at
from shardplan.records.sharding import Objective
from shardplan.simulation import SimulationSettings, simulate
from tests.helpers import assert_plan_valid, dlrm_like, random_assignment, two_hosts


@pytest.mark.parametrize("solver", ["greedy", "auto"])
def test_the_value_is_the_predicted_step(solver):
    """The plan is valid, claims no bound, and its value is what the path says."""
    result = two_hosts().solve(objective="time", solver=solver, work_limit=2000)
    assert_plan_valid(result.plan)
    assert result.plan.certificate is None
    assert (result.bound, result.gap, result.lower_bound_s) == ("none", None, 0.0)
    expected = simulate(result.plan, SimulationSettings.path()).step_time_s
    assert result.objective_s == pytest.approx(expected, rel=1e-9)


def test_is_predicted_to_be_no_slower_than_greedy_for_step():
    """What sums of phases lead to is one of the plans that it looks at."""
    instance = dlrm_like()
    by_time = instance.solve(objective="time", solver="greedy")
    by_step = instance.solve(objective="step", solver="greedy")
    slower = evaluate(by_step.plan).value(Objective.TIME)
    assert by_time.objective_s <= slower * (1.0 + 1e-9)


def test_the_same_work_finds_the_same_plan():
    """A limit of work leaves nothing to the clock."""
    first, second = (
        two_hosts().solve(objective="time", work_limit=3000) for _ in range(2)
    )
    assert first.plan.tables == second.plan.tables


def test_a_view_leaves_out_what_needs_an_operation():
    """No option of the view reduces over all ranks; assignments lead back."""
    problem = two_hosts().problem(objective=Objective.TIME)
    view = StepView.of(problem, ("reduce_scatter",))
    assert view is not None
    part = view.problem(np.ones(problem.num_phases))
    assert 0 < len(part.options) < len(problem.options)
    column = problem.pricer.phases.index("reduce_scatter")
    kept = problem.options.select(view.options, problem.num_bundles)
    assert not kept.item_cost[:, :, column].any()
    found = random_assignment(part, np.random.default_rng(0))
    loads = problem.loads(view.whole_assignment(found))
    np.testing.assert_allclose(loads.hbm, part.loads(found).hbm)


def test_sums_of_phases_are_the_weighted_operations():
    """With all weights 1, columns add up to those of the phases of `step`."""
    instance = two_hosts()
    problem = instance.problem(objective=Objective.TIME)
    view = StepView.of(problem)
    assert view is not None
    part = view.problem(np.ones(problem.num_phases))
    found = random_assignment(part, np.random.default_rng(1))
    whole = view.whole_assignment(found)
    total = part.loads(found).cost.sum(axis=1)
    rates = problem.pricer.model.rates
    reduced, across = rates.reduce_scatter[Scope.HOST], rates.across_groups[Scope.HOST]
    loads = problem.loads(whole).cost.copy()
    for name in ("host_reduce_scatter", "host_all_gather"):
        column = problem.pricer.phases.index(name)
        loads[:, column] *= ((reduced + across) / reduced)[problem.cluster.rank_class]
    np.testing.assert_allclose(total, loads.sum(axis=1), rtol=1e-12)


def test_grouped_by_phase_it_is_objective_step():
    """With weights of 1, prices by phase are those of `step`, whatever the plan."""
    problem = two_hosts().problem(objective=Objective.TIME)
    view = StepView.of(problem)
    part = view.problem(np.ones(problem.num_phases), by_phase())
    plain = two_hosts().problem(objective=Objective.STEP)
    assert len(plain.options) == len(part.options)
    np.testing.assert_allclose(
        part.options.item_cost, plain.options.item_cost, rtol=1e-12
    )


def test_weights_are_shares_of_the_path():
    """An operation that others hide weighs next to nothing, one on the path counts."""
    problem = two_hosts().problem(objective=Objective.TIME)
    loads = problem.loads(random_assignment(problem, np.random.default_rng(2)))
    weights = dict(
        zip(problem.pricer.phases, weights_at(problem, loads.cost), strict=True)
    )
    prediction = problem.pricer.predict(loads.cost)
    for name in ("embedding_forward", "embedding_backward", "output_all_to_all"):
        # A kernel at its least time does not grow with its load.
        load = loads.cost[:, problem.pricer.phases.index(name)].max()
        is_fixed = prediction.seconds_of(name) > load > 0 and "embedding" in name
        if prediction.criticality[name] == 0 or is_fixed:
            assert weights[name] == pytest.approx(0.02)
        else:
            assert weights[name] >= prediction.criticality[name]


def test_what_cannot_be_timed_is_refused():
    """TorchRec's cost model, and the integer program of sums of phases."""
    instance = two_hosts()
    with pytest.raises(InputError, match="cannot simulate a step"):
        solve(*instance[:2], "torchrec", objective="time", target="torchrec")
    with pytest.raises(InputError, match="no integer program of its own"):
        integer_program(*instance, objective="time")
