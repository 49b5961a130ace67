"""Enumerate the legal ways to shard each table, priced, as flat arrays."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from shardplan.costs.shards import ShardArrays
from shardplan.problems.options.arrays import (
    SHARDING_TYPES,
    Options,
    concatenate,
    offsets,
)
from shardplan.problems.options.prune import PricedOptions, Pruner
from shardplan.problems.options.rules import Allowed, allowed
from shardplan.problems.options.structures import is_offered, structures, variants
from shardplan.problems.options.template import Template
from shardplan.records.memo import by_identity
from shardplan.records.placement import rows_each
from shardplan.records.row_heat import RowRouting
from shardplan.records.sharding import ComputeKernel, Objective, ShardingType, Target
from shardplan.records.targets import RUNTIMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from shardplan.costs.cluster import Cluster
    from shardplan.costs.memory.capacity import Capacity
    from shardplan.costs.pricer import Pricer
    from shardplan.costs.usage import TableUsage
    from shardplan.records.arrays import Bools, Ints
    from shardplan.records.tables import DType, TableConstraints
    from shardplan.records.workload import Workload


_ROOMY = 0.7
_NEGLIGIBLE = 0.01
_SMALL = 1 / 16
_CHUNK_ITEMS = 20_000
"""Items priced at once, so that intermediate results stay in the cache."""
_IN_DDR = {ComputeKernel.FUSED_UVM_CACHING, ComputeKernel.FUSED_UVM}
_ON_SSD = {ComputeKernel.KEY_VALUE}
_DATA_PARALLEL = SHARDING_TYPES.index(ShardingType.DATA_PARALLEL)


class _Kind(NamedTuple):
    """What tables that are offered the same tiers need to have one template."""

    dim: int
    dtype: DType
    is_pooled: bool
    num_buckets: int | None
    constraints: TableConstraints
    is_together: bool
    has_blocks: bool


class _Offer(NamedTuple):
    """What some tables of a kind are offered of slower tiers; see `Offload`."""

    to_ddr: bool
    to_ssd: bool
    cut_rows: bool


@dataclass(frozen=True, eq=False)
class Offload:
    """What tables are offered of slower tiers, bool arrays (T,).

    Attributes
    ----------
    to_ddr, to_ssd
        Rows may live there.
    cut_rows
        Such rows may be cut over ranks: tables of more than `_SMALL` of a rank's HBM.
    """

    to_ddr: Bools
    to_ssd: Bools
    cut_rows: Bools

    @classmethod
    def everything(cls, usage: TableUsage, capacity: Capacity) -> Self:
        """Offer every tier to every table."""
        everyone = np.ones(len(usage.num_embeddings), dtype=bool)
        return cls(everyone, everyone, _cut_rows(usage, capacity))

    @classmethod
    def of(cls, usage: TableUsage, capacity: Capacity) -> Self:
        """Offer a tier only if the faster ones may run short, and to what matters.

        Notes
        -----
        A slower tier never saves time, so it is left out while all tables fill less
        than `_ROOMY` of the faster tiers, and for the smallest tables that together
        fill less than `_NEGLIGIBLE` of HBM. This keeps menus small; a planner that
        finds nothing asks again for all tiers.
        """
        stored = usage.stored_bytes
        hbm, ddr = capacity.rank_hbm.sum(), capacity.pool_ddr.sum()
        order = np.argsort(stored, kind="stable")
        matters = np.zeros(len(stored), dtype=bool)
        matters[order] = np.cumsum(stored[order]) > _NEGLIGIBLE * hbm
        return cls(
            matters & bool(stored.sum() > _ROOMY * hbm),
            matters & bool(stored.sum() > _ROOMY * (hbm + ddr)),
            _cut_rows(usage, capacity),
        )


def _cut_rows(usage: TableUsage, capacity: Capacity) -> Bools:
    """Tables whose rows may be cut in slower tiers too; companions may need it."""
    is_large = usage.stored_bytes > _SMALL * capacity.rank_hbm.min()
    return np.asarray(is_large | _colocated(usage.workload))


def enumerate_options(
    usage: TableUsage,
    cluster: Cluster,
    pricer: Pricer,
    capacity: Capacity,
    target: Target = Target.ANY,
    objective: Objective = Objective.STEP,
    *,
    all_tiers: bool = False,
    go_on: Callable[[], None] = lambda: None,
) -> Options:
    """Build the menu: every legal option that fits somewhere and is not dominated.

    A table that no option fits keeps an empty range in `start`; the problem turns
    that into an explanation.

    Parameters
    ----------
    all_tiers : bool
        Offer DDR and SSD to every table, not only where memory could run short.
    go_on : callable
        Is called now and then; raises to end it.
    """
    together = _colocated(usage.workload)
    offload = (
        Offload.everything(usage, capacity)
        if all_tiers
        else Offload.of(usage, capacity)
    )
    pruner = Pruner(cluster, capacity, objective)
    num_tables = len(usage.num_embeddings)
    parts = []
    for template, members in _templates(usage, cluster, target, offload):
        step = max(1, _CHUNK_ITEMS // len(template.item_option))
        for first in range(0, len(members), step):
            go_on()
            some = members[first : first + step]
            candidates = _price(some, template, usage, pricer)
            keep = pruner.keep(candidates, template, together[some])
            parts.append(_menu(candidates, template, keep, num_tables))
    return concatenate(parts, num_tables)


def _colocated(workload: Workload) -> Bools:
    names = {name for group in workload.colocate for name in group}
    return np.array([table.name in names for table in workload.tables])


def _templates(
    usage: TableUsage, cluster: Cluster, target: Target, offload: Offload
) -> Iterator[tuple[Template, Ints]]:
    """Yield the options of each kind of table, and the tables of that kind."""
    workload, runtime = usage.workload, RUNTIMES[target]
    for kind, offer, members in _offered(workload, offload):
        table, limits = workload.tables[members[0]], kind.constraints
        rest = allowed(table, limits, cluster, runtime, workload.optimizer)
        kernels = _kernels(limits, offer, rest)
        places = variants(kernels, rest.dtypes, limits.cache_load_factor)
        cuts = structures(
            kind.dim,
            rest.types,
            limits.min_column_width,
            cluster,
            runtime,
            every_count=kind.is_together,
            are_few=len(workload.tables) < cluster.world_size,
            has_blocks=kind.has_blocks,
        )
        pairs = [
            (cut, place)
            for cut in cuts
            for place in places
            if is_offered(cut, place, cut_rows=offer.cut_rows)
        ]
        if pairs:
            yield Template.of(kind.dim, pairs), members


def _offered(
    workload: Workload, offload: Offload
) -> Iterator[tuple[_Kind, _Offer, Ints]]:
    """Yield the tables of each kind that are offered the same tiers."""
    for kind, members in _kinds(workload):
        cut_rows = offload.cut_rows[members] | (not _may_stay(kind.constraints))
        offers = (offload.to_ddr[members], offload.to_ssd[members], cut_rows)
        own = [_Offer(*row) for row in zip(*(o.tolist() for o in offers), strict=True)]
        for offer in dict.fromkeys(own):
            yield kind, offer, members[[some == offer for some in own]]


@by_identity
def _kinds(workload: Workload) -> tuple[tuple[_Kind, Ints], ...]:
    """List the kinds of tables, and the tables of each."""
    kinds: defaultdict[_Kind, list[int]] = defaultdict(list)
    together = _colocated(workload)
    for index, table in enumerate(workload.tables):
        kind = _Kind(
            table.embedding_dim,
            table.dtype,
            table.is_pooled,
            table.torchrec.num_buckets if table.torchrec else None,
            workload.table_constraints(table),
            is_together=bool(together[index]),
            has_blocks=bool(table.block_heat)
            or workload.routing(table) is RowRouting.BLOCKS,
        )
        kinds[kind].append(index)
    return tuple((kind, np.array(members)) for kind, members in kinds.items())


def _kernels(
    limits: TableConstraints, offer: _Offer, rest: Allowed
) -> frozenset[ComputeKernel]:
    """Leave out slower tiers that nobody asked for, where they are not needed."""
    if limits.compute_kernels:
        return rest.kernels
    unused = set() if offer.to_ddr else _IN_DDR
    return rest.kernels - unused - (set() if offer.to_ssd else _ON_SSD)


def _may_stay(limits: TableConstraints) -> bool:
    """Whether constraints let a table stay in HBM whole."""
    kernels = limits.compute_kernels
    return not kernels or ComputeKernel.FUSED in kernels


def _price(
    members: Ints, template: Template, usage: TableUsage, pricer: Pricer
) -> PricedOptions:
    """Price a template for M tables of its kind."""
    rows = usage.num_embeddings[members][:, None]
    block = rows_each(rows, template.row_shards)
    size, option = len(members), template.item_option

    def tiled(column: NDArray[Any]) -> NDArray[Any]:
        return np.tile(column[option], size)

    table, row_shards = np.repeat(members, len(option)), tiled(template.row_shards)
    weight = tiled(template.heat_weight)
    ids, unique, shard_rows = usage.row_heat.shares(table, row_shards, weight)
    prices = pricer.price(
        ShardArrays(
            table=table,
            sharding_type=tiled(template.sharding_type),
            kernel=tiled(template.kernel),
            dtype=tiled(template.dtype),
            scope=tiled(template.scope),
            columns=np.tile(template.item_columns, size),
            rows=shard_rows,
            row_share=1.0 / row_shards,
            id_share=ids,
            unique_share=unique,
            is_partial=row_shards > 1,
            is_replicated=tiled(template.sharding_type == _DATA_PARALLEL),
            hbm_share=tiled(template.hbm_share),
            ddr_share=tiled(template.ddr_share),
        )
    )
    shape = (size, len(option))
    return PricedOptions(
        tables=members,
        is_full=(template.row_shards - 1) * block < rows,
        cost=prices.cost.reshape(*shape, *prices.cost.shape[1:]),
        tier_bytes=prices.tier_bytes.reshape(*shape, prices.tier_bytes.shape[1]),
    )


def _menu(
    candidates: PricedOptions,
    template: Template,
    keep: Bools,
    num_tables: int,
) -> Options:
    """Lay out the options that are kept, bool array (M, K), as a menu."""
    which, option = np.nonzero(keep)
    table = candidates.tables[which]
    kept_items = keep[:, template.item_option]
    _, item = np.nonzero(kept_items)
    return Options(
        table=table,
        sharding_type=template.sharding_type[option],
        scope=template.scope[option],
        column_shards=template.column_shards[option],
        row_shards=template.row_shards[option],
        kernel=template.kernel[option],
        dtype=template.dtype[option],
        hbm_share=template.hbm_share[option],
        ddr_share=template.ddr_share[option],
        heat_weight=template.heat_weight[option],
        same_host=template.same_host[option],
        apart=template.apart[option],
        start=np.searchsorted(table, np.arange(num_tables + 1)),
        item_start=offsets(np.diff(template.item_start)[option]),
        item_columns=template.item_columns[item],
        item_count=template.item_count[item],
        item_cost=candidates.cost[kept_items],
        item_bytes=candidates.tier_bytes[kept_items],
    )
