"""Shapes that the framework which is to run the plan accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.checking.violation import Violation
from shardplan.sharding import ComputeKernel, ShardingType, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.cluster import Cluster
    from shardplan.plan import ColumnBlock, TablePlacement
    from shardplan.tables import EmbeddingTable

_HUGECTR_TYPES = (
    ShardingType.DATA_PARALLEL,
    ShardingType.TABLE_WISE,
    ShardingType.ROW_WISE,
)
_ROW_CUT = (
    ShardingType.ROW_WISE,
    ShardingType.TABLE_ROW_WISE,
    ShardingType.GRID_SHARD,
)


def check_target(
    placement: TablePlacement, table: EmbeddingTable, target: Target, cluster: Cluster
) -> Iterator[Violation]:
    """Check one table's placement against a framework's rules."""
    if target is Target.TORCHREC:
        messages = list(_torchrec(placement, table, cluster))
    elif target is Target.HUGECTR:
        messages = list(_hugectr(placement))
    else:
        messages = []
    for message in messages:
        yield Violation(f"target {target.value}", placement.name, message)


def _torchrec(
    placement: TablePlacement, table: EmbeddingTable, cluster: Cluster
) -> Iterator[str]:
    if placement.compute_kernel is ComputeKernel.FUSED_UVM_SPLIT:
        yield "there is no kernel 'fused_uvm_split'"
    for block in placement.blocks:
        if len(placement.blocks) > 1 and block.num_columns % 4:
            yield f"column shards are multiples of 4, got {block.num_columns}"
        if placement.sharding_type in _ROW_CUT:
            yield from _torchrec_rows(placement, block, table, cluster)


def _torchrec_rows(
    placement: TablePlacement,
    block: ColumnBlock,
    table: EmbeddingTable,
    cluster: Cluster,
) -> Iterator[str]:
    count, rows = len(block.ranks), table.num_embeddings
    everyone = tuple(range(cluster.world_size))
    if placement.sharding_type is ShardingType.ROW_WISE and block.ranks != everyone:
        yield "row_wise uses all ranks in order"
    host = int(cluster.rank_host[min(block.ranks[0], cluster.world_size - 1)])
    first = int(cluster.host_first_rank[host])
    of_host = tuple(range(first, first + int(cluster.host_num_ranks[host])))
    if placement.sharding_type is not ShardingType.ROW_WISE and block.ranks != of_host:
        yield f"{placement.sharding_type.value} uses all ranks of one host in order"
    size = -(-rows // count)
    ceil_blocks = tuple(min(size, max(0, rows - i * size)) for i in range(count))
    if block.row_sizes is not None and block.row_sizes != ceil_blocks:
        yield "row shards are ceil(rows / ranks) each; others train on wrong rows"
    if size * (count - 1) >= rows:
        yield f"{rows} rows over {count} ranks leave ranks empty"


def _hugectr(placement: TablePlacement) -> Iterator[str]:
    if placement.sharding_type not in _HUGECTR_TYPES:
        yield f"there is no {placement.sharding_type.value} sharding"
    if placement.compute_kernel not in (ComputeKernel.DENSE, ComputeKernel.FUSED):
        yield f"there is no kernel {placement.compute_kernel.value!r}"
