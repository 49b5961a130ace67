"""Drop options that fit nowhere, and options that another one beats in everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.sharding import Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.cluster import Cluster
    from shardplan.costs.capacity import Capacity
    from shardplan.options.arrays import Options

    Floats = NDArray[np.float64]


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
