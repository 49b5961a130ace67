"""The shards of a placement as rectangles on ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shardplan.records.placement import even_rows
from shardplan.records.sharding import ShardingType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.records.placement import ColumnBlock, TablePlacement


class PlacedRectangle(NamedTuple):
    """Rows and columns of a table on one rank; a rank may hold an empty one."""

    rank: int
    row_offset: int
    num_rows: int
    column_offset: int
    num_columns: int


def rectangles(
    placement: TablePlacement, num_embeddings: int
) -> Iterator[PlacedRectangle]:
    """List the shards of a table: block by block, in the order of its ranks.

    Parameters
    ----------
    placement : TablePlacement
        Of the table, as in `tables` of a plan.
    num_embeddings : int
        Its rows.

    Returns
    -------
    iterator of PlacedRectangle
        Each with `rank`, `row_offset`, `num_rows`, `column_offset`, `num_columns`.
    """
    replicated = placement.sharding_type is ShardingType.DATA_PARALLEL
    for block in placement.blocks:
        sizes = (
            (num_embeddings,) * len(block.ranks)
            if replicated
            else row_sizes(block, num_embeddings)
        )
        offset = 0
        for rank, rows in zip(block.ranks, sizes, strict=True):
            yield PlacedRectangle(
                rank, offset, rows, block.column_offset, block.num_columns
            )
            offset += 0 if replicated else rows


def row_sizes(block: ColumnBlock, num_embeddings: int) -> tuple[int, ...]:
    """Rows on each of a block's ranks: as given, or ceil(rows / ranks) each."""
    if block.row_sizes is not None:
        return block.row_sizes
    return even_rows(num_embeddings, len(block.ranks))
