"""The problem: where bundles may go, and what an assignment puts there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.costs.scopes import Scope
from shardplan.errors import InputError
from shardplan.records.sharding import Objective, Target
from tests.helpers import (
    CLUSTERS,
    COST_MODEL,
    Instance,
    random_assignment,
    varied,
    workload,
)

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem


def problem_of(
    *tables: dict[str, Any], cluster: str = "two_hosts", **changes: Any
) -> Problem:
    return Instance(
        workload(*tables, **changes), CLUSTERS[cluster], COST_MODEL
    ).problem()


def limited(**constraints: Any) -> dict[str, Any]:
    return {"constraints": constraints}


def test_masks_combine_ranks_hosts_and_forbidden() -> None:
    """A bundle may use ranks that all of its members' constraints allow."""
    problem = problem_of(
        limited(hosts=[1], forbidden_ranks=[5]),
        limited(ranks=[0, 4, 5, 6]),
        {},
        colocate=[["t0", "t1"]],
    )
    assert np.flatnonzero(problem.allowed_ranks(0)).tolist() == [4, 6]
    assert problem.allowed_ranks(1).all()
    assert 1 not in problem.allowed


def test_pinned_tables_lose_options_without_a_place() -> None:
    """Nothing over all ranks, no host with a forbidden rank, no row cut too wide."""
    problem = problem_of(limited(ranks=[1, 2, 4, 5, 6, 7]))
    menu = problem.options
    kinds = set(zip(menu.scope.tolist(), menu.row_shards.tolist(), strict=True))
    assert kinds == {(Scope.RANK, n) for n in range(1, 7)} | {(Scope.HOST, 4)}
    host = int(np.flatnonzero(menu.scope == Scope.HOST)[0])
    assert problem.group_places(0, host).tolist() == [1]
    narrow = problem_of(limited(ranks=[3])).options
    assert set(narrow.row_shards.tolist()) == {1}


def test_places_of_every_scope() -> None:
    """Ranks, hosts and domains are places; all ranks together are one."""
    problem = problem_of({}, cluster="cut_off")
    menu, counts = problem.options, {}
    for option in range(len(menu)):
        key = (Scope(menu.scope[option]).name, int(menu.row_shards[option]))
        counts[key] = len(problem.group_places(0, option))
    assert counts[("rank", 1)] == 6
    assert counts[("host", 2)] == 3
    assert counts[("domain", 4)] == 1
    assert counts[("all", 6)] == 1
    assert ("domain", 2) not in counts
    assert problem.place_ranks(Scope.RANK, 3) == slice(3, 4)
    assert problem.place_ranks(Scope.HOST, 2) == slice(4, 6)
    assert problem.place_ranks(Scope.DOMAIN, 0) == slice(0, 4)
    assert problem.place_ranks(Scope.ALL, 0) == slice(0, 6)


def test_unknown_ranks_and_hosts_are_all_named() -> None:
    """Every constraint that names something which does not exist is reported."""
    with pytest.raises(InputError) as caught:
        problem_of(
            limited(ranks=[0, 8]), limited(hosts=[2]), limited(forbidden_ranks=[99])
        )
    keys = [problem.key for problem in caught.value.problems]
    assert keys == [
        "tables[t0].constraints.ranks",
        "tables[t1].constraints.hosts",
        "tables[t2].constraints.forbidden_ranks",
    ]
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    "tables",
    [
        [limited(ranks=[0], hosts=[1])],
        [limited(ranks=[0]), limited(ranks=[1])],
    ],
)
def test_constraints_that_leave_no_rank(tables: list[dict[str, Any]]) -> None:
    """A table without any rank is an error of the input, not of the solver."""
    groups = [["t0", "t1"]] if len(tables) > 1 else []
    with pytest.raises(InputError, match="leave no rank"):
        problem_of(*tables, colocate=groups)


@pytest.mark.parametrize(
    ("limits", "target", "need"),
    [
        ({"sharding_types": ["row_wise"], "ranks": [2]}, "any", "row_wise needs two"),
        (
            {"sharding_types": ["row_wise"], "ranks": [2, 3]},
            "torchrec",
            "row_wise needs all of them",
        ),
        (
            {"sharding_types": ["data_parallel"], "forbidden_ranks": [0]},
            "any",
            "leave 7 of 8 ranks, and data_parallel needs all of them",
        ),
        (
            {
                "sharding_types": ["table_row_wise", "data_parallel"],
                "forbidden_ranks": [0, 4],
            },
            "any",
            "data_parallel needs all of them; table_row_wise needs a whole host or",
        ),
    ],
)
def test_fewer_ranks_than_the_types_need(
    limits: dict[str, Any], target: str, need: str
) -> None:
    """The error names what is left, and what every type would need."""
    tables = workload(limited(**limits), {})
    instance = Instance(tables, CLUSTERS["two_hosts"], COST_MODEL)
    with pytest.raises(InputError) as caught:
        instance.problem(target=Target(target))
    (problem,) = caught.value.problems
    assert problem.key == "tables[t0].constraints"
    assert need in problem.rule


@pytest.mark.parametrize(
    "limits",
    [
        {"sharding_types": ["row_wise"], "ranks": [2, 3]},
        {"sharding_types": ["table_row_wise"], "hosts": [1]},
        {"sharding_types": ["row_wise", "table_wise"], "ranks": [2]},
    ],
)
def test_just_enough_ranks(limits: dict[str, Any]) -> None:
    """What can be met on the ranks that are left has options."""
    problem = problem_of(limited(**limits), {}, cluster="two_hosts")
    assert problem.options.start[1] > 0


def test_conflicts_are_mutual() -> None:
    """Separate groups name the bundles that avoid each other."""
    problem = problem_of({}, {}, {}, {}, separate=[["t0", "t1"], ["t1", "t3"]])
    assert problem.conflicts == {
        0: frozenset({1}),
        1: frozenset({0, 3}),
        3: frozenset({1}),
    }
    scopes = problem.options.scope
    start = problem.options.start
    assert Scope.ALL not in scopes[: start[2]]
    assert Scope.ALL in scopes[start[2] : start[3]]


def test_replicas_of_separated_tables_share_even_a_single_rank() -> None:
    """On one rank a copy is on the other table's rank, so it is not offered."""
    problem = problem_of({}, {}, cluster="one_rank", separate=[["t0", "t1"]])
    assert Scope.ALL not in problem.options.scope


@pytest.mark.parametrize("name", CLUSTERS)
def test_value_is_between_its_bounds(name: str) -> None:
    """The slowest rank <= sum of slowest phases <= W * slowest rank; P phases too."""
    instance = varied(CLUSTERS[name])
    step = instance.problem(objective=Objective.STEP, all_tiers=True)
    rank = replace(step, objective=Objective.MAX_RANK)
    rng = np.random.default_rng(5)
    for _ in range(20):
        assignment = random_assignment(step, rng)
        low, high = rank.value(assignment), step.value(assignment)
        num_phases = step.loads(assignment).cost.shape[1]
        assert low <= high * (1 + 1e-12)
        assert high <= low * min(num_phases, step.world_size) * (1 + 1e-12)


def test_whole_bytes_may_fill_a_pool() -> None:
    """Whole bytes fit to the last one; of fractions a little is left free."""
    problem = problem_of(limited())
    capacity = replace(problem.capacity, rank_hbm=np.full(problem.world_size, 100.7))
    for size, lowest, highest in ((1.0, 100.0, 101.0), (0.1, 100.69, 100.7)):
        tier_bytes = np.full_like(problem.options.item_bytes, size)
        options = replace(problem.options, item_bytes=tier_bytes)
        rooms = replace(problem, options=options, capacity=capacity).rooms[0]
        assert ((lowest < rooms) & (rooms < highest)).all()
    empty = replace(capacity, rank_hbm=np.zeros(problem.world_size))
    assert not replace(problem, capacity=empty).rooms[0].any()
