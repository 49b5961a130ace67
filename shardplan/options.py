"""Enumerate the legal ways to shard each table, priced, as flat arrays."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from shardplan.costs.pricing import DTYPES, KERNELS, ShardArrays
from shardplan.sharding import (
    ComputeKernel,
    Scope,
    ShardingType,
    Target,
)
from shardplan.tables import DType
from shardplan.targets import VECTOR_COLUMNS, narrowed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from shardplan.cluster import Cluster
    from shardplan.costs.capacity import Capacity
    from shardplan.costs.pricer import Pricer
    from shardplan.costs.usage import TableUsage
    from shardplan.tables import EmbeddingTable, TableConstraints

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

SHARDING_TYPES = tuple(ShardingType)
COLUMN_UNIT = VECTOR_COLUMNS
CACHE_SHARES = (0.05, 0.1, 0.2, 0.4, 0.8)
SSD_CACHE_SHARES = ((0.02, 0.1), (0.05, 0.2), (0.2, 0.4))
SPLIT_SHARES = (0.01, 0.05, 0.1, 0.2, 0.4, 0.8)
_SMALL_SUBSET = 8
_ROOMY = 0.7
_NEGLIGIBLE = 0.01
_CHUNK_OPTIONS = 200_000


class Structure(NamedTuple):
    """How a table is cut, whatever its kernel."""

    sharding_type: ShardingType
    scope: Scope
    column_shards: int
    row_shards: int
    same_host: bool = False


class Variant(NamedTuple):
    """Where the rows of a shard live."""

    kernel: ComputeKernel
    dtype: int
    hbm_share: float
    ddr_share: float


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


@dataclass(frozen=True, eq=False)
class Options:
    """O options of T tables and their I items, sorted by table.

    An option puts `column_shards` blocks of columns each on its own place: a rank,
    or a host, a domain or all ranks over which the block's rows are cut. Blocks of
    one width are one item with a count; an option has one or two items. A
    row-cut `RANK` option has `row_shards` equal places instead.

    Attributes
    ----------
    table, sharding_type, scope, column_shards, row_shards, kernel, dtype : (O,) ints
    hbm_share, ddr_share : (O,) floats
    same_host : (O,) bools
        All places are ranks of one host (`table_column_wise`).
    start : (T + 1,) ints
        Options of table t are ``start[t]:start[t + 1]``.
    item_start : (O + 1,) ints
        Items of option o are ``item_start[o]:item_start[o + 1]``.
    item_columns, item_count : (I,) ints
        Width and number of places; the wider item comes first.
    item_cost : (I, C, P) floats
        Seconds per class and phase on each rank of a place.
    item_bytes : (I, 3) floats
        Bytes per tier on each rank of a place.
    """

    table: Ints
    sharding_type: Ints
    scope: Ints
    column_shards: Ints
    row_shards: Ints
    kernel: Ints
    dtype: Ints
    hbm_share: Floats
    ddr_share: Floats
    same_host: NDArray[np.bool_]
    start: Ints
    item_start: Ints
    item_columns: Ints
    item_count: Ints
    item_cost: Floats
    item_bytes: Floats

    def __len__(self) -> int:
        """Return the number of options O."""
        return len(self.table)

    def items_of(self, option: int) -> slice:
        """Return the items of an option as a slice."""
        return slice(int(self.item_start[option]), int(self.item_start[option + 1]))

    def num_places(self, option: int) -> int:
        """Return how many places an option occupies."""
        return int(self.item_count[self.items_of(option)].sum())

    @property
    def item_option(self) -> Ints:
        """Option of each item, shape (I,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.item_start))

    def select(self, keep: Ints, num_tables: int) -> Self:
        """Return the options at sorted indices `keep` as a menu of their own."""
        sizes = np.diff(self.item_start)[keep]
        items = _ranges(self.item_start[keep], sizes)
        columns = {
            f.name: getattr(self, f.name)[items if f.name.startswith("item_") else keep]
            for f in fields(self)
            if f.name not in ("start", "item_start")
        }
        start = np.searchsorted(self.table[keep], np.arange(num_tables + 1))
        return type(self)(start=start, item_start=_offsets(sizes), **columns)


def enumerate_options(
    usage: TableUsage,
    cluster: Cluster,
    pricer: Pricer,
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
        for chunk in _chunks(usage, cluster, pricer, target, offload)
    ]
    return _concatenate(parts, len(usage.num_embeddings))


def structures(
    dim: int, constraints: TableConstraints, cluster: Cluster, target: Target
) -> list[Structure]:
    """List the ways to cut a table of `dim` columns."""
    allowed = _allowed_types(constraints, target)
    world, most = cluster.world_size, _most_column_shards(dim, constraints, cluster)
    splits = range(2, most + 1)
    found = []
    if ShardingType.DATA_PARALLEL in allowed:
        found.append(Structure(ShardingType.DATA_PARALLEL, Scope.ALL, 1, 1))
    if ShardingType.TABLE_WISE in allowed:
        found.append(Structure(ShardingType.TABLE_WISE, Scope.RANK, 1, 1))
    if ShardingType.COLUMN_WISE in allowed:
        found += [Structure(ShardingType.COLUMN_WISE, Scope.RANK, k, 1) for k in splits]
    elif ShardingType.TABLE_COLUMN_WISE in allowed:
        widest = int(cluster.host_num_ranks.max())
        found += [
            Structure(ShardingType.TABLE_COLUMN_WISE, Scope.RANK, k, 1, same_host=True)
            for k in splits
            if k <= widest
        ]
    if ShardingType.ROW_WISE in allowed and world > 1:
        found.append(Structure(ShardingType.ROW_WISE, Scope.ALL, 1, world))
        found += [
            Structure(ShardingType.ROW_WISE, Scope.RANK, 1, n)
            for n in _subset_sizes(cluster, target)
        ]
    for scope, size in _row_groups(cluster, target, allowed):
        if ShardingType.TABLE_ROW_WISE in allowed:
            found.append(Structure(ShardingType.TABLE_ROW_WISE, scope, 1, size))
        if ShardingType.GRID_SHARD in allowed:
            found += [
                Structure(ShardingType.GRID_SHARD, scope, k, size) for k in splits
            ]
    return found


def variants(
    table: EmbeddingTable,
    constraints: TableConstraints,
    cluster: Cluster,
    target: Target,
    to_ddr: bool = True,
    to_ssd: bool = True,
) -> list[Variant]:
    """List the kernels and tier splits a table may use."""
    kernels = constraints.compute_kernels or _default_kernels(to_ddr, to_ssd)
    dtypes = [
        dtype
        for dtype in dict.fromkeys((table.dtype, *constraints.dtypes))
        if dtype is not DType.INT4 or table.embedding_dim % 2 == 0
    ]
    fixed = constraints.cache_load_factor
    shares: dict[ComputeKernel, list[tuple[float, float]]] = {
        ComputeKernel.DENSE: [(1.0, 0.0)],
        ComputeKernel.FUSED: [(1.0, 0.0)],
        ComputeKernel.FUSED_UVM: [(0.0, 1.0)],
        ComputeKernel.FUSED_UVM_CACHING: [
            (share, 1.0) for share in ((fixed,) if fixed else CACHE_SHARES)
        ],
        ComputeKernel.FUSED_UVM_SPLIT: [
            (share, 1.0 - share) for share in ((fixed,) if fixed else SPLIT_SHARES)
        ],
        ComputeKernel.KEY_VALUE: [
            (fixed or hbm, ddr) for hbm, ddr in SSD_CACHE_SHARES[: 1 if fixed else None]
        ],
    }
    usable = [kernel for kernel in kernels if _is_usable(kernel, cluster, target)]
    return [
        Variant(kernel, DTYPES.index(dtype), hbm, ddr)
        for kernel in usable
        for dtype in dtypes
        for hbm, ddr in shares[kernel]
    ]


def prune(
    options: Options,
    cluster: Cluster,
    capacity: Capacity,
    together: NDArray[np.bool_],
) -> Options:
    """Drop options that fit nowhere, and options dominated in every cost and byte.

    Tables that stay `together` with others keep dominated options, since their
    companions may need them.
    """
    fits = _fits(options, cluster, capacity)
    keep = fits & (~_dominated(options, fits) | together[options.table])
    return options.select(np.flatnonzero(keep), len(options.start) - 1)


def _colocated(usage: TableUsage) -> NDArray[np.bool_]:
    names = {name for group in usage.workload.colocate for name in group}
    return np.array([table.name in names for table in usage.workload.tables])


def _allowed_types(
    constraints: TableConstraints, target: Target
) -> frozenset[ShardingType]:
    allowed = frozenset(constraints.sharding_types or SHARDING_TYPES)
    if target is Target.HUGECTR:
        allowed &= {
            ShardingType.DATA_PARALLEL,
            ShardingType.TABLE_WISE,
            ShardingType.ROW_WISE,
        }
    return allowed


def _most_column_shards(
    dim: int, constraints: TableConstraints, cluster: Cluster
) -> int:
    """Return the largest number of column shards of legal width; 1 if uncuttable."""
    if dim % COLUMN_UNIT:
        return 1
    narrowest = max(constraints.min_column_width or COLUMN_UNIT, COLUMN_UNIT)
    units_each = -(-narrowest // COLUMN_UNIT)
    return max(1, min(dim // COLUMN_UNIT // units_each, cluster.world_size))


def _subset_sizes(cluster: Cluster, target: Target) -> list[int]:
    """Sizes of the rank sets over which rows may be cut, all ranks excepted."""
    if target is Target.TORCHREC:
        return []
    world = cluster.world_size
    powers = {2**i for i in range(1, world.bit_length())}
    whole_hosts = {int(n) for n in np.cumsum(cluster.host_num_ranks)[:8]}
    sizes = set(range(2, _SMALL_SUBSET + 1)) | powers | whole_hosts
    return sorted(n for n in sizes if n < world)


def _row_groups(
    cluster: Cluster, target: Target, allowed: frozenset[ShardingType]
) -> list[tuple[Scope, int]]:
    """Hosts and domains over which rows may be cut: (scope, ranks)."""
    groups: list[tuple[Scope, int]] = []
    host_sizes = {int(n) for n in cluster.host_num_ranks}
    if target is Target.TORCHREC:
        host_sizes = {int(cluster.host_num_ranks[0])}
    groups += [(Scope.HOST, n) for n in sorted(host_sizes)]
    if target is not Target.TORCHREC:
        own = cluster.domain_num_ranks[~domain_is_host(cluster)]
        groups += [(Scope.DOMAIN, n) for n in sorted({int(n) for n in own})]
    everything_is_row_wise = ShardingType.ROW_WISE in allowed
    return [
        (scope, n)
        for scope, n in groups
        if n > 1 and (n < cluster.world_size or not everything_is_row_wise)
    ]


def domain_is_host(cluster: Cluster) -> NDArray[np.bool_]:
    """Whether a domain is exactly one host, and so a place of scope `HOST` only."""
    host = cluster.rank_host[cluster.domain_first_rank]
    first, count = cluster.host_first_rank[host], cluster.host_num_ranks[host]
    is_host = (first == cluster.domain_first_rank) & (count == cluster.domain_num_ranks)
    return np.asarray(is_host)


def _default_kernels(to_ddr: bool, to_ssd: bool) -> tuple[ComputeKernel, ...]:
    kernels = [ComputeKernel.DENSE, ComputeKernel.FUSED]
    if to_ddr:
        kernels += [ComputeKernel.FUSED_UVM_CACHING, ComputeKernel.FUSED_UVM]
    if to_ssd:
        kernels.append(ComputeKernel.KEY_VALUE)
    return tuple(kernels)


def _is_usable(kernel: ComputeKernel, cluster: Cluster, target: Target) -> bool:
    if kernel in (ComputeKernel.DENSE, ComputeKernel.FUSED):
        return True
    if cluster.is_cpu or target is Target.HUGECTR:
        return False
    if kernel is ComputeKernel.FUSED_UVM_SPLIT:
        return target is Target.ANY
    if kernel is ComputeKernel.KEY_VALUE:
        return all(group.host.ssd_bytes > 0 for group in cluster.groups)
    return True


def _chunks(
    usage: TableUsage,
    cluster: Cluster,
    pricer: Pricer,
    target: Target,
    offload: Offload,
) -> Iterator[Options]:
    """Yield unpruned menus of some tables each, in no particular order."""
    kinds: dict[tuple[int, DType, TableConstraints, bool, bool], list[int]]
    kinds = defaultdict(list)
    workload = usage.workload
    for index, table in enumerate(workload.tables):
        limits = narrowed(workload.table_constraints(table), table, target)
        if limits is None:
            continue
        to_ddr, to_ssd = bool(offload.to_ddr[index]), bool(offload.to_ssd[index])
        kinds[table.embedding_dim, table.dtype, limits, to_ddr, to_ssd].append(index)
    for (_, _, constraints, *_), members in kinds.items():
        table = workload.tables[members[0]]
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
            yield _build(some, template, usage, pricer)


def _match(structure: Structure, variant: Variant) -> bool:
    """Replicated tables use the dense kernel, all others do not."""
    replicated = structure.sharding_type is ShardingType.DATA_PARALLEL
    return replicated == (variant.kernel is ComputeKernel.DENSE)


def _build(
    members: Ints,
    template: list[tuple[Structure, Variant]],
    usage: TableUsage,
    pricer: Pricer,
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
        sharding_type=columns[0][option],
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
    prices = pricer.price(shards)
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
        item_start=_offsets(np.bincount(option, minlength=len(table))),
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


def _fits(options: Options, cluster: Cluster, capacity: Capacity) -> NDArray[np.bool_]:
    """Whether each option fits somewhere if it were alone (O,)."""
    item_option = options.item_option
    scope = options.scope[item_option]
    everywhere = scope == Scope.ALL
    hbm, ddr, ssd = options.item_bytes.T
    ranks = np.where(scope == Scope.RANK, 1, np.where(everywhere, _local(cluster), 0))
    grouped = (scope == Scope.HOST) | (scope == Scope.DOMAIN)
    ranks = np.where(
        grouped,
        np.minimum(options.row_shards[item_option], _local(cluster)),
        ranks,
    )
    limit = [
        np.where(everywhere, values.min(), values.max())
        for values in (capacity.rank_hbm, capacity.host_ddr, capacity.host_ssd)
    ]
    ok = (hbm <= limit[0]) & (ddr * ranks <= limit[1]) & (ssd * ranks <= limit[2])
    return np.asarray(np.bincount(item_option[~ok], minlength=len(options)) == 0)


def _local(cluster: Cluster) -> int:
    return int(cluster.host_num_ranks.min())


def _dominated(options: Options, fits: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a fitting option of the same structure is no worse in anything (O,).

    Options of one structure have the same items, so the comparison is item by item;
    of equal options the first one stays.
    """
    structure = np.stack(
        [
            options.table,
            options.sharding_type,
            options.scope,
            options.column_shards,
            options.row_shards,
        ]
    )
    order = np.lexsort(structure[::-1])
    ordered = structure[:, order]
    new = (
        np.r_[True, (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)]
        if len(options)
        else np.zeros(0, dtype=bool)
    )
    first = np.flatnonzero(new)
    sizes = np.diff(np.r_[first, len(options)])
    features = _features(options)
    features[~fits] = np.inf
    result = np.zeros(len(options), dtype=bool)
    for size in np.unique(sizes[sizes > 1]):
        members = order[first[sizes == size][:, None] + np.arange(size)]
        result[members] = _dominated_within(features[members])
    return result


def _features(options: Options) -> Floats:
    """Costs and bytes of each option's widest and narrowest item, (O, F)."""
    if not len(options):
        return np.zeros((0, 1))
    values = np.concatenate(
        [options.item_cost.reshape(len(options.item_cost), -1), options.item_bytes],
        axis=1,
    )
    return np.concatenate(
        [values[options.item_start[:-1]], values[options.item_start[1:] - 1]], axis=1
    )


def _dominated_within(features: Floats) -> NDArray[np.bool_]:
    """Compare the options of each group with each other: (G, K, F) -> (G, K)."""
    num_options = features.shape[1]
    result = np.zeros(features.shape[:2], dtype=bool)
    for a in range(num_options):
        for b in range(num_options):
            if a == b:
                continue
            no_worse = (features[:, b] <= features[:, a]).all(axis=1)
            if b > a:
                no_worse &= (features[:, b] < features[:, a]).any(axis=1)
            result[:, a] |= no_worse
    return result


def _concatenate(parts: list[Options], num_tables: int) -> Options:
    """Join menus and sort by table; the order within a table is kept."""
    if not parts:
        return _empty(num_tables)
    joined = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts])
        for f in fields(Options)
        if f.name not in ("start", "item_start")
    }
    sizes = np.concatenate([np.diff(part.item_start) for part in parts])
    menu = Options(
        start=np.zeros(num_tables + 1, dtype=np.int64),
        item_start=_offsets(sizes),
        **joined,
    )
    return menu.select(np.argsort(menu.table, kind="stable"), num_tables)


def _empty(num_tables: int) -> Options:
    nothing = {
        f.name: np.zeros(0, dtype=np.int64)
        for f in fields(Options)
        if f.name not in ("start", "item_start", "item_cost", "item_bytes")
    }
    return Options(
        start=np.zeros(num_tables + 1, dtype=np.int64),
        item_start=np.zeros(1, dtype=np.int64),
        item_cost=np.zeros((0, 1, 1)),
        item_bytes=np.zeros((0, 3)),
        **nothing,  # type: ignore[arg-type]
    )


def _offsets(sizes: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _ranges(starts: Ints, sizes: Ints) -> Ints:
    """Concatenate ``arange(start, start + size)`` of all pairs."""
    ends = np.cumsum(sizes)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(
        ends - sizes - starts, sizes
    )
