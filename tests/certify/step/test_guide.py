"""Guides to short steps: what runs, and what loads cost."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.certify.step.guide import choose_options, find_guide
from shardplan.problems.problem import Assignment
from shardplan.problems.weighted import step_pricer
from shardplan.records.sharding import Objective
from tests.certify.step.tiny import tiny
from tests.helpers import COST_MODEL, Instance, topology, workload
from tests.steps.draws import draw_assignment


class _Over:
    """A clock whose time is over."""

    def now(self) -> bool:
        return True

    def remaining_s(self) -> float:
        return 0.0


@pytest.mark.parametrize("seed", range(8))
def test_every_table_keeps_an_option_and_loads_have_a_worth(seed: int) -> None:
    problem, _ = tiny(seed)
    plan = draw_assignment(problem, np.random.default_rng(seed))
    guide = find_guide(problem, problem.loads(plan).cost, None)
    assert guide is not None
    kept = np.zeros(len(problem.options), dtype=bool)
    kept[guide.options] = True
    assert np.logical_or.reduceat(kept, problem.options.start[:-1]).all()
    assert len(guide.weights) == len(step_pricer(problem).phases)
    assert (guide.weights >= 0).all()
    assert guide.step_s > 0


def test_without_time_there_is_none() -> None:
    problem, _ = tiny(1)
    plan = draw_assignment(problem, np.random.default_rng(1))
    assert find_guide(problem, problem.loads(plan).cost, _Over()) is None


def test_parts_of_the_menu_that_fit_nowhere_guide_nobody() -> None:
    """Each of seven tables needs two thirds of the HBM of one of four ranks."""
    tables = [{"num_embeddings": 10_000_000} for _ in range(7)]
    limits = {"sharding_types": ["table_wise"], "compute_kernels": ["fused"]}
    model = workload(*tables, constraints=limits)
    problem = Instance(model, topology(), COST_MODEL).problem(objective=Objective.TIME)
    assert len(problem.options) == len(tables)
    plan = Assignment(np.arange(7), tuple(np.array([b % 4]) for b in range(7)))
    assert find_guide(problem, problem.loads(plan).cost, None) is None


@pytest.mark.parametrize("seed", range(4))
def test_options_are_chosen_of_what_a_plan_runs(seed: int) -> None:
    """Every table gets one; what the plan does without is not used."""
    problem, _ = tiny(seed)
    plan = draw_assignment(problem, np.random.default_rng(seed))
    loads = problem.loads(plan).cost
    chosen = choose_options(problem, loads, None)
    assert chosen is not None
    assert problem.options.table[chosen].tolist() == list(range(problem.num_bundles))
    names = step_pricer(problem).phases
    sent = names.index("output_all_to_all")
    if not loads[:, sent].any():
        items = np.isin(problem.options.item_option, chosen)
        assert not problem.options.item_cost[items, :, sent].any()
