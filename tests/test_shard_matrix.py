"""Plans written as shard matrices."""

from __future__ import annotations

import pytest

from shardplan.catalog import load_cost_model, load_topology, load_workload
from shardplan.checking import check
from shardplan.errors import InputError
from shardplan.evaluation import evaluate
from shardplan.plan import Inputs
from shardplan.shard_matrix import ShardMatrix
from shardplan.sharding import Scope, ShardingType

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
