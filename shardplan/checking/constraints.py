"""The workload's constraints on single tables and on groups of tables."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from shardplan.checking.violation import Violation
from shardplan.records.sharding import CACHING_KERNELS, ComputeKernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.costs.cluster import Cluster
    from shardplan.plans.plan import Plan
    from shardplan.records.placement import TablePlacement
    from shardplan.records.tables import EmbeddingTable, TableConstraints
    from shardplan.records.workload import Workload


def check_constraints(
    placement: TablePlacement,
    table: EmbeddingTable,
    workload: Workload,
    cluster: Cluster,
) -> Iterator[Violation]:
    """Check one table's placement against its constraints."""
    limits = workload.table_constraints(table)
    messages = [*_kinds(placement, table, limits), *_ranks(placement, limits, cluster)]
    for message in messages:
        yield Violation("constraint", placement.name, message)


def _kinds(
    placement: TablePlacement, table: EmbeddingTable, limits: TableConstraints
) -> Iterator[str]:
    allowed = limits.sharding_types
    if allowed and placement.sharding_type not in allowed:
        yield f"{placement.sharding_type.value} is not among {_list(allowed)}"
    if placement.sharding_type in limits.forbidden_sharding_types:
        yield f"{placement.sharding_type.value} is forbidden"
    kernels = limits.compute_kernels
    if kernels and placement.compute_kernel not in kernels:
        yield f"kernel {placement.compute_kernel.value} is not among {_list(kernels)}"
    if not kernels and placement.compute_kernel is ComputeKernel.FUSED_UVM_SPLIT:
        yield "kernel fused_uvm_split must be allowed by name"
    if placement.dtype not in (table.dtype, *limits.dtypes):
        yield f"dtype {placement.dtype.value} is not allowed"
    width = limits.min_column_width or 1
    for block in placement.blocks:
        if block.num_columns < min(width, table.embedding_dim):
            yield f"a shard has {block.num_columns} columns, at least {width} are asked"
    factor = limits.cache_load_factor
    cached = (*CACHING_KERNELS, ComputeKernel.FUSED_UVM_SPLIT)
    if factor and placement.compute_kernel in cached and placement.tiers.hbm != factor:
        yield f"cache_load_factor is {placement.tiers.hbm}, asked for {factor}"


def _ranks(
    placement: TablePlacement, limits: TableConstraints, cluster: Cluster
) -> Iterator[str]:
    if not (limits.ranks or limits.hosts or limits.forbidden_ranks):
        return
    used = {rank for block in placement.blocks for rank in block.ranks}
    used = {rank for rank in used if rank < cluster.world_size}
    outside = sorted(used - set(limits.ranks)) if limits.ranks else []
    if outside:
        yield f"ranks {outside[:5]} are not among the pinned ranks"
    if limits.hosts:
        hosts = {int(cluster.rank_host[rank]) for rank in used} - set(limits.hosts)
        if hosts:
            yield f"hosts {sorted(hosts)[:5]} are not among the pinned hosts"
    forbidden = sorted(used & set(limits.forbidden_ranks))
    if forbidden:
        yield f"ranks {forbidden[:5]} are forbidden"


def check_groups(plan: Plan) -> Iterator[Violation]:
    """Check that colocated tables share their ranks and separated ones do not."""
    workload = plan.inputs.workload
    named = {
        name for group in (*workload.colocate, *workload.separate) for name in group
    }
    ranks = {
        placement.name: {rank for block in placement.blocks for rank in block.ranks}
        for placement in plan.tables
        if placement.name in named
    }
    for group in plan.inputs.workload.colocate:
        for name in group[1:]:
            if ranks[name] != ranks[group[0]]:
                yield Violation(
                    "colocate", name, f"is not on the same ranks as {group[0]}"
                )
    for group in plan.inputs.workload.separate:
        for one, other in combinations(group, 2):
            shared = sorted(ranks[one] & ranks[other])
            if shared:
                yield Violation(
                    "separate", one, f"shares ranks {shared[:5]} with {other}"
                )


def _list(values: tuple[object, ...]) -> str:
    return ", ".join(str(value) for value in values)
