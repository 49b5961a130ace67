"""Plans evaluated from nothing but themselves."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shardplan
from shardplan.costs.cluster import Cluster
from shardplan.costs.scopes import Scope
from shardplan.plans.evaluation import evaluate, scope_of
from shardplan.records.placement import ColumnBlock
from shardplan.records.row_heat import RowRouting
from shardplan.records.sharding import SUMS, Objective, ShardingType
from tests.helpers import (
    CLUSTERS,
    TWO_HOSTS,
    Instance,
    assert_same_loads,
    plan_of,
    random_assignment,
    varied,
)

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan
    from shardplan.problems.problem import Problem


@cache
def made(name: str, routing: str | None = None) -> tuple[Instance, Problem]:
    instance = varied(CLUSTERS[name], row_routing=routing)
    return instance, instance.problem(all_tiers=True)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(list(CLUSTERS)),
    st.sampled_from([None, *RowRouting]),
    st.integers(0, 2**32 - 1),
)
def test_a_plan_is_worth_what_its_assignment_is(
    name: str, routing: RowRouting | None, seed: int
) -> None:
    """Solvers and `evaluate` see the same seconds and bytes on every rank and host."""
    instance, problem = made(name, routing)
    assignment = random_assignment(problem, np.random.default_rng(seed))
    plan = plan_of(instance, problem, assignment)
    evaluation = evaluate(plan)
    assert_same_loads(evaluation, problem, assignment)
    assert evaluation.value(problem.objective) == pytest.approx(
        plan.outcome.objective_s, rel=1e-12
    )


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(4)), st.integers(0, 2**32 - 1), st.booleans())
def test_names_of_equal_ranks_do_not_matter(
    order: list[int], seed: int, swap_hosts: bool
) -> None:
    """Renaming the ranks of a host, or the hosts, leaves both objectives alone."""
    instance, problem = made("two_hosts")
    plan = plan_of(
        instance, problem, random_assignment(problem, np.random.default_rng(seed))
    )
    names = [*order, *(4 + rank for rank in reversed(range(4)))]
    names = names[4:] + names[:4] if swap_hosts else names
    before, after = evaluate(plan), evaluate(_renamed(plan, names))
    for objective in SUMS:
        assert after.value(objective) == pytest.approx(
            before.value(objective), rel=1e-12
        )
    np.testing.assert_allclose(after.loads.hbm[names], before.loads.hbm)


def _renamed(plan: Plan, names: list[int]) -> Plan:
    def rename(block: ColumnBlock) -> ColumnBlock:
        return block.replace(ranks=tuple(names[rank] for rank in block.ranks))

    tables = tuple(
        p.replace(blocks=tuple(rename(block) for block in p.blocks))
        for p in plan.tables
    )
    return plan.model_copy(update={"tables": tables})


CLUSTER = Cluster.of(CLUSTERS["pairs"])


@pytest.mark.parametrize(
    ("kind", "ranks", "scope"),
    [
        ("data_parallel", "0-7", Scope.ALL),
        ("table_wise", "3", Scope.RANK),
        ("column_wise", "3", Scope.RANK),
        ("row_wise", "0-7", Scope.ALL),
        ("row_wise", "7,6,5,4,3,2,1,0", Scope.ALL),
        ("row_wise", "0-6", Scope.RANK),
        ("table_row_wise", "4-7", Scope.HOST),
        ("table_row_wise", "7,5,6,4", Scope.HOST),
        ("grid_shard", "2-3", Scope.DOMAIN),
        ("grid_shard", "3,2", Scope.DOMAIN),
    ],
)
def test_scopes(kind: str, ranks: str, scope: Scope) -> None:
    """Who reduces together follows from the ranks, in whatever order they are."""
    block = ColumnBlock.model_validate({"num_columns": 4, "ranks": ranks})
    assert scope_of(ShardingType(kind), block, CLUSTER) is scope


def with_rows(sizes: list[int]) -> Plan:
    """A plan of one table of 1000 rows, cut over a host in the given sizes."""
    instance = varied(TWO_HOSTS)._replace(topology=CLUSTERS["one_host"])
    instance = instance.with_workload(
        tables=(instance.workload.tables[2],), colocate=()
    )
    problem = instance.problem()
    plan = plan_of(
        instance, problem, random_assignment(problem, np.random.default_rng(0))
    )
    block: dict[str, Any] = {"num_columns": 128, "ranks": "0-3", "row_sizes": sizes}
    table = plan.tables[0].replace(
        sharding_type="row_wise",
        compute_kernel="fused",
        tiers={"hbm": 1.0},
        dtype="fp32",
        blocks=(block,),
    )
    return plan.replace(tables=(table,))


def test_uneven_rows_made_elsewhere() -> None:
    """Each rank has the ids and bytes of its own share of the rows."""
    even = evaluate(with_rows([250] * 4)).loads
    compact = evaluate(with_rows([250] * 4).replace(tables=(_compact(),))).loads
    np.testing.assert_allclose(even.cost, compact.cost)
    np.testing.assert_allclose(even.hbm, compact.hbm)
    uneven = evaluate(with_rows([700, 300, 0, 0])).loads
    assert uneven.hbm[0] > uneven.hbm[1] > uneven.hbm[2] == uneven.hbm[3]
    np.testing.assert_allclose(uneven.hbm.sum(), even.hbm.sum())


def test_a_row_cut_is_as_slow_as_its_hottest_shard() -> None:
    """Of ids in order of popularity the first half decides, wherever it is cut."""
    plan = with_rows([250] * 4)
    tables = plan.inputs.workload.tables
    access = {"kind": "zipf", "alpha": 1.05}
    hot = plan.inputs.workload.replace(row_routing="blocks", access=access)
    inputs = plan.inputs.replace(workload=hot)
    ids, weights = tables[0].pooling_factor * 1000 / 4, 1000 / 4 * 128 * 4

    def held(sizes: list[int]) -> tuple[float, float]:
        found = evaluate(with_rows(sizes).model_copy(update={"inputs": inputs}))
        buffers = found.item_bytes["hbm"]["input buffers"]
        rows = found.item_bytes["hbm"]["weights"]
        assert len(set(buffers)) == len(set(rows)) == 1
        return buffers[0] / (ids * 12 * 2), rows[0] / weights

    even, uneven = held([250] * 4), held([5, 25, 130, 840])
    # Harmonic sums: 250 rows of 1,000 have 0.84 of the lookups, the first 5 have 0.34.
    assert even == (pytest.approx(4 * 0.84, rel=0.02), 1.0)
    assert uneven == (pytest.approx(4 * 0.34, rel=0.02), 3.36)


def _compact() -> Any:
    table = with_rows([250] * 4).tables[0]
    return table.replace(blocks=(table.blocks[0].replace(row_sizes=None),))


def test_unknown_tables_are_left_to_check(two_tables: Instance) -> None:
    """A placement of a table that the workload does not have counts nothing."""
    problem = two_tables.problem()
    plan = plan_of(
        two_tables, problem, random_assignment(problem, np.random.default_rng(0))
    )
    stranger = plan.tables[1].replace(name="stranger")
    less = plan.replace(tables=(plan.tables[0], stranger))
    assert {shard.table for shard in evaluate(less).shards} == {0}


@pytest.mark.parametrize("name", list(CLUSTERS))
@pytest.mark.parametrize("seed", range(3))
def test_items_add_up_to_the_pools(name: str, seed: int) -> None:
    """What fills a rank and its host, item by item, is all that is there."""
    instance, problem = made(name)
    assignment = random_assignment(problem, np.random.default_rng(seed))
    evaluation = evaluate(plan_of(instance, problem, assignment))
    loads, cluster = evaluation.loads, evaluation.cluster
    for rank in (0, cluster.world_size - 1):
        host = cluster.rank_host[rank]
        items = evaluation.memory_items(rank)
        pools = {"hbm": loads.hbm[rank], "ddr": loads.ddr[host], "ssd": loads.ssd[host]}
        for tier, held in pools.items():
            assert sum(items[tier].values()) == pytest.approx(held, rel=1e-12)


def test_a_plan_is_evaluated_once() -> None:
    """Whoever asks again gets the same, and nobody can change it; copies are others."""
    instance, problem = made("one_host")
    assignment = random_assignment(problem, np.random.default_rng(0))
    plan = plan_of(instance, problem, assignment)
    found = evaluate(plan)
    assert evaluate(plan) is found
    assert evaluate(plan.model_copy()) is not found
    with pytest.raises(ValueError, match="read-only"):
        found.loads.cost[0, 0] = 0.0


def test_objectives_go_by_name() -> None:
    """A name is as good as the objective, and another one is refused."""
    plan = shardplan.solve(
        "dlrm-dcnv2", "dgx-h100:2", solver="greedy", objective="step"
    ).plan
    evaluation = evaluate(plan)
    values = {evaluation.value(objective.value) for objective in Objective}
    assert values == {evaluation.value(objective) for objective in Objective}
    assert len(values) == len(Objective)
    with pytest.raises(ValueError, match="fastest"):
        evaluation.value("fastest")
