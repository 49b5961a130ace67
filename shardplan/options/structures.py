"""The legal ways to cut a table, and the kernels and tiers its rows may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.shards import DTYPES
from shardplan.sharding import ComputeKernel, Scope, ShardingType, Target
from shardplan.tables import DType
from shardplan.targets import VECTOR_COLUMNS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.cluster import Cluster
    from shardplan.tables import EmbeddingTable, TableConstraints

COLUMN_UNIT = VECTOR_COLUMNS
CACHE_SHARES = (0.05, 0.1, 0.2, 0.4, 0.8)
SSD_CACHE_SHARES = ((0.02, 0.1), (0.05, 0.2), (0.2, 0.4))
SPLIT_SHARES = (0.01, 0.05, 0.1, 0.2, 0.4, 0.8)
_SMALL_SUBSET = 8


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


def structures(
    dim: int,
    constraints: TableConstraints,
    cluster: Cluster,
    target: Target,
    *,
    every_count: bool = False,
) -> list[Structure]:
    """List the ways to cut a table of `dim` columns.

    Parameters
    ----------
    every_count : bool
        Offer every number of column shards, not only one for each width.
    """
    allowed = _allowed_types(constraints, target)
    world = cluster.world_size
    splits = _column_splits(dim, constraints, cluster, every_count)
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


def _allowed_types(
    constraints: TableConstraints, target: Target
) -> frozenset[ShardingType]:
    allowed = frozenset(constraints.sharding_types or ShardingType)
    if target is Target.HUGECTR:
        allowed &= {
            ShardingType.DATA_PARALLEL,
            ShardingType.TABLE_WISE,
            ShardingType.ROW_WISE,
        }
    return allowed


def _column_splits(
    dim: int, constraints: TableConstraints, cluster: Cluster, every_count: bool
) -> list[int]:
    """Numbers of column shards: for each width, the fewest shards no wider than it.

    More shards of the same largest width only look up more ids.
    """
    if dim % COLUMN_UNIT:
        return []
    narrowest = max(constraints.min_column_width or COLUMN_UNIT, COLUMN_UNIT)
    units = dim // COLUMN_UNIT
    most = min(units // -(-narrowest // COLUMN_UNIT), cluster.world_size)
    widest = [-(-units // shards) for shards in range(1, most + 1)]
    return [
        shards
        for shards in range(2, most + 1)
        if every_count or widest[shards - 1] < widest[shards - 2]
    ]


def _subset_sizes(cluster: Cluster, target: Target) -> list[int]:
    """Sizes of the rank sets over which rows may be cut, all ranks excepted."""
    if target is Target.TORCHREC:
        return []
    world = cluster.world_size
    powers = {2**i for i in range(1, world.bit_length())}
    hosts = [n - 1 for n in (1, 2, 4, 8) if n <= cluster.num_hosts]
    whole_hosts = {int(n) for n in np.cumsum(cluster.host_num_ranks)[hosts]}
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
