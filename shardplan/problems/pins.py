"""Pinned and forbidden ranks of tables as masks of the ranks of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope, scopes_of
from shardplan.errors import Fault, InputError
from shardplan.problems.options import rules
from shardplan.records.sharding import ShardingType, Target
from shardplan.records.targets import RUNTIMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.costs.cluster import Cluster
    from shardplan.problems.bundling import Bundles
    from shardplan.records.arrays import Bools
    from shardplan.records.tables import EmbeddingTable, TableConstraints
    from shardplan.records.targets import Runtime
    from shardplan.records.workload import Workload

    Mask = Bools


def allowed_ranks(
    workload: Workload, cluster: Cluster, bundles: Bundles, target: Target
) -> dict[int, Mask]:
    """Turn pinned and forbidden ranks and hosts into masks of ranks per bundle.

    Raises
    ------
    InputError
        If constraints name ranks or hosts that do not exist, leave no rank, or fewer
        than every sharding type that is left needs.
    """
    masks: dict[int, Mask] = {}
    problems: list[Fault] = []
    runtime = RUNTIMES[target]
    for bundle, members in enumerate(bundles.members):
        tables = [workload.tables[index] for index in members]
        pinned = [
            (table, limits)
            for table in tables
            for limits in [workload.table_constraints(table)]
            if limits.ranks or limits.hosts or limits.forbidden_ranks
        ]
        if not pinned:
            continue
        unknown = [p for table in pinned for p in _unknown_places(*table, cluster)]
        mask = np.logical_and.reduce([_mask(limits, cluster) for _, limits in pinned])
        masks[bundle] = mask
        problems += unknown or _too_few(workload, tables, mask, cluster, runtime)
    if problems:
        raise InputError(problems)
    return masks


def _mask(limits: TableConstraints, cluster: Cluster) -> Mask:
    ranks = np.arange(cluster.world_size)
    mask = ~np.isin(ranks, limits.forbidden_ranks)
    if limits.ranks:
        mask &= np.isin(ranks, limits.ranks)
    if limits.hosts:
        mask &= np.isin(cluster.rank_host, limits.hosts)
    return np.asarray(mask)


def _unknown_places(
    table: EmbeddingTable, limits: TableConstraints, cluster: Cluster
) -> Iterator[Fault]:
    """List ranks and hosts of a table's constraints that the cluster does not have."""
    counts = {"ranks": cluster.world_size, "hosts": cluster.num_hosts}
    counts["forbidden_ranks"] = cluster.world_size
    for field, count in counts.items():
        beyond = [place for place in getattr(limits, field) if place >= count]
        if beyond:
            key = f"tables[{table.name}].constraints.{field}"
            rule = f"the topology has {count}, numbered from 0"
            yield Fault("workload", key, str(beyond[:5]), rule)


def _too_few(
    workload: Workload,
    tables: list[EmbeddingTable],
    mask: Mask,
    cluster: Cluster,
    runtime: Runtime,
) -> Iterator[Fault]:
    """Say which tables of a bundle cannot be sharded over the ranks that are left."""
    names = ", ".join(table.name for table in tables[:5])
    key, left = f"tables[{names}].constraints", int(mask.sum())
    if not left:
        rule = "ranks, hosts and forbidden_ranks leave no rank to use"
        yield Fault(workload.name, key, "", rule)
    if not left or left == len(mask):
        return
    for table in tables:
        limits = workload.table_constraints(table)
        types = rules.left(rules.type_rules(table, limits, cluster, runtime))
        if types and all(_need(kind, mask, cluster, runtime) for kind in types):
            key = f"tables[{table.name}].constraints"
            needs = (
                f"{kind.value} needs {_need(kind, mask, cluster, runtime)}"
                for kind in ShardingType
                if kind in types
            )
            rule = (
                f"ranks, hosts and forbidden_ranks leave {left} of {len(mask)} ranks, "
                f"and {'; '.join(needs)}"
            )
            yield Fault(workload.name, key, "", rule)


def _need(
    kind: ShardingType, mask: Mask, cluster: Cluster, runtime: Runtime
) -> str | None:
    """Say which ranks a sharding type needs, if some of them are not left."""
    if kind is ShardingType.DATA_PARALLEL:
        return "all of them"
    if kind is ShardingType.ROW_WISE:
        if not runtime.cuts_rows_anywhere:
            return "all of them"
        return None if mask.sum() > 1 else "two at least"
    scopes = scopes_of(kind)
    if not scopes or runtime.slices_evenly:
        return None
    if not runtime.cuts_rows_anywhere:
        scopes = [Scope.HOST]
    for scope in scopes:
        if np.logical_and.reduceat(mask, cluster.groups(scope).first_rank).any():
            return None
    return "a whole " + " or ".join(scope.name for scope in scopes)
