"""Join column shards of a table that meet on the same ranks."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shardplan.plan import ColumnBlock, TablePlacement


def merged_columns(placement: TablePlacement) -> TablePlacement:
    """Return the placement with one block of columns per set of ranks.

    Notes
    -----
    Two narrow shards side by side read the ids twice, so one shard is never slower,
    and TorchRec cannot hold two shards of different widths on one rank. Which
    columns are where is free, so the blocks are laid out anew, in order.
    """
    by_ranks: dict[tuple[int, ...], list[ColumnBlock]] = defaultdict(list)
    for block in placement.blocks:
        by_ranks[block.ranks].append(block)
    if len(by_ranks) == len(placement.blocks):
        return placement
    blocks, offset = [], 0
    for same in by_ranks.values():
        width = sum(block.num_columns for block in same)
        change = {"column_offset": offset, "num_columns": width}
        blocks.append(same[0].model_copy(update=change))
        offset += width
    return placement.model_copy(update={"blocks": tuple(blocks)})
