"""Every cell of a table is placed exactly once, in the shape its type promises."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from shardplan.checking.violation import Violation
from shardplan.costs.scopes import scopes_of
from shardplan.plans.evaluation import covers_whole_groups
from shardplan.records.sharding import ComputeKernel, ShardingType
from shardplan.records.tables import DType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shardplan.costs.cluster import Cluster
    from shardplan.costs.scopes import Groups
    from shardplan.records.placement import ColumnBlock, TablePlacement, TierSplit
    from shardplan.records.tables import EmbeddingTable
    from shardplan.records.targets import Runtime

_SINGLE_BLOCK = (
    ShardingType.DATA_PARALLEL,
    ShardingType.TABLE_WISE,
    ShardingType.ROW_WISE,
    ShardingType.TABLE_ROW_WISE,
)
_SINGLE_RANK = (
    ShardingType.TABLE_WISE,
    ShardingType.COLUMN_WISE,
    ShardingType.TABLE_COLUMN_WISE,
)


def check_geometry(
    placement: TablePlacement,
    table: EmbeddingTable,
    cluster: Cluster,
    runtime: Runtime,
) -> Iterator[Violation]:
    """Check columns, rows, ranks, shape and tiers of one table's placement."""
    messages = list(_columns(placement, table.embedding_dim))
    for block in placement.blocks:
        messages += _rows(placement, block, table.num_embeddings)
        messages += _ranks(block, cluster)
    if not messages:
        messages += _shape(placement, cluster, runtime)
        if not runtime.slices_evenly:
            messages += _groups(placement, cluster)
    for message in messages:
        yield Violation("coverage", placement.name, message)
    for message in _tiers(placement, cluster):
        yield Violation("tiers", placement.name, message)


def _columns(placement: TablePlacement, dim: int) -> Iterator[str]:
    end = 0
    for block in sorted(
        placement.blocks, key=lambda b: (b.column_offset, b.num_columns)
    ):
        if block.column_offset > end:
            yield f"columns {end}-{block.column_offset - 1} are on no rank"
        elif block.column_offset < end:
            yield f"columns {block.column_offset}-{end - 1} are placed twice"
        end = max(end, block.column_offset + block.num_columns)
    if end < dim:
        yield f"columns {end}-{dim - 1} are on no rank"
    elif end > dim:
        yield f"columns reach {end - 1}, but the table has {dim}"


def _rows(placement: TablePlacement, block: ColumnBlock, rows: int) -> Iterator[str]:
    if block.row_sizes is None:
        return
    if placement.sharding_type is ShardingType.DATA_PARALLEL:
        yield "row_sizes are not allowed for data_parallel, where ranks hold all rows"
    elif len(block.row_sizes) != len(block.ranks):
        yield f"{len(block.row_sizes)} row_sizes for {len(block.ranks)} ranks"
    elif sum(block.row_sizes) != rows:
        yield f"row_sizes add up to {sum(block.row_sizes)}, the table has {rows} rows"


def _ranks(block: ColumnBlock, cluster: Cluster) -> Iterator[str]:
    if max(block.ranks) >= cluster.world_size:
        yield f"rank {max(block.ranks)} does not exist: world size {cluster.world_size}"
    twice = repeated(block.ranks)
    if twice:
        yield f"ranks {twice[:5]} hold two row shards of the same columns"


def repeated(ranks: Iterable[int]) -> list[int]:
    """Return the ranks that occur more than once, in order."""
    ranks = tuple(ranks)
    if len(set(ranks)) == len(ranks):
        return []
    return sorted(rank for rank, number in Counter(ranks).items() if number > 1)


def _shape(
    placement: TablePlacement, cluster: Cluster, runtime: Runtime
) -> Iterator[str]:
    kind, blocks = placement.sharding_type, placement.blocks
    by_slice = kind is ShardingType.ROW_WISE and runtime.cuts_rows_anywhere
    if kind in _SINGLE_BLOCK and len(blocks) > 1 and not by_slice:
        yield f"{kind.value} keeps columns together, but there are {len(blocks)} blocks"
    if by_slice and len(blocks) > 1 and any(len(block.ranks) < 2 for block in blocks):
        yield f"{kind.value} cuts rows, but a block of columns is on one rank"
    if kind in _SINGLE_RANK and any(len(block.ranks) > 1 for block in blocks):
        yield f"{kind.value} does not cut rows, but a block is on several ranks"
    if kind is ShardingType.DATA_PARALLEL and any(
        len(block.ranks) < cluster.world_size for block in blocks
    ):
        yield "data_parallel needs a copy on every rank"
    if kind is ShardingType.TABLE_COLUMN_WISE:
        hosts = {int(cluster.rank_host[block.ranks[0]]) for block in blocks}
        if len(hosts) > 1:
            yield f"table_column_wise must stay on one host, but uses {sorted(hosts)}"


def _groups(placement: TablePlacement, cluster: Cluster) -> Iterator[str]:
    """Rows of some types are reduced inside the groups of a scope: over all of one."""
    scopes = scopes_of(placement.sharding_type)
    names = " or ".join(scope.name for scope in scopes)
    for block in placement.blocks if scopes else ():
        if not any(_is_whole_group(block, cluster.groups(scope)) for scope in scopes):
            yield (
                f"{placement.sharding_type.value} cuts rows over all ranks of one "
                f"{names}, which {list(block.ranks)[:5]}... are not"
            )


def _is_whole_group(block: ColumnBlock, groups: Groups) -> bool:
    return covers_whole_groups(block.ranks, groups.of_rank)


def _tiers(placement: TablePlacement, cluster: Cluster) -> Iterator[str]:
    """Check that a kernel's rows are where the kernel keeps them."""
    kernel, tiers = placement.compute_kernel, placement.tiers
    replicated = placement.sharding_type is ShardingType.DATA_PARALLEL
    if replicated != (kernel is ComputeKernel.DENSE):
        yield "kernel 'dense' goes with data_parallel, and only with it"
    if not _split_fits(kernel, tiers, is_cpu=cluster.is_cpu):
        yield (
            f"kernel {kernel.value!r} cannot have hbm={tiers.hbm}, ddr={tiers.ddr}, "
            f"ssd={tiers.ssd}"
        )
    if placement.dtype in (DType.INT4,) and any(
        block.num_columns % 2 for block in placement.blocks
    ):
        yield "int4 rows need an even number of columns"


def _split_fits(kernel: ComputeKernel, tiers: TierSplit, *, is_cpu: bool) -> bool:
    split = (tiers.hbm, tiers.ddr, tiers.ssd)
    if is_cpu:
        in_memory = (ComputeKernel.DENSE, ComputeKernel.FUSED)
        return kernel in in_memory and split == (0, 1, 0)
    if kernel in (ComputeKernel.DENSE, ComputeKernel.FUSED):
        return split == (1, 0, 0)
    if kernel is ComputeKernel.FUSED_UVM:
        return split == (0, 1, 0)
    if kernel is ComputeKernel.FUSED_UVM_CACHING:
        return 0 < tiers.hbm <= 1 and split[1:] == (1, 0)
    if kernel is ComputeKernel.FUSED_UVM_SPLIT:
        return 0 <= tiers.hbm <= 1 and abs(sum(split) - 1) < 1e-9 and tiers.ssd == 0
    return 0 < tiers.hbm <= 1 and tiers.ssd == 1
