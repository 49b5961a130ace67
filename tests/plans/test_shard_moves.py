"""Shards that two plans cut alike, and what goes with them."""

from __future__ import annotations

import pytest

from shardplan.plans.shard_moves import has_same_cut, shard_moves
from shardplan.records.placement import ColumnBlock, TablePlacement
from shardplan.records.tables import EmbeddingTable
from shardplan.records.workload import Optimizer

TABLE = EmbeddingTable.model_validate(
    {"name": "t", "num_embeddings": 10, "embedding_dim": 16, "dtype": "fp16"}
)


def placed(*shards: tuple[int, int, int]) -> TablePlacement:
    """Place columns; shards are (offset, columns, rank)."""
    return TablePlacement.model_validate(
        {
            "name": "t",
            "sharding_type": "column_wise",
            "compute_kernel": "fused",
            "dtype": "fp16",
            "tiers": {"hbm": 1.0},
            "blocks": [
                ColumnBlock(column_offset=offset, num_columns=columns, ranks=(rank,))
                for offset, columns, rank in shards
            ],
        }
    )


BEFORE = placed((0, 8, 0), (8, 8, 1))


@pytest.mark.parametrize(
    ("after", "same"),
    [
        (placed((0, 8, 2), (8, 8, 1)), True),
        (placed((8, 8, 1), (0, 8, 2)), True),
        (placed((0, 12, 0), (12, 4, 1)), False),
        (placed((0, 16, 2)), False),
    ],
)
def test_cuts(after: TablePlacement, same: bool) -> None:
    """Ranks do not count, nor does the order of shards; their sizes do."""
    assert has_same_cut(BEFORE, after, TABLE.num_embeddings) is same


@pytest.mark.parametrize(
    ("optimizer", "row"),
    [
        (Optimizer.SGD, 8 * 2),
        (Optimizer.ROWWISE_ADAGRAD, 8 * 2 + 4),
        (Optimizer.ADAGRAD, 8 * 2 + 8 * 4),
    ],
)
def test_bytes(optimizer: Optimizer, row: int) -> None:
    """Ten rows of eight fp16 columns, and fp32 state: for a row of each shard."""
    moves = shard_moves(BEFORE, placed((8, 8, 3), (0, 8, 0)), TABLE, optimizer)
    assert moves == [(0, 0, 0, 10, 0, 8, 10 * row), (1, 3, 0, 10, 8, 8, 10 * row)]
