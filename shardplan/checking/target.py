"""Shapes that the framework which is to run the plan accepts."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from shardplan.checking.hugectr import hugectr_rules
from shardplan.checking.violation import Violation
from shardplan.plans.cache_groups import reserved_memory
from shardplan.plans.rectangles import rectangles
from shardplan.records.optimizers import FACTS
from shardplan.records.placement import even_rows
from shardplan.records.sharding import ComputeKernel, ShardingType, Target
from shardplan.records.targets import RUNTIMES, optimizer_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.costs.cluster import Cluster
    from shardplan.plans.plan import Plan
    from shardplan.records.placement import ColumnBlock, TablePlacement
    from shardplan.records.tables import EmbeddingTable

_ONE_KERNEL = (
    ComputeKernel.FUSED,
    ComputeKernel.FUSED_UVM,
    ComputeKernel.FUSED_UVM_CACHING,
)
_NO_SETTINGS = {
    "module",
    "table",
    "feature_names",
    "pooling_factors",
    "num_poolings",
    "batch_sizes",
}
"""Fields of a table that do not keep it apart from others in TorchRec."""
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
        messages = list(hugectr_rules(placement, RUNTIMES[target]))
    else:
        messages = []
    for message in messages:
        yield Violation(f"target {target.value}", placement.name, message)


def _torchrec(
    placement: TablePlacement, table: EmbeddingTable, cluster: Cluster
) -> Iterator[str]:
    kind, runtime = placement.sharding_type, RUNTIMES[Target.TORCHREC]
    if kind not in runtime.sharding_types:
        yield f"there is no {kind.value} sharding"
    if placement.compute_kernel not in runtime.kernels:
        yield f"there is no kernel {placement.compute_kernel.value!r}"
    if not table.is_pooled:
        yield from _torchrec_sequences(kind, cluster)
    types = runtime.cpu_row_types if cluster.is_cpu else runtime.row_types
    if placement.dtype not in types:
        known = ", ".join(sorted(dtype.value for dtype in types))
        yield f"rows are trained as {known}, not as {placement.dtype.value}"
    buckets = table.torchrec.num_buckets if table.torchrec else None
    for block in placement.blocks:
        if kind in _ROW_CUT and buckets and buckets % len(block.ranks):
            count = len(block.ranks)
            yield f"{buckets} buckets of ids are not a multiple of {count} ranks"
        if kind is not ShardingType.DATA_PARALLEL and block.num_columns % 4:
            yield f"column shards are multiples of 4, got {block.num_columns}"
        if placement.sharding_type in _ROW_CUT:
            yield from _torchrec_rows(placement, block, table, cluster)
    yield from _torchrec_widths(placement)


def _torchrec_sequences(kind: ShardingType, cluster: Cluster) -> Iterator[str]:
    runtime = RUNTIMES[Target.TORCHREC]
    if kind not in runtime.sequence_types:
        yield f"sequence embeddings cannot be {kind.value}"
    elif cluster.is_cpu and kind not in runtime.cpu_sequence_types:
        yield f"on CPUs sequence embeddings are wrong, or stop, as {kind.value}"


def _torchrec_widths(placement: TablePlacement) -> Iterator[str]:
    widths: dict[int, set[int]] = defaultdict(set)
    for block in placement.blocks:
        for rank in block.ranks:
            widths[rank].add(block.num_columns)
    mixed = sorted(rank for rank, found in widths.items() if len(found) > 1)
    if mixed:
        yield (
            f"rank {mixed[0]} holds shards of {sorted(widths[mixed[0]])} columns; "
            "those of one rank need one width"
        )


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
        yield _beyond_host(placement.sharding_type, block, cluster)
    if block.row_sizes is not None and block.row_sizes != even_rows(rows, count):
        yield "row shards are ceil(rows / ranks) each; others train on wrong rows"
    if cluster.is_cpu and 0 in even_rows(rows, count):
        yield (
            f"{rows} rows leave a rank of {count} without one; FBGEMM's kernels for "
            "CPUs then train other tables wrongly, or stop"
        )


def _beyond_host(kind: ShardingType, block: ColumnBlock, cluster: Cluster) -> str:
    rule = f"{kind.value} uses all ranks of one host in order"
    known = [rank for rank in block.ranks if rank < cluster.world_size]
    hosts = len(set(cluster.rank_host[known].tolist()))
    if hosts < 2:
        return rule
    return f"{rule}, these are of {hosts} hosts: solve with target torchrec"


def check_optimizer(plan: Plan, target: Target) -> Iterator[Violation]:
    """Refuse an optimizer that a framework does not have."""
    replicas = plan.inputs.topology.replicas
    rule = optimizer_rule(plan.inputs.workload, target, replicas)
    if rule is not None:
        optimizer = plan.inputs.workload.optimizer.value
        yield Violation(f"target {target.value}", "", f"{optimizer}: {rule}")
    if RUNTIMES[target].runs_fbgemm:
        yield from _fbgemm_optimizer(plan, target)


def _fbgemm_optimizer(plan: Plan, target: Target) -> Iterator[Violation]:
    """Refuse kernels that FBGEMM does not have for the optimizer."""
    optimizer, hosts = plan.inputs.workload.optimizer, plan.inputs.topology.host_groups
    is_cpu = hosts[0].device.kind == "cpu"
    for placement in plan.tables:
        kernel, where = placement.compute_kernel, ""
        if kernel is ComputeKernel.KEY_VALUE and not FACTS[optimizer].on_ssd:
            where = "rows on SSD"
        elif kernel is not ComputeKernel.DENSE and is_cpu:
            where = "" if FACTS[optimizer].on_cpu else "ranks on CPUs"
        if where:
            message = f"FBGEMM has no {optimizer.value} for {where}"
            yield Violation(f"target {target.value}", placement.name, message)


def check_rowless_ranks(plan: Plan, target: Target) -> Iterator[Violation]:
    """Refuse row-cut tables that leave a rank without a single row.

    TorchRec fuses the row shards of a rank by module, sharding type, kernel, row type
    and settings; a rank may miss rows of a table, but not of all that it fuses.
    """
    if target is not Target.TORCHREC:
        return
    tables = {table.name: table for table in plan.inputs.workload.tables}
    rows: dict[tuple[object, ...], dict[int, int]] = defaultdict(dict)
    names: dict[tuple[object, ...], str] = {}
    reserved = reserved_memory(plan)
    for placement in plan.tables:
        if placement.sharding_type not in _ROW_CUT:
            continue
        table = tables[placement.name]
        key = (*_fused_with(placement, table), reserved.get(placement.name))
        for shard in rectangles(placement, table.num_embeddings):
            rows[key][shard.rank] = rows[key].get(shard.rank, 0) + shard.num_rows
            if not shard.num_rows:
                names.setdefault(key, placement.name)
    for key, on_rank in rows.items():
        empty = sorted(rank for rank, count in on_rank.items() if not count)
        if empty:
            message = (
                f"rank {empty[0]} gets no row of any {key[1]} table that TorchRec "
                "fuses with this one; it needs a larger one there"
            )
            yield Violation(f"target {target.value}", names[key], message)


def _fused_with(placement: TablePlacement, table: EmbeddingTable) -> tuple[object, ...]:
    """Return what tables that TorchRec surely fuses have in common."""
    kernel, given = placement.compute_kernel, table.torchrec
    is_prefetched = given is not None and given.cache and given.cache.prefetch_pipeline
    return (
        table.torchrec_module,
        placement.sharding_type.value,
        ComputeKernel.FUSED if kernel in _ONE_KERNEL else kernel,
        placement.dtype,
        table.embedding_dim if is_prefetched else None,
        given and given.model_dump_json(exclude=_NO_SETTINGS),
    )
