"""Plans written as shard matrices."""

from __future__ import annotations

from typing import Any

import pytest

from shardplan.checking import check
from shardplan.costs.scopes import Scope
from shardplan.errors import InputError
from shardplan.io.catalog import load_cost_model, load_topology, load_workload
from shardplan.plans.evaluation import evaluate
from shardplan.plans.shard_matrix import ShardMatrix
from shardplan.records.inputs import Inputs
from shardplan.records.sharding import ShardingType, Target

HIERARCHICAL = ((0, 1), (0, 1), (0, 2), (0, 2))


def inputs(hosts: int = 2) -> Inputs:
    """Three tables on hosts of two ranks."""
    topology = load_topology("dgx-h100", hosts)
    group = topology.host_groups[0]
    up = group.scale_up.replace(domain_size=2)
    group = group.replace(local_world_size=2, scale_up=up)
    workload = load_workload("dlrm-dcnv2")
    return Inputs(
        workload=workload.replace(tables=workload.tables[1:4]),
        topology=topology.replace(host_groups=(group,)),
        cost_model=load_cost_model("h100"),
    )


def test_whole_row_and_replicated_tables() -> None:
    """One rank: table-wise; several: row-wise; listed as replicated: data parallel."""
    matrix = ShardMatrix(ranks=((0,), (1,), (), (1,)), replicated=(2,))
    plan = matrix.to_plan(inputs())
    types = [table.sharding_type for table in plan.tables]
    assert types == [
        ShardingType.TABLE_WISE,
        ShardingType.ROW_WISE,
        ShardingType.DATA_PARALLEL,
    ]
    assert plan.tables[1].blocks[0].ranks == (1, 3)
    assert check(plan) == ()
    shards = {shard.table: shard for shard in evaluate(plan).shards}
    assert shards[1].row_share == 0.5
    assert shards[1].scope is Scope.RANK


def test_hierarchical_plans_reduce_in_hosts() -> None:
    """A table on two whole hosts is reduced inside each, then exchanged."""
    plan = ShardMatrix(ranks=HIERARCHICAL, hierarchical=True).to_plan(inputs())
    assert check(plan) == ()
    shards = evaluate(plan).shards
    assert {shard.scope for shard in shards} == {Scope.HOST}
    assert shards[0].ranks == (0, 1, 2, 3)
    assert shards[0].row_share == 0.25


def test_slices_are_on_runs_of_ranks() -> None:
    """Four ranks and two slices: a grid of two; as many slices as ranks: columns."""
    ranks = ((0, 1), (0, 1), (0,), (0, 2))
    plan = ShardMatrix(ranks=ranks, column_slices=((0, 2), (1, 2))).to_plan(inputs())
    grid, columns, whole = plan.tables
    assert grid.sharding_type is ShardingType.GRID_SHARD
    assert [b.ranks for b in grid.blocks] == [(0, 1), (2, 3)]
    assert [b.column_offset for b in grid.blocks] == [0, 64]
    assert columns.sharding_type is ShardingType.COLUMN_WISE
    assert [b.ranks for b in columns.blocks] == [(0,), (1,)]
    assert whole.sharding_type is ShardingType.TABLE_WISE
    assert plan.target is Target.HUGECTR
    assert check(plan) == ()
    # Whole hosts do not reduce inside: partial sums go to all ranks.
    assert {shard.scope for shard in evaluate(plan).shards} == {Scope.RANK}
    hierarchical = ShardMatrix(
        ranks=((0,), (0,), (0, 1), (0, 2)), column_slices=((0, 2),), hierarchical=True
    ).to_plan(inputs())
    scopes = {shard.scope for shard in evaluate(hierarchical).shards if not shard.table}
    assert scopes == {Scope.HOST}


@pytest.mark.parametrize(
    ("slices", "rule"),
    [
        ((0, 3), "128 columns of"),
        ((1, 2), "1 ranks that hold"),
        ((2, 2), "is replicated"),
        ((9, 2), "slices table 9, the workload has 3 tables"),
    ],
)
def test_wrong_slices(slices: tuple[int, int], rule: str) -> None:
    """Columns and ranks divide by the number of slices, and copies have none."""
    matrix = ShardMatrix(
        ranks=((0,), (0,), (0,), (1,)), replicated=(2,), column_slices=(slices,)
    )
    with pytest.raises(InputError, match=rule):
        matrix.to_plan(inputs())


@pytest.mark.parametrize(
    ("strategy", "rule"),
    [
        ([["ep", ["a"]]], "must be one of: mp, dp"),
        ([["mp", [["b", 2]]]], "the workload has no such table"),
    ],
)
def test_wrong_strategies(strategy: list[Any], rule: str) -> None:
    """Unknown strategies and tables are errors."""
    with pytest.raises(InputError, match=rule):
        ShardMatrix.of_strategy([["a"]], strategy, ["a"])


@pytest.mark.parametrize(
    ("ranks", "rule"),
    [
        (((0, 1, 2),), "has 1 ranks, the topology has 4"),
        (((0, 1, 2), (3,), (), ()), "names table 3"),
        (((0,), (1,), (), ()), "places no shard of tables [2]"),
    ],
)
def test_misfits(ranks: tuple[tuple[int, ...], ...], rule: str) -> None:
    """What does not fit the inputs is named."""
    with pytest.raises(InputError) as caught:
        ShardMatrix(ranks=ranks).to_plan(inputs())
    assert rule in str(caught.value)


def test_a_rank_holds_a_table_once() -> None:
    """Two shards of a table on one rank are one shard."""
    with pytest.raises(ValueError, match="more than once"):
        ShardMatrix(ranks=((0, 0),))
