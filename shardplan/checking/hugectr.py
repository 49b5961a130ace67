"""Rules of HugeCTR's embedding collections with static tables.

References
----------
HugeCTR at 2f2016f, HugeCTR/src/embeddings/embedding_collection.cpp
(`split_column_wise_sharding_config`) and
HugeCTR/embedding_storage/ragged_static_embedding.cu.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.checking.geometry import repeated
from shardplan.records.placement import even_rows
from shardplan.records.sharding import ShardingType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.records.placement import ColumnBlock, TablePlacement
    from shardplan.records.targets import Runtime


def hugectr_rules(placement: TablePlacement, runtime: Runtime) -> Iterator[str]:
    """Yield what keeps HugeCTR from running one table's placement."""
    kind, kernel = placement.sharding_type, placement.compute_kernel
    if kind not in runtime.sharding_types:
        yield f"there is no {kind.value} sharding"
    if kind is ShardingType.ROW_WISE and len(placement.blocks) > 1:
        yield "rows of several column slices are cut as grid_shard, not as row_wise"
    if kernel not in runtime.kernels:
        yield f"there is no kernel {kernel.value!r}"
    if placement.dtype not in runtime.row_types:
        known = ", ".join(sorted(dtype.value for dtype in runtime.row_types))
        yield f"rows are stored as {known}, not as {placement.dtype.value}"
    if kind is not ShardingType.DATA_PARALLEL:
        for block in placement.blocks:
            yield from _rows(block)
        yield from _slices(placement)


def _rows(block: ColumnBlock) -> Iterator[str]:
    """HugeCTR deals out rows in turn, so that shards differ by one row at most.

    Blocks of ceil(rows / ranks), which plans write, stand for that.
    """
    sizes = block.row_sizes
    if sizes is None:
        return
    blocks = even_rows(sum(sizes), len(sizes))
    if max(sizes) - min(sizes) > 1 and sizes != blocks:
        yield "rows are cut evenly; row_sizes differ by more than one row"


def _slices(placement: TablePlacement) -> Iterator[str]:
    """Columns are cut into equal slices on ranks that follow each other."""
    blocks = sorted(placement.blocks, key=lambda block: block.column_offset)
    widths = sorted({block.num_columns for block in blocks})
    if len(widths) > 1:
        yield f"column slices are equal, got {widths} columns"
    counts = sorted({len(block.ranks) for block in blocks})
    if len(counts) > 1:
        yield f"every column slice is on as many ranks, got {counts}"
    ranks = [rank for block in blocks for rank in block.ranks]
    twice = repeated(ranks)
    if twice:
        yield f"a rank holds one shard of a table; ranks {twice[:5]} hold several"
    elif ranks != sorted(ranks):
        yield "the ranks of a table's shards ascend with its columns and rows"
