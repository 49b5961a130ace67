"""Shelves: the best plan with one piece per rank, legal, and none where none is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.costs.scopes import Scope
from shardplan.io.catalog import load_cost_model, load_topology, load_workload
from shardplan.problems.problem import build_problem
from shardplan.records.sharding import PHASES, SUMS, Objective, ShardingType, Target
from shardplan.records.tables import TableConstraints
from shardplan.solvers.auto import Auto
from shardplan.solvers.base import Silent, SolverResult, Stop
from shardplan.solvers.params import SolverParams
from shardplan.solvers.shelf.shelves import Shelves
from tests.solvers.helpers import (
    CW2,
    DP,
    RW2,
    TW,
    Hosts,
    Shape,
    brute_force,
    make_problem,
    toy_problem,
)
from tests.solvers.search_helpers import CLUSTERS, assert_legal, is_same

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem

TRW = Shape(ShardingType.TABLE_ROW_WISE, Scope.HOST, (1,), 2)
TWO_LAYERS = SolverParams.model_validate({"shelf": {"layers": 2}})


def solve(problem: Problem, params: SolverParams | None = None) -> SolverResult:
    solver = Shelves(params=params) if params else Shelves()
    return solver.solve(problem, Stop(), 0, Silent())


def one_each(seed: int, num_tables: int, objective: Objective) -> Problem:
    """Draw tables on four ranks, none of which can hold two pieces."""
    rng = np.random.default_rng(seed)
    shapes = [TW, CW2, RW2, DP, TRW]
    menus = [
        [TW, *(shapes[i] for i in rng.permutation(np.arange(1, 5))[:3])]
        for _ in range(num_tables)
    ]
    flat = [shape for menu in menus for shape in menu]
    cost = rng.uniform(0.0, 1e-3, (len(flat), 1, len(PHASES)))
    cost /= [[[shape.counts[0] * shape.row_shards]] for shape in flat]
    tier_bytes = np.zeros((len(flat), 3))
    tier_bytes[:, 0] = [shape is not DP for shape in flat]
    pools = (np.full(4, 1.5), np.zeros(2), np.zeros(2))
    return make_problem(
        [Hosts(2, 2, 2)], menus, cost, tier_bytes, pools, objective=objective
    )


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("seed", range(8))
def test_best_with_one_piece_per_rank(seed: int, objective: Objective) -> None:
    """It is the best of all plans of its kind, by enumeration."""
    problem = one_each(seed, 2 + seed % 3, objective)
    found = solve(problem).assignment
    best, _ = brute_force(problem)
    assert found is not None
    assert_legal(problem, found)
    assert problem.value(found) == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize("target", [Target.ANY, Target.TORCHREC, Target.HUGECTR])
def test_keeps_all_constraints(
    cluster: str, objective: Objective, target: Target
) -> None:
    """Pins, conflicts, tiers and classes: a plan is legal, or there is none."""
    number = 0
    for seed in range(12):
        problem = toy_problem(
            np.random.default_rng(seed),
            4,
            CLUSTERS[cluster],
            fill=0.2,
            objective=objective,
            target=target,
            sliced=target is Target.HUGECTR,
        )
        found = solve(problem, TWO_LAYERS if seed % 2 else None).assignment
        if found is not None:
            number += 1
            assert_legal(problem, found)
    assert number >= 3


@pytest.mark.parametrize("workload", ["criteo-tb", "dlrm-v1"])
def test_any_framework_is_no_worse_than_hugectr(workload: str) -> None:
    """Of HugeCTR's shapes target `any` lacks only grids that cross groups of ranks."""
    types = frozenset(ShardingType) - {ShardingType.GRID_SHARD}
    limits = TableConstraints(sharding_types=tuple(sorted(types)))
    tables = load_workload(workload).model_copy(update={"constraints": limits})
    topology = load_topology("dgx-h100", 4)
    cost_model = load_cost_model("h100")
    values = []
    for target in (Target.ANY, Target.HUGECTR):
        problem = build_problem(
            tables, topology, cost_model, target=target, objective=Objective.STEP
        )
        found = solve(problem).assignment
        assert found is not None
        values.append(problem.value(found))
    assert values[0] <= values[1] * (1.0 + 1e-3)


def test_only_better_plans_are_looked_for() -> None:
    """Below the best there is none; a little above it is found."""
    problem = one_each(2, 4, Objective.STEP)
    best, _ = brute_force(problem)
    for most_s, is_found in ((0.99 * best, False), (1.01 * best, True)):
        found = Shelves(most_s).solve(problem, Stop(), 0, Silent())
        assert (found.assignment is not None) is is_found


def test_layers_add_up() -> None:
    """With two layers four tables fit on two ranks, the longest with the shortest."""
    cost = np.zeros((4, 1, len(PHASES)))
    cost[:, 0, 2] = [4e-3, 1e-3, 2e-3, 3e-3]
    pools = (np.full(2, 2.5), np.zeros(1), np.zeros(1))
    tier_bytes = np.repeat([[1.0, 0.0, 0.0]], 4, axis=0)
    problem = make_problem([Hosts(1, 2)], [[TW]] * 4, cost, tier_bytes, pools)
    assert solve(problem).assignment is None
    found = solve(problem, TWO_LAYERS).assignment
    assert found is not None
    assert problem.value(found) == pytest.approx(5e-3)


def test_no_plan_where_none_fits() -> None:
    """Memory is kept to: a piece too large for every rank ends it."""
    problem = one_each(0, 3, Objective.STEP)
    capacity = replace(problem.capacity, rank_hbm=np.full(4, 0.5))
    menu = problem.options
    problem = replace(
        problem,
        capacity=capacity,
        options=menu.select(np.flatnonzero(menu.scope != Scope.ALL), 3),
    )
    assert solve(problem).assignment is None


def test_classes_are_told_apart() -> None:
    """Pieces are on the class where they are short; one may be on both classes."""
    cost = np.zeros((3, 2, len(PHASES)))
    cost[:, :, 2] = [[1e-3, 5e-3], [4e-3, 1e-3], [1e-3, 1e-3]]
    pools = (np.full(4, 9.0), np.zeros(2), np.zeros(2))
    menus = [[TW], [TW], [CW2]]
    problem = make_problem(
        [Hosts(1, 2), Hosts(1, 2)], menus, cost, np.zeros((3, 3)), pools
    )
    found = solve(problem).assignment
    assert found is not None
    assert problem.value(found) == pytest.approx(1e-3)
    assert found.places[0][0] in (0, 1)
    assert found.places[1][0] in (2, 3)


def test_is_for_few_tables_and_sums() -> None:
    """What has many tables per rank, or no sum to minimise, is left to others."""
    few = one_each(0, 4, Objective.STEP)
    assert Shelves().suits(few)
    assert not Shelves().suits(replace(few, objective=Objective.TIME))
    assert not Shelves().suits(one_each(0, 9, Objective.STEP))
    small = SolverParams.model_validate({"shelf": {"most_columns": 3}})
    assert not Shelves(params=small).suits(few)
    assert solve(few, small).assignment is None


def test_stops_when_asked() -> None:
    """A request ends it before HiGHS has found anything."""
    stop = Stop()
    stop.requested = True
    problem = toy_problem(np.random.default_rng(0), 12, [Hosts(4, 8, 8)], fill=0.1)
    found = Shelves().solve(problem, stop, 0, Silent())
    assert found.assignment is None


def test_the_same_again() -> None:
    """Nothing is random."""
    problem = one_each(3, 4, Objective.STEP)
    one, other = solve(problem).assignment, solve(problem).assignment
    assert one is not None
    assert other is not None
    assert is_same(one, other)


@pytest.mark.parametrize("objective", SUMS)
def test_auto_begins_with_it(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan of `auto` is as good; with a work limit HiGHS is not asked."""
    calls = []

    def counted(self: Shelves, *arguments: object) -> SolverResult:
        calls.append(arguments)
        return original(self, *arguments)

    original = Shelves.solve
    monkeypatch.setattr(Shelves, "solve", counted)
    problem = toy_problem(
        np.random.default_rng(1), 6, [Hosts(2, 4, 4)], fill=0.2, objective=objective
    )
    params = SolverParams.model_validate({"auto": {"exact_first": False}})
    shelf = solve(problem).assignment
    calls.clear()
    found = Auto(params).solve(problem, Stop(time_limit_s=2.0), 0, Silent())
    assert len(calls) == 1
    assert shelf is not None
    assert found.assignment is not None
    assert problem.value(found.assignment) <= problem.value(shelf) * (1.0 + 1e-9)
    Auto(params).solve(problem, Stop(work_limit=1e4), 0, Silent())
    assert len(calls) == 1
