"""Shelves under `time`: paths are exact at their plans, and plans are legal."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.problems.weighted import StepView
from shardplan.records.sharding import Objective
from shardplan.solvers.base import Stop
from shardplan.solvers.shelf.params import ShelfParams
from shardplan.solvers.shelf.step_shelves import StepShelves
from tests.helpers import dlrm_like, random_assignment, two_hosts
from tests.solvers.search_helpers import assert_legal


@pytest.mark.parametrize("target", ["any", "torchrec", "hugectr"])
def test_plans_are_legal_and_no_worse_than_a_random_one(target: str) -> None:
    """Below a limit there is a legal plan; far below all steps there is none."""
    problem = two_hosts().problem(objective=Objective.TIME, target=target)
    start = random_assignment(problem, np.random.default_rng(0))
    view = StepView.of(problem)
    assert view is not None
    shelves = StepShelves(view, ShelfParams())
    assert shelves.suits
    best = np.inf
    for _ in range(3):
        shelves.look_at(start)
        found = shelves.solve(np.inf, Stop())
        assert found is not None
        assert_legal(problem, found)
        best, start = min(best, problem.value(found)), found
    random = random_assignment(problem, np.random.default_rng(0))
    assert best <= problem.value(random)
    assert shelves.solve(0.01 * best, Stop()) is None


def test_many_tables_do_not_suit() -> None:
    """26 tables on 8 ranks are too many."""
    view = StepView.of(dlrm_like().problem(objective=Objective.TIME))
    assert view is not None
    assert not StepShelves(view, ShelfParams()).suits
