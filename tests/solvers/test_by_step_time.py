"""Solving for the predicted step: parts of the menu, weights from its path."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from shardplan.certify.step.verify import verify_step
from shardplan.costs.scopes import Scope
from shardplan.errors import InputError
from shardplan.planning.planner import solve
from shardplan.plans.evaluation import evaluate
from shardplan.problems.weighted import StepView, by_load, by_phase, weights_at
from shardplan.records.sharding import Objective
from shardplan.simulation import SimulationSettings, simulate
from shardplan.solvers import by_step_time
from shardplan.solvers.auto import Auto
from shardplan.solvers.base import Silent, SolveStatus, Stop
from shardplan.solvers.by_step_time import ByStepTime
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.greedy_parts import solve_parts
from shardplan.solvers.params import SolverParams
from shardplan.solvers.path_turns import PathTurns
from shardplan.solvers.shelf.step_shelves import StepShelves
from tests.benchmarks.families import Family, family_problem
from tests.helpers import (
    assert_plan_valid,
    dlrm_like,
    random_assignment,
    two_hosts,
    workload,
)


def few_tables():
    """Three tables on four ranks, with a menu that few-table searches look at."""
    return two_hosts()._replace(workload=workload({}, {}, {"embedding_dim": 256}))


@pytest.mark.parametrize("solver", ["greedy", "ldm", "auto"])
def test_the_value_is_the_predicted_step(solver):
    """The plan is valid, proves a bound, and its value is what the path says."""
    result = two_hosts().solve(objective="time", solver=solver, work_limit=2000)
    assert_plan_valid(result.plan)
    assert result.bound == "proven"
    assert 0.0 < result.lower_bound_s <= result.objective_s
    expected = simulate(result.plan, SimulationSettings.path()).step_time_s
    assert result.objective_s == pytest.approx(expected, rel=1e-9)


def test_a_table_without_an_option_has_no_plan():
    """Plans of changed inputs, such as wider rows, are tried without a diagnosis."""
    huge = workload({}, {"num_embeddings": 10**11})
    problem = two_hosts()._replace(workload=huge).problem(objective=Objective.TIME)
    assert not np.diff(problem.options.start).all()
    for inner in (Greedy(), Auto()):
        found = ByStepTime(inner).solve(problem, Stop(), 0, Silent())
        assert (found.assignment, found.status) == (None, SolveStatus.NOT_FOUND)


def test_is_predicted_to_be_no_slower_than_greedy_for_step():
    """What sums of phases lead to is one of the plans that it looks at."""
    instance = dlrm_like()
    by_time = instance.solve(objective="time", solver="greedy")
    by_step = instance.solve(objective="step", solver="greedy")
    slower = evaluate(by_step.plan).value(Objective.TIME)
    assert by_time.objective_s <= slower * (1.0 + 1e-9)


def test_begins_with_the_plan_of_greedy_for_step():
    """It is the first of what was seen, whatever is found later."""
    instance = dlrm_like()
    problem = instance.problem(objective=Objective.TIME)
    found = ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent())
    plain = instance.problem(objective=Objective.STEP)
    by_step = Greedy().solve(plain, Stop(), 0, Silent()).assignment
    np.testing.assert_array_equal(found.seen[0].option, by_step.option)
    values = [problem.value(one) for one in found.seen[1:]]
    assert values == sorted(values)


def test_a_long_first_plan_is_the_only_one_of_greedy(monkeypatch):
    """Where it takes more than a tenth of the time, no more are made."""
    solved, clock = [], iter(range(10_000))

    def count(self, problem, *args):
        solved.append(problem)
        return solve_one(self, problem, *args)

    solve_one = Greedy.solve
    monkeypatch.setattr(Greedy, "solve", count)
    problem = two_hosts().problem(objective=Objective.TIME)
    # Every look at the clock is a second later than the last one.
    stop = Stop(time_limit_s=9.0, clock=lambda: float(next(clock)))
    ByStepTime(Greedy()).solve(problem, stop, 0, Silent())
    assert len(solved) == 1


def test_with_many_tables_the_solver_comes_first(monkeypatch):
    """Elsewhere greedy makes more plans, tables are cut alike and moved before."""
    solved, done = [], []

    def first(best, stop, seed, params, *, is_brief):
        solved.append(is_brief)
        return solve_parts(best, stop, seed, params, is_brief=is_brief)

    monkeypatch.setattr(by_step_time, "solve_parts", first)
    monkeypatch.setattr(
        ByStepTime, "_uniformly", lambda *arguments: done.append(arguments)
    )
    for most, family in product((48, 47), (Family.SSD, Family.HBM)):
        monkeypatch.setattr(by_step_time, "_MANY", most)
        problem = family_problem(family, 9301, 12, 4, Objective.TIME)
        stop = Stop(work_limit=300)
        assert ByStepTime(Auto()).solve(problem, stop, 0, Silent()).assignment
        assert solved.pop() == (most == 47)
        assert len(done) == (most == 48)
        done.clear()
        # Whoever asks for greedy has all of its plans.
        ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent())
        assert not solved.pop()


@pytest.mark.parametrize(
    ("family", "tables", "ranks", "most", "times"),
    [
        (Family.HBM, 12, 4, 48, 1),
        (Family.HBM, 12, 4, 47, 0),
        (Family.HBM, 6, 8, 48, 0),
        (Family.DDR, 12, 4, 48, 0),
    ],
)
def test_a_guide_is_asked_where_it_pays(
    monkeypatch, family, tables, ranks, most, times
):
    """In HBM, with no fewer tables than ranks, and not too many."""
    asked = []
    monkeypatch.setattr(by_step_time, "_MANY", most)
    monkeypatch.setattr(by_step_time, "pays", lambda problem: False)
    monkeypatch.setattr(by_step_time, "find_guide", lambda *args: asked.append(args))
    problem = family_problem(family, 9301, tables, ranks, Objective.TIME)
    ByStepTime(Auto()).solve(problem, Stop(work_limit=500), 0, Silent())
    assert len(asked) == times


def test_greedy_solves_a_few_times(monkeypatch):
    """Only parts of the menu without something that its first plan has, at most two."""
    solved = []

    def count(self, problem, *args):
        solved.append(len(problem.options))
        return solve_one(self, problem, *args)

    solve_one = Greedy.solve
    monkeypatch.setattr(Greedy, "solve", count)
    problem = two_hosts().problem(objective=Objective.TIME)
    ByStepTime(Greedy()).solve(problem, Stop(), 0, Silent())
    assert solved[0] == solved[1] == len(problem.options)
    assert len(solved) <= 6
    assert all(number < solved[0] for number in solved[2:-2])


def test_the_same_work_finds_the_same_plan():
    """A limit of work leaves nothing to the clock."""
    first, second = (
        two_hosts().solve(objective="time", work_limit=3000) for _ in range(2)
    )
    assert first.plan.tables == second.plan.tables


@pytest.mark.parametrize(
    ("make", "objective"),
    [
        (dlrm_like, Objective.TIME),
        (few_tables, Objective.TIME),
        (dlrm_like, Objective.STEP),
        (dlrm_like, Objective.MAX_RANK),
    ],
)
def test_more_work_never_makes_a_worse_plan(make, objective):
    """Each search begins with all that one with less work does.

    With turns that were shares of what is left, half of such searches failed.
    """
    problem = make().problem(objective=objective)
    auto = Auto(SolverParams.model_validate({"auto": {"strengthen": False}}))
    solver = ByStepTime(auto) if objective is Objective.TIME else auto
    values = []
    for work in (1, 200, 500, 1000, 2000):
        stop = Stop(work_limit=work)
        values.append(
            problem.value(solver.solve(problem, stop, 0, Silent()).assignment)
        )
    assert values == sorted(values, reverse=True)


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


def test_grouped_by_load_nothing_is_lost():
    """Fewer phases than operations, with the same seconds in all."""
    problem = two_hosts().problem(objective=Objective.TIME)
    view = StepView.of(problem)
    weights = np.linspace(0.5, 1.5, problem.num_phases)
    few = view.problem(weights, by_load()).options.item_cost
    many = view.problem(weights).options.item_cost
    assert few.shape[2] < many.shape[2]
    np.testing.assert_allclose(few.sum(axis=2), many.sum(axis=2), rtol=1e-12)


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
    """TorchRec's cost model has no rates to time a step with."""
    instance = two_hosts()
    with pytest.raises(InputError, match="cannot simulate a step"):
        solve(*instance[:2], "torchrec", objective="time", target="torchrec")


def test_a_plan_that_is_near_enough_to_its_bound_ends_the_search():
    """The bound comes with its proof, and no table is moved any more."""
    problem = dlrm_like().problem(objective=Objective.TIME)
    stop, all_of_it = Stop(work_limit=5000, gap=0.5), Stop(work_limit=5000)
    near, best = (
        ByStepTime(Auto()).solve(problem, one, 0, Silent()) for one in (stop, all_of_it)
    )
    assert stop.work < 0.5 * all_of_it.work
    assert near.status is SolveStatus.FEASIBLE
    bound_s = verify_step(problem, near.certificate)
    value_s = problem.value(near.assignment)
    assert problem.value(best.assignment) >= bound_s
    assert problem.value(best.assignment) <= value_s <= 1.5 * bound_s


def test_a_gap_out_of_reach_changes_nothing():
    """What is not near enough is searched for to the end, and proven afterwards."""
    problem = dlrm_like().problem(objective=Objective.TIME)
    stop = Stop(work_limit=2000, gap=1e-6)
    found = ByStepTime(Auto()).solve(problem, stop, 0, Silent())
    assert stop.work >= 2000
    assert found.status is SolveStatus.TIME_LIMIT
    assert found.certificate is None


def test_few_tables_are_put_on_shelves(monkeypatch):
    """A few times, with one more path each time, and never with a limit of work."""
    found = []

    def noted(self, *arguments):
        found.append(original(self, *arguments))
        return found[-1]

    original = StepShelves.solve
    monkeypatch.setattr(StepShelves, "solve", noted)
    problem = two_hosts().problem(objective=Objective.TIME)
    solver = ByStepTime(Auto())
    best = solver.solve(problem, Stop(time_limit_s=4.0), 0, Silent()).assignment
    assert best is not None
    assert problem.loads(best).fits(problem.capacity)
    assert 1 <= len(found) <= 4
    assert all(
        problem.value(best) <= problem.value(one) for one in found if one is not None
    )
    found.clear()
    solver.solve(problem, Stop(work_limit=1000), 0, Silent())
    assert not found


@pytest.mark.parametrize(
    ("family", "greedy_size", "is_run"),
    [
        (Family.DDR, 10**7, True),
        (Family.DDR, 47, False),
        (Family.HBM, 10**7, False),
    ],
)
def test_paths_have_turns_where_they_pay(monkeypatch, family, greedy_size, is_run):
    """Not with a guide, and not where a second search would take much memory."""
    run = []
    monkeypatch.setattr(by_step_time, "pays", lambda problem: False)
    monkeypatch.setattr(by_step_time, "find_guide", lambda *args: None)
    monkeypatch.setattr(PathTurns, "run", lambda *args: run.append(args))
    params = SolverParams.model_validate({"auto": {"greedy_size": greedy_size}})
    problem = family_problem(family, 9301, 12, 4, Objective.TIME)
    solver = ByStepTime(Auto(params), params)
    solver.solve(problem, Stop(work_limit=20_000), 0, Silent())
    assert bool(run) == is_run
