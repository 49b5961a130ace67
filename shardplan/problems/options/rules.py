"""Rules that narrow what a table may use; each says what it leaves, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from shardplan.records.optimizers import FACTS
from shardplan.records.sharding import ComputeKernel, ShardingType
from shardplan.records.tables import DType
from shardplan.records.targets import VECTOR_COLUMNS, averaging_rule, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shardplan.costs.cluster import Cluster
    from shardplan.records.tables import EmbeddingTable, TableConstraints
    from shardplan.records.targets import Runtime
    from shardplan.records.workload import Optimizer

_COPIED = frozenset({ShardingType.DATA_PARALLEL})
T = TypeVar("T", ShardingType, ComputeKernel, DType)


class Rule(NamedTuple, Generic[T]):
    """Members that a rule leaves, and a sentence about the table to say why."""

    kept: frozenset[T]
    reason: str


class Allowed(NamedTuple):
    """What constraints and the framework leave a table; its own row type first."""

    types: frozenset[ShardingType]
    kernels: frozenset[ComputeKernel]
    dtypes: tuple[DType, ...]


def allowed(
    table: EmbeddingTable,
    limits: TableConstraints,
    cluster: Cluster,
    runtime: Runtime,
    optimizer: Optimizer,
) -> Allowed:
    """Apply all rules to a table."""
    dtypes = left(dtype_rules(table, limits, cluster, runtime))
    own = dict.fromkeys((table.dtype, *limits.dtypes))
    return Allowed(
        left(type_rules(table, limits, cluster, runtime)),
        left(kernel_rules(limits, cluster, runtime, optimizer)),
        tuple(dtype for dtype in own if dtype in dtypes),
    )


def left(rules: Iterable[Rule[T]]) -> frozenset[T]:
    """Return what all rules leave."""
    return frozenset.intersection(*(rule.kept for rule in rules))


def culprit(rules: Iterable[Rule[T]]) -> str | None:
    """Say which rule leaves nothing of what those before it left, if one does."""
    so_far: frozenset[T] | None = None
    for rule in rules:
        kept = rule.kept if so_far is None else so_far & rule.kept
        if not kept:
            allowed = f"; allowed here: {listed(so_far)}" if so_far else ""
            return rule.reason + allowed
        so_far = kept
    return None


def type_rules(
    table: EmbeddingTable, limits: TableConstraints, cluster: Cluster, runtime: Runtime
) -> Iterator[Rule[ShardingType]]:
    """Yield what narrows a table's sharding types; its own constraints first."""
    yield Rule(frozenset(limits.usable_types), "")
    types = runtime.sharding_types
    yield Rule(types, f"{runtime.name} has only {listed(types)}")
    if not table.is_pooled:
        types = runtime.sequence_types
        name = runtime.name
        yield Rule(types, f"{name} only has {listed(types)} for sequence embeddings")
        if cluster.is_cpu:
            types = runtime.cpu_sequence_types
            yield Rule(types, f"on CPUs {name} only has {listed(types)} for those")
    if cluster.topology.replicas > 1:
        types = runtime.averaged_types
        yield Rule(types, f"{runtime.name} has only {listed(types)} in sharding groups")
    dim = table.embedding_dim
    if not runtime.cuts_narrow_rows and dim % VECTOR_COLUMNS:
        yield Rule(
            _COPIED,
            f"has {columns(dim)}: {runtime.name} only replicates tables whose width is "
            f"no multiple of {VECTOR_COLUMNS}; pad to {padded(dim)} or allow "
            "data_parallel",
        )
    buckets = table.torchrec.num_buckets if table.torchrec else None
    if buckets and runtime.keeps_buckets:
        yield _whole_buckets(buckets, cluster, runtime)


def _whole_buckets(
    buckets: int, cluster: Cluster, runtime: Runtime
) -> Rule[ShardingType]:
    """Leave the row cuts whose ranks divide a table's buckets."""
    world, host = cluster.world_size, int(cluster.host_num_ranks[0])
    ranks = {
        ShardingType.ROW_WISE: world,
        ShardingType.TABLE_ROW_WISE: host,
        ShardingType.GRID_SHARD: host,
    }
    return Rule(
        frozenset(kind for kind in ShardingType if not buckets % ranks.get(kind, 1)),
        f"its ids are hashed into {buckets} buckets (num_buckets), of which "
        f"{runtime.name} gives each rank whole ones; that does not work out for rows "
        f"over {world} ranks: choose a multiple of {world}",
    )


def kernel_rules(
    limits: TableConstraints, cluster: Cluster, runtime: Runtime, optimizer: Optimizer
) -> Iterator[Rule[ComputeKernel]]:
    """Yield what narrows a table's kernels; its own constraints first."""
    by_name = frozenset({ComputeKernel.FUSED_UVM_SPLIT})
    asked = frozenset(limits.compute_kernels) or frozenset(ComputeKernel) - by_name
    yield Rule(asked, "")
    kernels = runtime.kernels
    yield Rule(kernels, f"{runtime.name} has only kernels {listed(kernels)}")
    if cluster.topology.replicas > 1:
        yield Rule(runtime.averaged_kernels, averaging_rule(runtime))
    in_place = frozenset({ComputeKernel.DENSE, ComputeKernel.FUSED})
    if cluster.is_cpu:
        yield Rule(in_place, f"ranks on CPUs have only kernels {listed(in_place)}")
    if not all(group.host.ssd_bytes > 0 for group in cluster.host_groups):
        rest = frozenset(ComputeKernel) - {ComputeKernel.KEY_VALUE}
        yield Rule(rest, "kernel key_value needs SSDs in all hosts (ssd_bytes)")
    if runtime.runs_fbgemm:
        yield from _fbgemm_rules(cluster, optimizer)


def _fbgemm_rules(
    cluster: Cluster, optimizer: Optimizer
) -> Iterator[Rule[ComputeKernel]]:
    """Yield what an optimizer leaves: replicas have one of their own."""
    facts = FACTS[optimizer]
    if cluster.is_cpu and not facts.on_cpu:
        dense = frozenset({ComputeKernel.DENSE})
        yield Rule(dense, f"FBGEMM has no {optimizer.value} for ranks on CPUs")
    if not facts.on_ssd:
        rest = frozenset(ComputeKernel) - {ComputeKernel.KEY_VALUE}
        yield Rule(rest, f"FBGEMM has no {optimizer.value} for rows on SSD")


def dtype_rules(
    table: EmbeddingTable, limits: TableConstraints, cluster: Cluster, runtime: Runtime
) -> Iterator[Rule[DType]]:
    """Yield what narrows a table's row types; its own come first."""
    yield Rule(frozenset((table.dtype, *limits.dtypes)), "")
    types = runtime.row_types
    yield Rule(
        types,
        f"{runtime.name} stores rows as {listed(types)} only; set the table's dtype, "
        "or allow one with constraint dtypes",
    )
    if cluster.is_cpu:
        types = runtime.cpu_row_types
        yield Rule(types, f"{runtime.name} has only {listed(types)} rows on CPUs")
    if table.embedding_dim % 2:
        width = columns(table.embedding_dim)
        rest = frozenset(DType) - {DType.INT4}
        yield Rule(rest, f"has {width}: int4 rows need an even number")


def columns(dim: int) -> str:
    """Write a number of columns."""
    return f"{dim} column" + ("s" if dim != 1 else "")


def padded(dim: int) -> int:
    """Return the least width that can be cut, not below `dim`."""
    return -(-dim // VECTOR_COLUMNS) * VECTOR_COLUMNS
