"""How the shards of a table get from one plan to the next, each of them as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shardplan.costs.memory import storage
from shardplan.plans.rectangles import rectangles

if TYPE_CHECKING:
    from shardplan.plans.rectangles import PlacedRectangle
    from shardplan.records.placement import TablePlacement
    from shardplan.records.tables import EmbeddingTable
    from shardplan.records.workload import Optimizer

Cut = tuple[int, int, int, int]


class ShardMove(NamedTuple):
    """One shard and its ranks in two plans, which are one where it stays.

    Attributes
    ----------
    source, destination : int
        Ranks before and after.
    num_bytes : float
        Its rows and their optimizer state [bytes].
    """

    source: int
    destination: int
    row_offset: int
    num_rows: int
    column_offset: int
    num_columns: int
    num_bytes: float


def has_same_cut(
    before: TablePlacement, after: TablePlacement, num_embeddings: int
) -> bool:
    """Say whether two placements cut a table into the same shards."""
    old, new = (
        sorted(_cut(shard) for shard in rectangles(placement, num_embeddings))
        for placement in (before, after)
    )
    return old == new


def shard_moves(
    before: TablePlacement,
    after: TablePlacement,
    table: EmbeddingTable,
    optimizer: Optimizer,
) -> list[ShardMove]:
    """List all shards of a table that both plans cut alike, in the order of the first.

    Parameters
    ----------
    before, after : TablePlacement
        With the same cut (see `has_same_cut`); none is `data_parallel`.
    optimizer : Optimizer
        The one that runs: its state goes along.
    """
    rows = table.num_embeddings
    rank = {_cut(shard): shard.rank for shard in rectangles(after, rows)}
    return [
        ShardMove(
            shard.rank,
            rank[_cut(shard)],
            *_cut(shard),
            num_bytes=shard_bytes(shard, table, optimizer),
        )
        for shard in rectangles(before, rows)
    ]


def shard_bytes(
    shard: PlacedRectangle, table: EmbeddingTable, optimizer: Optimizer
) -> float:
    """Return the bytes of a shard's rows, as they are stored, and of their state.

    Notes
    -----
    rows * (row_bytes(columns) + state_bytes(columns)): a shard of columns has its own
    state per row.
    """
    row = storage.row_bytes(table.dtype, shard.num_columns)
    return shard.num_rows * float(
        row + storage.state_bytes(optimizer, shard.num_columns)
    )


def _cut(shard: PlacedRectangle) -> Cut:
    return (
        shard.row_offset,
        shard.num_rows,
        shard.column_offset,
        shard.num_columns,
    )
