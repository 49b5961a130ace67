"""What a case says of all of its plans holds for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.certify.step.menu import StepMenu
from shardplan.io import catalog
from shardplan.problems.weighted import step_pricer
from shardplan.records.sharding import Objective
from tests.helpers import Instance, one_host
from tests.steps.draws import draw_assignment, draw_problem, pick, pressed

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Floats


def drawn_loads(problem: Problem, rng: np.random.Generator, number: int) -> list:
    """Loads of some plans that take no infinite time."""
    found = [problem.loads(draw_assignment(problem, rng)).cost for _ in range(number)]
    return [cost for cost in found if np.isfinite(cost).all()]


def case_of(
    menu: StepMenu, rng: np.random.Generator, found: dict[str, float], splits: int
) -> StepMenu | None:
    """Split at random, and follow a plan that is pressed so."""
    for _ in range(splits):
        k = int(rng.integers(len(menu.pressures)))
        most = found[menu.pressures[k].operation]
        at_s = float(pick(rng, 0.0, 0.5 * most, 0.999 * most, most, 1.2 * most))
        half = menu.above(k, at_s) if most > at_s else menu.at_most(k, at_s)
        assert half is not None  # there is a plan
        menu = half
    return menu


def assert_told(menu: StepMenu, cost: Floats) -> None:
    """Fail unless what the case says is true of loads (W, R)."""
    prediction = step_pricer(menu.whole).predict(cost)
    for pressure, runs in zip(menu.pressures, menu.runs, strict=True):
        assert not runs or prediction.seconds_of(pressure.operation) > 0.0
    meetings = dict(zip(prediction.names, prediction.meetings, strict=True))
    for operation, meets in zip(menu.graph.program, menu.graph.meets, strict=True):
        if meets:
            meeting = meetings[operation.name]
            assert meeting is not None
            assert len(meeting.first) == 1


def test_options_that_press_too_much_are_left_out() -> None:
    """Each by its longest item; None where a table has no others."""
    _, problem = draw_problem(5, most_tables=6, most_ranks=8)
    menu = StepMenu.of(problem)
    every = menu.alone.max(axis=0)
    assert menu.within(every) is menu
    assert menu.within(np.zeros(len(every))) is None
    least = np.minimum.reduceat(menu.alone, problem.options.start[:-1], axis=0)
    some = menu.within(np.maximum(least.max(axis=0), 0.5 * every))
    if some is not None:
        limits = np.maximum(least.max(axis=0), 0.5 * every)
        assert (some.alone <= limits * (1.0 + 1e-9)).all()
        assert (menu.alone[~some.keep] > limits).any(axis=1).all()


@pytest.mark.parametrize("seed", range(14))
def test_every_plan_is_in_its_case(seed: int) -> None:
    """It is never left out; what the case knows to run does, and ranks meet."""
    (_, problem), rng = draw_problem(seed, most_ranks=12), np.random.default_rng(seed)
    for cost in drawn_loads(problem, rng, 6):
        found = pressed(step_pricer(problem), cost)
        menu = case_of(StepMenu.of(problem), rng, found, int(rng.integers(4)))
        assert menu is not None
        assert_told(menu, cost)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(14, 500))
def test_every_plan_is_in_its_case_of_many(seed: int) -> None:
    """The same, on many more systems."""
    test_every_plan_is_in_its_case(seed)


@pytest.mark.parametrize("seed", range(8))
def test_options_press_no_more_than_plans(seed: int) -> None:
    """Pressures of a plan are at least what its options add, and each one alone."""
    (_, problem), rng = draw_problem(seed, most_ranks=12), np.random.default_rng(seed)
    menu = StepMenu.of(problem)
    for _ in range(6):
        assignment = draw_assignment(problem, rng)
        cost = problem.loads(assignment).cost
        if np.isfinite(cost).all():
            found = pressed(step_pricer(problem), cost)
            added = menu.pressed[assignment.option].sum(axis=0)
            for pressure, least in zip(menu.pressures, added, strict=True):
                assert least <= found[pressure.operation] * (1.0 + 1e-11)
            longest = menu.alone[assignment.option].max(axis=0)
            for pressure, least in zip(menu.pressures, longest, strict=True):
                assert least <= found[pressure.operation] * (1.0 + 1e-11)


def in_groups() -> Problem:
    """Tables that are cut over the ranks of one of two hosts each."""
    cluster = catalog.load_topology("dgx-h100", 2)
    cost_model = catalog.load_cost_model(cluster.cost_model)
    instance = Instance(one_host().workload, cluster, cost_model)
    limits = {"sharding_types": ["table_row_wise"]}
    instance = instance.with_workload(constraints=limits)
    return instance.problem(objective=Objective.TIME)


@pytest.mark.parametrize("seed", range(4))
def test_what_comes_with_an_operation(seed: int) -> None:
    """What all options use that may press on it; of none that may, nothing."""
    menu = StepMenu.of(draw_problem(seed, most_tables=6, most_ranks=8)[1])
    for k, row in enumerate(menu.comes_with):
        who = menu.presses[:, k]
        assert (row == (menu.uses[who].all(axis=0) & who.any())).all()


def test_what_no_option_loads_by_itself_may_run() -> None:
    """Groups exchange what they reduced; that says nothing of what else runs."""
    problem = in_groups()
    menu = StepMenu.of(problem)
    k = menu.index("output_all_to_all")
    assert k is not None
    assert not menu.uses[:, k].any()
    case = menu.above(k, 1e-9)
    cost = problem.loads(draw_assignment(problem, np.random.default_rng(0))).cost
    assert pressed(step_pricer(problem), cost)["output_all_to_all"] > 1e-9
    assert_told(case, cost)
    names = {
        p.operation for p, runs in zip(case.pressures, case.runs, strict=True) if runs
    }
    assert {"output_all_to_all", "host_reduce_scatter", "id_exchange"} <= names
    assert "reduce_scatter" not in names


def test_a_case_without_options_has_no_plans() -> None:
    """Without lookups there is no table."""
    menu = StepMenu.of(in_groups())
    k = menu.index("embedding_forward")
    assert k is not None
    assert menu.at_most(k, 0.0) is None
    assert menu.at_most(k, 1e-12) is None
    assert menu.index("top_forward") is None


def test_options_of_a_table_make_two_cases() -> None:
    """Each plan is in one of them; what is known of options is not worked out again."""
    whole = StepMenu.of(draw_problem(5, most_tables=6, most_ranks=8)[1])
    start = whole.problem.options.start
    some = np.arange(start[0] + 1, start[1])
    assert len(whole.pressed) == len(whole.keep)
    taking, others = whole.taking(some)
    assert taking is not None
    assert others is not None
    assert (taking.keep ^ others.keep)[start[0] : start[1]].all()
    assert (taking.keep & others.keep)[start[1] :].all()
    assert np.flatnonzero(~taking.keep).tolist() == [start[0]]
    for half in (taking, others):
        fresh = StepMenu(whole.whole, half.keep)
        assert (half.pressed == fresh.pressed).all()
    assert taking.taking(some)[1] is None
