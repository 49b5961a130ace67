"""Enumerate the legal ways to shard each table, priced, as flat arrays."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.costs.pricing import price
from shardplan.costs.shards import KERNELS, ShardArrays
from shardplan.options.arrays import SHARDING_TYPES, Options, concatenate, offsets
from shardplan.options.prune import prune
from shardplan.options.structures import (
    COLUMN_UNIT,
    Structure,
    Variant,
    structures,
    variants,
)
from shardplan.sharding import ComputeKernel, Scope, ShardingType, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from shardplan.cluster import Cluster
    from shardplan.costs.capacity import Capacity
    from shardplan.costs.rates import ClassRates
    from shardplan.costs.usage import TableUsage

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_ROOMY = 0.7
_NEGLIGIBLE = 0.01
_CHUNK_OPTIONS = 200_000


@dataclass(frozen=True, eq=False)
class Offload:
    """Which tables are offered slower tiers by default, bool arrays (T,)."""

    to_ddr: NDArray[np.bool_]
    to_ssd: NDArray[np.bool_]

    @classmethod
    def everything(cls, usage: TableUsage) -> Self:
        """Offer every tier to every table."""
        everyone = np.ones(len(usage.num_embeddings), dtype=bool)
        return cls(everyone, everyone)

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
        hbm, ddr = capacity.rank_hbm.sum(), capacity.host_ddr.sum()
        order = np.argsort(stored, kind="stable")
        matters = np.zeros(len(stored), dtype=bool)
        matters[order] = np.cumsum(stored[order]) > _NEGLIGIBLE * hbm
        return cls(
            matters & bool(stored.sum() > _ROOMY * hbm),
            matters & bool(stored.sum() > _ROOMY * (hbm + ddr)),
        )


def enumerate_options(
    usage: TableUsage,
    cluster: Cluster,
    rates: ClassRates,
    capacity: Capacity,
    target: Target = Target.ANY,
    *,
    all_tiers: bool = False,
) -> Options:
    """Build the menu: every legal option that fits somewhere and is not dominated.

    A table that no option fits keeps an empty range in `start`; the problem turns
    that into an explanation.

    Parameters
    ----------
    all_tiers : bool
        Offer DDR and SSD to every table, not only where memory could run short.
    """
    together = _colocated(usage)
    offload = Offload.everything(usage) if all_tiers else Offload.of(usage, capacity)
    parts = [
        prune(chunk, cluster, capacity, together)
        for chunk in _chunks(usage, cluster, rates, target, offload)
    ]
    return concatenate(parts, len(usage.num_embeddings))


def _colocated(usage: TableUsage) -> NDArray[np.bool_]:
    names = {name for group in usage.workload.colocate for name in group}
    return np.array([table.name in names for table in usage.workload.tables])


def _chunks(
    usage: TableUsage,
    cluster: Cluster,
    rates: ClassRates,
    target: Target,
    offload: Offload,
) -> Iterator[Options]:
    """Yield unpruned menus of some tables each, in no particular order."""
    kinds: dict[tuple[object, ...], list[int]] = defaultdict(list)
    workload = usage.workload
    for index, table in enumerate(workload.tables):
        constraints = workload.table_constraints(table)
        to_ddr, to_ssd = bool(offload.to_ddr[index]), bool(offload.to_ssd[index])
        kind = (table.embedding_dim, table.dtype, constraints, to_ddr, to_ssd)
        kinds[kind].append(index)
    for members in kinds.values():
        table = workload.tables[members[0]]
        constraints = workload.table_constraints(table)
        to_ddr, to_ssd = offload.to_ddr[members[0]], offload.to_ssd[members[0]]
        template = [
            (structure, variant)
            for structure in structures(
                table.embedding_dim, constraints, cluster, target
            )
            for variant in variants(table, constraints, cluster, target, to_ddr, to_ssd)
            if _match(structure, variant)
        ]
        if not template:
            continue
        step = max(1, _CHUNK_OPTIONS // len(template))
        for first in range(0, len(members), step):
            some = np.array(members[first : first + step])
            yield _build(some, template, usage, rates)


def _match(structure: Structure, variant: Variant) -> bool:
    """Replicated tables use the dense kernel, all others do not."""
    replicated = structure.sharding_type is ShardingType.DATA_PARALLEL
    return replicated == (variant.kernel is ComputeKernel.DENSE)


def _build(
    members: Ints,
    template: list[tuple[Structure, Variant]],
    usage: TableUsage,
    rates: ClassRates,
) -> Options:
    """Price one template of options for tables of one kind."""
    dim = int(usage.embedding_dim[members[0]])
    shape = [
        (
            SHARDING_TYPES.index(s.sharding_type),
            s.scope,
            s.column_shards,
            s.row_shards,
            KERNELS.index(v.kernel),
            v.dtype,
            s.same_host,
        )
        for s, v in template
    ]
    columns = np.tile(np.array(shape, dtype=np.int64), (len(members), 1)).T
    shares = np.array([(v.hbm_share, v.ddr_share) for _, v in template])
    table = np.repeat(members, len(template))
    rows, row_shards = usage.num_embeddings[table], columns[3]
    block = -(-rows // row_shards)
    keep = (row_shards - 1) * block < rows
    table, columns, block = table[keep], columns[:, keep], block[keep]
    hbm_share, ddr_share = np.tile(shares, (len(members), 1))[keep].T

    option, width, count = _items(dim, columns[2], columns[3], columns[1])
    shards = ShardArrays(
        table=table[option],
        kernel=columns[4][option],
        dtype=columns[5][option],
        scope=columns[1][option],
        columns=width,
        rows=block[option],
        row_share=1.0 / columns[3][option],
        is_partial=columns[3][option] > 1,
        is_replicated=(columns[0] == 0)[option],
        hbm_share=hbm_share[option],
        ddr_share=ddr_share[option],
    )
    prices = price(shards, usage, rates)
    num_tables = len(usage.num_embeddings)
    return Options(
        table=table,
        sharding_type=columns[0],
        scope=columns[1],
        column_shards=columns[2],
        row_shards=columns[3],
        kernel=columns[4],
        dtype=columns[5],
        hbm_share=hbm_share,
        ddr_share=ddr_share,
        same_host=columns[6].astype(bool),
        start=np.searchsorted(table, np.arange(num_tables + 1)),
        item_start=offsets(np.bincount(option, minlength=len(table))),
        item_columns=width,
        item_count=count,
        item_cost=prices.cost,
        item_bytes=prices.tier_bytes,
    )


def _items(
    dim: int, column_shards: Ints, row_shards: Ints, scope: Ints
) -> tuple[Ints, Ints, Ints]:
    """Split columns as evenly as multiples of 4 allow.

    Returns
    -------
    option, width, count : int arrays (I,)
        The option each item belongs to, its columns and its number of places.
    """
    unit = COLUMN_UNIT if dim % COLUMN_UNIT == 0 else dim
    base, extra = np.divmod(dim // unit, column_shards)
    index = np.arange(len(column_shards))
    option = np.concatenate([index[extra > 0], index])
    width = np.concatenate([(base + 1)[extra > 0], base]) * unit
    count = np.concatenate([extra[extra > 0], column_shards - extra])
    order = np.lexsort((-width, option))
    option, width, count = option[order], width[order], count[order]
    cut_on_ranks = (scope == Scope.RANK) & (row_shards > 1)
    count = np.where(cut_on_ranks[option], row_shards[option], count)
    return option, width, count
