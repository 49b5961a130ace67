"""The legal ways to cut a table, and the kernels and tiers its rows may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.shards import DTYPES
from shardplan.sharding import ComputeKernel, Scope, ShardingType, Target
from shardplan.tables import DType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.cluster import Cluster
    from shardplan.tables import EmbeddingTable, TableConstraints

COLUMN_UNIT = 4
"""Column shards are multiples of this many columns (FBGEMM's vector width)."""
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
