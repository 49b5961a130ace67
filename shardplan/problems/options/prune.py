"""Drop options that fit nowhere, and options that another one can always replace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.records.sharding import Objective

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.costs.memory.capacity import Capacity
    from shardplan.problems.options.template import Template
    from shardplan.records.arrays import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class PricedOptions:
    """Priced options of M tables of one kind: K options with J items each.

    Attributes
    ----------
    tables : int array (M,)
    is_full : bool array (M, K)
        No shard of the option is empty.
    cost : float array (M, J, C, P)
    tier_bytes : float array (M, J, 3)
    """

    tables: Ints
    is_full: Bools
    cost: Floats
    tier_bytes: Floats


@dataclass(frozen=True, eq=False)
class Pruner:
    """Decides which options a menu keeps."""

    cluster: Cluster
    capacity: Capacity
    objective: Objective

    def keep(
        self, candidates: PricedOptions, template: Template, together: Bools
    ) -> Bools:
        """Return which options of each table to keep, bool array (M, K).

        Tables that stay `together` with others, bool array (M,), keep dominated
        options, since their companions may need them.
        """
        fits = candidates.is_full & self._fits(candidates, template)
        widest, narrowest = self._features(candidates, template)
        widest[~fits], narrowest[~fits] = np.inf, np.inf
        dominated = dominated_by_variant(template, widest, narrowest)
        dominated |= dominated_by_columns(
            template, self.cluster.world_size, widest, narrowest
        )
        return fits & (~dominated | together[:, None])

    def _fits(self, candidates: PricedOptions, template: Template) -> Bools:
        """Whether each option fits somewhere if it were alone (M, K)."""
        local = int(self.cluster.host_num_ranks.min())
        scope = template.scope[template.item_option]
        row_shards = template.row_shards[template.item_option]
        everywhere = scope == Scope.ALL
        on_host = np.where(scope == Scope.RANK, 1, np.minimum(row_shards, local))
        on_host = np.where(everywhere, local, on_host)
        pools = self.capacity
        ok = np.ones(candidates.tier_bytes.shape[:2], dtype=bool)
        for tier, copies in enumerate((np.ones_like(on_host), on_host, on_host)):
            rooms = pools.of_tier(tier)
            limit = np.where(everywhere, rooms.min(), rooms.max())
            ok &= candidates.tier_bytes[:, :, tier] * copies <= limit
        return np.asarray(np.logical_and.reduceat(ok, template.item_start[:-1], axis=1))

    def _features(
        self, candidates: PricedOptions, template: Template
    ) -> tuple[Floats, Floats]:
        """Return what an option's widest and narrowest items cost, (M, K, F) each.

        Features are seconds per class, in each phase or, for `max-rank`, in total,
        and bytes per tier; those that are 0 for all options are left out.
        """
        cost = candidates.cost
        if self.objective is Objective.MAX_RANK:
            cost = cost.sum(axis=3)
        cost = cost.reshape(*cost.shape[:2], -1)
        values = np.concatenate([cost, candidates.tier_bytes], axis=2)
        values = values[:, :, values.any(axis=(0, 1))]
        start = template.item_start
        return values[:, start[:-1]], values[:, start[1:] - 1]


def dominated_by_variant(
    template: Template, widest: Floats, narrowest: Floats
) -> Bools:
    """Whether an option of the same structure is no worse in anything (M, K).

    Options of one structure have the same items, so the comparison is item by item;
    of equal options the first one stays.
    """
    features = np.concatenate([widest, narrowest], axis=2)
    structure = template.structure
    order = np.argsort(structure, kind="stable")
    sizes = np.bincount(structure)
    first = np.cumsum(sizes) - sizes
    result = np.zeros(widest.shape[:2], dtype=bool)
    for size in np.unique(sizes[sizes > 1]):
        members = order[first[sizes == size][:, None] + np.arange(size)]
        result[:, members] = _dominated_within(features[:, members])
    return result


def _dominated_within(features: Floats) -> Bools:
    """Compare the options of each group with each other: (M, G, V, F) -> (M, G, V)."""
    size = features.shape[2]
    result = np.zeros(features.shape[:3], dtype=bool)
    for a in range(size):
        for b in range(size):
            if a == b:
                continue
            no_worse = (features[:, :, b] <= features[:, :, a]).all(axis=-1)
            if b > a:
                no_worse &= (features[:, :, b] < features[:, :, a]).any(axis=-1)
            result[:, :, a] |= no_worse
    return result


def dominated_by_columns(
    template: Template, world_size: int, widest: Floats, narrowest: Floats
) -> Bools:
    """Whether blocks of columns on single ranks can take an option's place (M, K).

    Such blocks may go to any ranks, so to some of those that the option occupies, one
    to each. They replace it if there are enough ranks, and if no block is worse in
    anything than what the option puts on any of its ranks.
    """
    is_free = (template.scope == Scope.RANK) & (template.row_shards == 1)
    is_free &= ~template.same_host
    free, others = np.flatnonzero(is_free), np.flatnonzero(~is_free)
    occupied = template.column_shards * template.row_shards
    occupied[template.scope == Scope.ALL] = world_size
    worst, best = np.maximum(widest, narrowest), np.minimum(widest, narrowest)
    result = np.zeros(widest.shape[:2], dtype=bool)
    for option in free:
        some = others[occupied[others] >= template.column_shards[option]]
        if len(some):
            result[:, some] |= (worst[:, option, None] <= best[:, some]).all(axis=2)
    return result
