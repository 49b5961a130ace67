"""The legal ways to cut a table, and the kernels and tiers its rows may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.row_heat import HEAT_WEIGHTS
from shardplan.costs.scopes import SCOPES, Scope
from shardplan.costs.shards import DTYPES
from shardplan.records.sharding import ComputeKernel, ShardingType
from shardplan.records.targets import VECTOR_COLUMNS

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.records.tables import DType
    from shardplan.records.targets import Runtime

COLUMN_UNIT = VECTOR_COLUMNS
CACHE_SHARES = (0.05, 0.1, 0.2, 0.4, 0.8)
SSD_CACHE_SHARES = ((0.02, 0.1), (0.05, 0.2), (0.2, 0.4))
SPLIT_SHARES = (0.01, 0.05, 0.1, 0.2, 0.4, 0.8)
_SMALL_SUBSET = 8


class Structure(NamedTuple):
    """How a table is cut, whatever its kernel.

    Attributes
    ----------
    same_host, apart : bool
        All places are ranks of one host; are different ranks.
    heat_weight : float
        What the heat of rows weighs in where they are cut, 0 if cuts are even; see
        :meth:`shardplan.costs.row_heat.RowHeat.cut`.
    """

    sharding_type: ShardingType
    scope: Scope
    column_shards: int
    row_shards: int
    same_host: bool = False
    apart: bool = False
    heat_weight: float = 0.0


class Variant(NamedTuple):
    """Where the rows of a shard live."""

    kernel: ComputeKernel
    dtype: int
    hbm_share: float
    ddr_share: float


def structures(
    dim: int,
    allowed: frozenset[ShardingType],
    min_column_width: int | None,
    cluster: Cluster,
    runtime: Runtime,
    *,
    every_count: bool = False,
    are_few: bool = False,
    has_blocks: bool = False,
) -> list[Structure]:
    """List the ways to cut a table of `dim` columns.

    Parameters
    ----------
    allowed : frozenset of ShardingType
        What constraints and the framework leave.
    every_count : bool
        Offer every number of column shards, not only one for each width.
    are_few : bool
        Whether there are fewer tables than ranks: only cuts can load all ranks, so
        that rows and columns may be cut at once over any ranks.
    has_blocks : bool
        Whether the heat of row shards depends on where rows are cut.
    """
    found = []
    if ShardingType.DATA_PARALLEL in allowed:
        found.append(Structure(ShardingType.DATA_PARALLEL, Scope.ALL, 1, 1))
    if ShardingType.TABLE_WISE in allowed:
        found.append(Structure(ShardingType.TABLE_WISE, Scope.RANK, 1, 1))
    if runtime.slices_evenly:
        splits = _even_slices(dim, min_column_width, cluster.world_size)
        return found + _sliced(allowed, splits, cluster, runtime)
    if runtime.equal_columns:
        splits = _even_slices(dim, min_column_width, cluster.world_size)
    else:
        splits = _column_splits(dim, min_column_width, cluster.world_size, every_count)
    found += _cut_anywhere(allowed, splits, cluster, runtime)
    if are_few and runtime.cuts_rows_anywhere and ShardingType.ROW_WISE in allowed:
        slices = _even_slices(dim, min_column_width, cluster.world_size)
        found += _slices_by_rows(ShardingType.ROW_WISE, slices, cluster)
    if has_blocks and runtime.cuts_rows_unevenly:
        found += [
            cut._replace(heat_weight=weight)
            for cut in found
            for weight in HEAT_WEIGHTS
            if cut.row_shards > 1
        ]
    return found


def _cut_anywhere(
    allowed: frozenset[ShardingType],
    splits: list[int],
    cluster: Cluster,
    runtime: Runtime,
) -> list[Structure]:
    """Columns on any ranks, rows over ranks, hosts and domains."""
    found = []
    if ShardingType.COLUMN_WISE in allowed:
        found += [Structure(ShardingType.COLUMN_WISE, Scope.RANK, k, 1) for k in splits]
    elif ShardingType.TABLE_COLUMN_WISE in allowed:
        widest = int(cluster.host_num_ranks.max())
        found += [
            Structure(ShardingType.TABLE_COLUMN_WISE, Scope.RANK, k, 1, same_host=True)
            for k in splits
            if k <= widest
        ]
    if ShardingType.ROW_WISE in allowed:
        found += _row_wise(cluster, runtime)
    for scope, size in _row_groups(cluster, runtime, allowed):
        for kind in ShardingType:
            if kind in scope.types & allowed:
                counts = splits if kind is ShardingType.GRID_SHARD else [1]
                found += [Structure(kind, scope, k, size) for k in counts]
    return found


def _sliced(
    allowed: frozenset[ShardingType],
    slices: list[int],
    cluster: Cluster,
    runtime: Runtime,
) -> list[Structure]:
    """Equal slices of columns on as many runs of ranks, rows cut inside a run."""
    found = []
    if ShardingType.COLUMN_WISE in allowed:
        found += [
            Structure(ShardingType.COLUMN_WISE, Scope.RANK, k, 1, apart=True)
            for k in slices
        ]
    if ShardingType.ROW_WISE in allowed:
        found += _row_wise(cluster, runtime)
    if ShardingType.GRID_SHARD in allowed:
        found += _slices_by_rows(ShardingType.GRID_SHARD, slices, cluster)
    return found


def _slices_by_rows(
    kind: ShardingType, slices: list[int], cluster: Cluster
) -> list[Structure]:
    """Equal slices of columns, the rows of each over some ranks of its own."""
    return [
        Structure(kind, Scope.RANK, k, n, apart=True)
        for k in slices
        for n in _run_sizes(cluster, cluster.world_size // k)
    ]


def _row_wise(cluster: Cluster, runtime: Runtime) -> list[Structure]:
    world = cluster.world_size
    if world == 1:
        return []
    return [
        Structure(ShardingType.ROW_WISE, Scope.ALL, 1, world),
        *(
            Structure(ShardingType.ROW_WISE, Scope.RANK, 1, n, apart=True)
            for n in _subset_sizes(cluster, runtime)
        ),
    ]


def is_offered(structure: Structure, variant: Variant, *, cut_rows: bool) -> bool:
    """Whether a menu has a variant of a structure.

    Copies use the dense kernel, and nothing else does. Rows in slower tiers are cut
    into 2, 4, 8, ... only, and by rows only if `cut_rows`.
    """
    is_copied = structure.sharding_type is ShardingType.DATA_PARALLEL
    if is_copied or variant.kernel is ComputeKernel.DENSE:
        return is_copied and variant.kernel is ComputeKernel.DENSE
    if variant.kernel is ComputeKernel.FUSED:
        return True
    if structure.row_shards > 1 and not cut_rows:
        return False
    on_ranks = structure.row_shards if structure.scope == Scope.RANK else 1
    return _is_power_of_two(structure.column_shards) and _is_power_of_two(on_ranks)


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


def variants(
    kernels: frozenset[ComputeKernel],
    dtypes: tuple[DType, ...],
    cache_load_factor: float | None = None,
) -> list[Variant]:
    """List the tier splits that a table of some kernels and row types may use."""
    fixed = cache_load_factor
    shares: dict[ComputeKernel, list[tuple[float, float]]] = {
        ComputeKernel.DENSE: [(1.0, 0.0)],
        ComputeKernel.FUSED: [(1.0, 0.0)],
        ComputeKernel.FUSED_UVM_CACHING: [
            (share, 1.0) for share in ((fixed,) if fixed else CACHE_SHARES)
        ],
        ComputeKernel.FUSED_UVM: [(0.0, 1.0)],
        ComputeKernel.FUSED_UVM_SPLIT: [
            (share, 1.0 - share) for share in ((fixed,) if fixed else SPLIT_SHARES)
        ],
        ComputeKernel.KEY_VALUE: [
            (fixed or hbm, ddr) for hbm, ddr in SSD_CACHE_SHARES[: 1 if fixed else None]
        ],
    }
    return [
        Variant(kernel, DTYPES.index(dtype), hbm, ddr)
        for kernel in shares
        if kernel in kernels
        for dtype in dtypes
        for hbm, ddr in shares[kernel]
    ]


def _column_splits(
    dim: int, min_column_width: int | None, world_size: int, every_count: bool
) -> list[int]:
    """Numbers of column shards: for each width, the fewest shards no wider than it.

    More shards of the same largest width only look up more ids.
    """
    most = _most_shards(dim, min_column_width, world_size)
    units = dim // COLUMN_UNIT
    widest = [-(-units // shards) for shards in range(1, most + 1)]
    return [
        shards
        for shards in range(2, most + 1)
        if every_count or widest[shards - 1] < widest[shards - 2]
    ]


def _even_slices(dim: int, min_column_width: int | None, world_size: int) -> list[int]:
    """Numbers of equal column slices."""
    most = _most_shards(dim, min_column_width, world_size)
    units = dim // COLUMN_UNIT
    return [slices for slices in range(2, most + 1) if units % slices == 0]


def _most_shards(dim: int, min_column_width: int | None, world_size: int) -> int:
    """Most column shards of wide enough multiples of the unit; 0 for other widths."""
    if dim % COLUMN_UNIT:
        return 0
    narrowest = max(min_column_width or COLUMN_UNIT, COLUMN_UNIT)
    return min(dim // COLUMN_UNIT // -(-narrowest // COLUMN_UNIT), world_size)


def _subset_sizes(cluster: Cluster, runtime: Runtime) -> list[int]:
    """Sizes of the rank sets over which rows may be cut, all ranks excepted."""
    if not runtime.cuts_rows_anywhere:
        return []
    return _run_sizes(cluster, cluster.world_size - 1)


def _run_sizes(cluster: Cluster, most: int) -> list[int]:
    """Numbers of ranks over which rows may be cut: few, powers of two, whole hosts."""
    powers = {2**i for i in range(1, cluster.world_size.bit_length())}
    hosts = [n - 1 for n in (1, 2, 4, 8) if n <= cluster.num_hosts]
    whole_hosts = {int(n) for n in np.cumsum(cluster.host_num_ranks)[hosts]}
    sizes = set(range(2, _SMALL_SUBSET + 1)) | powers | whole_hosts
    return sorted(n for n in sizes if 1 < n <= most)


def _row_groups(
    cluster: Cluster, runtime: Runtime, allowed: frozenset[ShardingType]
) -> list[tuple[Scope, int]]:
    """List the groups of ranks over which rows may be cut: (scope, ranks)."""
    found: list[tuple[Scope, int]] = []
    for scope in SCOPES:
        groups = cluster.groups(scope)
        sizes = groups.num_ranks[groups.is_own]
        if not runtime.cuts_rows_anywhere:
            sizes = groups.num_ranks[:1] if scope is Scope.HOST else sizes[:0]
        if scope.types:
            found += [(scope, n) for n in sorted({int(size) for size in sizes})]
    everything_is_row_wise = ShardingType.ROW_WISE in allowed
    return [
        (scope, n)
        for scope, n in found
        if n > 1 and (n < cluster.world_size or not everything_is_row_wise)
    ]
