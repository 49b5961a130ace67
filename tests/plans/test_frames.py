"""Frames: shards cover their tables, ranks add up to the evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.planning import planner
from shardplan.plans.evaluation import evaluate
from shardplan.plans.frames import rank_frame, shard_frame, shards_per_rank
from shardplan.records.sharding import PHASES

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan


@pytest.fixture(scope="module", params=["dlrm-v1", "deeprecsys-rm2", "merlin-tiny"])
def plan(request: pytest.FixtureRequest) -> Plan:
    """A plan of a shipped workload for two hosts."""
    return planner.solve(request.param, "dgx-a100-40:2", solver="greedy").plan


def with_block(plan: Plan, **changes: object) -> Plan:
    """Cut the first table by rows over all ranks, with changes to the block."""
    first = plan.tables[0]
    table = plan.inputs.workload.tables[0]
    block = first.blocks[0].replace(
        column_offset=0,
        num_columns=table.embedding_dim,
        ranks=tuple(range(plan.world_size)),
        **changes,
    )
    new = first.replace(
        sharding_type="row_wise", compute_kernel="fused", blocks=(block,)
    )
    return plan.replace(tables=(new, *plan.tables[1:]))


def test_shards_cover_tables(plan: Plan) -> None:
    """The cells of all shards are those of the tables, once or once per copy."""
    frame = shard_frame(plan)
    cells = (frame["num_rows"] * frame["num_columns"]).groupby(frame["table"]).sum()
    for placement, table in zip(plan.tables, plan.inputs.workload.tables, strict=True):
        is_copied = placement.sharding_type == "data_parallel"
        copies = plan.world_size if is_copied else 1
        size = table.num_embeddings * table.embedding_dim
        assert cells[table.name] == copies * size


def test_shards_are_inside_their_table(plan: Plan) -> None:
    """No shard reaches beyond the rows and columns of its table."""
    frame = shard_frame(plan).set_index("table")
    for table in plan.inputs.workload.tables:
        own = frame.loc[[table.name]]
        assert (own["row_offset"] + own["num_rows"] <= table.num_embeddings).all()
        assert (own["column_offset"] + own["num_columns"] <= table.embedding_dim).all()


def test_hosts_and_copies(plan: Plan) -> None:
    """Ranks are on their host, and a copied table has a row on every rank."""
    frame = shard_frame(plan)
    assert (frame["host"] == frame["rank"] // 8).all()
    copies = frame[frame["sharding_type"] == "data_parallel"].groupby("table")["rank"]
    assert all(sorted(ranks) == list(range(16)) for _, ranks in copies)


def test_few_rows_leave_ranks_empty(plan: Plan) -> None:
    """A rank that gets none of a block's rows has a row with no rows."""
    tables = plan.inputs.workload.tables
    small = tables[0].replace(num_embeddings=20)
    workload = plan.inputs.workload.replace(tables=(small, *tables[1:]))
    inputs = plan.inputs.replace(workload=workload)
    frame = shard_frame(with_block(plan.replace(inputs=inputs)))
    own = frame[frame["table"] == small.name]
    assert own["num_rows"].tolist() == [2] * 10 + [0] * 6
    assert own["row_offset"].tolist() == [*range(0, 20, 2)] + [20] * 6


def test_row_sizes(plan: Plan) -> None:
    """Rows that are cut unevenly begin where the ones before them end."""
    rows = plan.inputs.workload.tables[0].num_embeddings
    sizes = (*range(15), rows - sum(range(15)))
    frame = shard_frame(with_block(plan, row_sizes=sizes))
    own = frame[frame["table"] == plan.tables[0].name]
    assert own["num_rows"].tolist() == list(sizes)
    assert own["row_offset"].tolist() == [sum(sizes[:i]) for i in range(16)]


def test_ranks_are_the_evaluation(plan: Plan) -> None:
    """Seconds and bytes per rank are those of the evaluation."""
    evaluation, frame = evaluate(plan), rank_frame(plan)
    seconds = frame[[f"{phase.value}_s" for phase in PHASES]].to_numpy()
    np.testing.assert_array_equal(seconds, evaluation.loads.cost)
    np.testing.assert_allclose(frame["total_s"], seconds.sum(axis=1))
    np.testing.assert_array_equal(frame["hbm_bytes"], evaluation.loads.hbm)
    assert (frame["hbm_bytes"] <= frame["hbm_capacity_bytes"]).all()
    groups = plan.inputs.topology.host_groups
    assert set(frame["host_group"]) == {group.name for group in groups}


def test_number_of_shards(plan: Plan) -> None:
    """The shards per rank are the rows of the frame of shards."""
    counts = shard_frame(plan)["rank"].value_counts()
    expected = [int(counts.get(rank, 0)) for rank in range(plan.world_size)]
    assert shards_per_rank(plan).tolist() == expected
    assert rank_frame(plan)["num_shards"].tolist() == expected


def test_methods_of_plan(plan: Plan) -> None:
    """`Plan.to_frame` and `Plan.to_rank_frame` are the same frames."""
    assert plan.to_frame().equals(shard_frame(plan))
    assert plan.to_rank_frame().equals(rank_frame(plan))


def test_plan_without_tables(plan: Plan) -> None:
    """A plan that places nothing has an empty frame with all columns."""
    empty = shard_frame(plan.replace(tables=()))
    assert empty.empty
    assert list(empty.columns) == list(shard_frame(plan).columns)
