"""Column shards that meet on a rank become one."""

from __future__ import annotations

from shardplan.merging import merged_columns
from shardplan.plan import ColumnBlock, TablePlacement, TierSplit
from shardplan.sharding import ComputeKernel, ShardingType
from shardplan.tables import DType


def placement(*blocks: tuple[int, int, tuple[int, ...]]) -> TablePlacement:
    """Place blocks of (offset, columns, ranks)."""
    return TablePlacement(
        name="t",
        sharding_type=ShardingType.COLUMN_WISE,
        compute_kernel=ComputeKernel.FUSED,
        dtype=DType.FP32,
        tiers=TierSplit(hbm=1.0),
        blocks=tuple(
            ColumnBlock(column_offset=offset, num_columns=columns, ranks=ranks)
            for offset, columns, ranks in blocks
        ),
    )


def test_shards_on_one_rank_are_joined() -> None:
    """8 and 4 columns on rank 0 are 12; the others follow without a hole."""
    found = merged_columns(placement((0, 8, (0,)), (8, 8, (1,)), (16, 4, (0,))))
    assert found == placement((0, 12, (0,)), (12, 8, (1,)))


def test_shards_on_ranks_of_their_own_stay() -> None:
    """Nothing changes where every shard has its own ranks."""
    one = placement((0, 8, (0,)), (8, 8, (1,)))
    assert merged_columns(one) is one


def test_row_cut_blocks_are_joined_by_their_ranks() -> None:
    """Blocks over the same host are one block over it."""
    found = merged_columns(placement((0, 8, (0, 1)), (8, 4, (2, 3)), (12, 4, (0, 1))))
    assert found == placement((0, 12, (0, 1)), (12, 4, (2, 3)))
