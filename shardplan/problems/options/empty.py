"""Which rule leaves a table without an option, replayed from the menu's own rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.costs.scopes import Scope, scopes_of
from shardplan.problems.options.rules import (
    Allowed,
    allowed,
    columns,
    culprit,
    dtype_rules,
    kernel_rules,
    padded,
    type_rules,
)
from shardplan.problems.options.structures import (
    COLUMN_UNIT,
    Structure,
    is_offered,
    structures,
    variants,
)
from shardplan.records.placement import rows_each
from shardplan.records.sharding import ComputeKernel, ShardingType
from shardplan.records.targets import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.costs.cluster import Cluster
    from shardplan.records.tables import EmbeddingTable, TableConstraints
    from shardplan.records.targets import Runtime
    from shardplan.records.workload import Optimizer

_COLUMN_CUT = (
    ShardingType.COLUMN_WISE,
    ShardingType.TABLE_COLUMN_WISE,
    ShardingType.GRID_SHARD,
)
_DENSE = frozenset({ComputeKernel.DENSE})


def why_empty(
    table: EmbeddingTable,
    limits: TableConstraints,
    cluster: Cluster,
    runtime: Runtime,
    optimizer: Optimizer,
) -> str | None:
    """Say which rule leaves a table no option; None if only memory can.

    Returns
    -------
    str or None
        A sentence about the table, which begins with ``has`` or a subject of its own.
    """
    reason = (
        culprit(type_rules(table, limits, cluster, runtime))
        or culprit(kernel_rules(limits, cluster, runtime, optimizer))
        or culprit(dtype_rules(table, limits, cluster, runtime))
    )
    if reason is not None:
        return reason
    rest = allowed(table, limits, cluster, runtime, optimizer)
    cuts = structures(
        table.embedding_dim,
        rest.types,
        limits.min_column_width,
        cluster,
        runtime,
        every_count=True,
    )
    places = variants(rest.kernels, rest.dtypes, limits.cache_load_factor)
    offered = [
        cut
        for cut in cuts
        if any(is_offered(cut, place, cut_rows=True) for place in places)
    ]
    if not offered:
        reasons = dict.fromkeys(
            _why_not(kind, cuts, rest, table, limits, cluster, runtime)
            for kind in ShardingType
            if kind in rest.types
        )
        return "; ".join(reasons)
    if not any(_is_full(cut, table.num_embeddings) for cut in offered):
        return f"has {table.num_embeddings} rows, fewer than the shards of any cut left"
    return None


def _is_full(cut: Structure, rows: int) -> bool:
    """Whether no row shard is empty."""
    return (cut.row_shards - 1) * rows_each(rows, cut.row_shards) < rows


def _why_not(
    kind: ShardingType,
    cuts: list[Structure],
    rest: Allowed,
    table: EmbeddingTable,
    limits: TableConstraints,
    cluster: Cluster,
    runtime: Runtime,
) -> str:
    """Say why a type that is allowed is not offered."""
    if not any(cut.sharding_type is kind for cut in cuts):
        width = _why_whole(kind, table.embedding_dim, limits, cluster, runtime)
        return width or f"{kind.value} needs several ranks{_where(kind)}"
    if kind is ShardingType.DATA_PARALLEL:
        only = f"{kind.value} only exists with kernel {ComputeKernel.DENSE.value}"
        return f"{only}; allowed here: {listed(rest.kernels)}"
    assert rest.kernels == _DENSE
    only = f"kernel {ComputeKernel.DENSE.value} only exists with data_parallel"
    return f"{only}; allowed here: {listed(rest.types)}"


def _where(kind: ShardingType) -> str:
    """Say which ranks a type needs, if not any."""
    places = [scope.name for scope in scopes_of(kind)]
    if kind is ShardingType.TABLE_COLUMN_WISE:
        places = [Scope.HOST.name]
    return f" in one {' or '.join(places)}" if places else ""


def _why_whole(
    kind: ShardingType,
    dim: int,
    limits: TableConstraints,
    cluster: Cluster,
    runtime: Runtime,
) -> str | None:
    """Say why columns cannot be cut, if it is for their number."""
    if kind not in _COLUMN_CUT or cluster.world_size == 1:
        return None
    rules = _width_rules(dim, limits.min_column_width or COLUMN_UNIT, cluster, runtime)
    rule = next(rules, None)
    return f"has {columns(dim)}: {rule}" if rule else None


def _width_rules(
    dim: int, narrowest: int, cluster: Cluster, runtime: Runtime
) -> Iterator[str]:
    if dim % COLUMN_UNIT:
        yield f"columns are cut in multiples of {COLUMN_UNIT}; pad to {padded(dim)}"
    if dim < 2 * COLUMN_UNIT:
        yield f"a column shard has {COLUMN_UNIT} at least"
    if dim < 2 * padded(narrowest):
        yield f"min_column_width {narrowest} leaves one shard"
    if runtime.slices_evenly:
        yield (
            f"{runtime.name} cuts columns into equal slices, and no number of them "
            f"from 2 to {cluster.world_size} (ranks) gives multiples of {COLUMN_UNIT}"
        )
