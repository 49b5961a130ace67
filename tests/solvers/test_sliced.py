"""Every solver places equal slices on ranks of their own, and none beats the bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.certify.dual import lower_bound
from shardplan.certify.verify import verify
from shardplan.records.sharding import SUMS, Objective
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.registry import load_solver
from shardplan.solvers.uniform import Uniform
from tests.solvers.helpers import Hosts, brute_force, toy_problem
from tests.solvers.search_helpers import assert_legal

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem

SOLVERS = ("greedy", "ldm", "uniform", "ilp", "auto")


def draw(seed: int, objective: Objective, tables: int = 3) -> Problem:
    """A few tables that are whole, replicated, or in equal slices on apart ranks."""
    rng = np.random.default_rng(seed)
    groups = [Hosts(2, 2, 2)] if seed % 2 else [Hosts(1, 3), Hosts(1, 2)]
    return toy_problem(rng, tables, groups, fill=0.3, sliced=True, objective=objective)


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("name", SOLVERS)
def test_plans_are_legal_and_not_better_than_all_plans(
    name: str, objective: Objective
) -> None:
    """Shards are apart, and the best of all plans is found or missed, not beaten."""
    solver = Uniform() if name == "uniform" else load_solver(name)
    apart = best = possible = 0
    for seed in range(8):
        problem = draw(seed, objective)
        optimum, _ = brute_force(problem)
        possible += bool(np.isfinite(optimum))
        found = solver.solve(problem, Stop(), 0, Silent()).assignment
        if found is None:
            continue
        assert_legal(problem, found)
        value = problem.value(found)
        assert value >= optimum * (1 - 1e-9)
        chosen = problem.apart[found.option]
        apart += int(chosen.sum())
        best += value <= optimum * (1 + 1e-9)
    assert apart > 0
    assert best >= (possible if name in ("ilp", "auto") else 1)


@pytest.mark.parametrize("objective", SUMS)
def test_the_bound_holds_for_slices(objective: Objective) -> None:
    """What the certificate proves is at most the best of all plans."""
    for seed in range(8):
        problem = draw(seed, objective)
        optimum, _ = brute_force(problem)
        if np.isfinite(optimum):
            certificate = lower_bound(problem, optimum).certificate
            assert 0 < verify(problem, certificate) <= optimum * (1 + 1e-9)
