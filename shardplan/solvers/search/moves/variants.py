"""Change how much of a bundle is in which tier, with all shards in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.solvers.search.moves.move import Move
from shardplan.solvers.tolerances import ROUNDOFF

if TYPE_CHECKING:
    from shardplan.problems.options.arrays import Options
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.search.moves.noise import Noise
    from shardplan.solvers.search.penalty import Penalty
    from shardplan.solvers.search.state import State


class Parts(NamedTuple):
    """What K bundles would add to each of their ranks or pools.

    Attributes
    ----------
    owner, place : int arrays (P,)
        Which of the bundles is on which rank or pool; each pair once, by owner.
    rise : float array (P, A, ...)
        Loads with each of A variants, less the present ones.
    """

    owner: Ints
    place: Ints
    rise: Floats

    @classmethod
    def summed(cls, owner: Ints, place: Ints, rise: Floats, num_places: int) -> Parts:
        """Add up what one bundle has on one place."""
        key, back = np.unique(owner * num_places + place, return_inverse=True)
        if len(key) == len(owner) and (np.diff(back) > 0).all():
            return cls(owner, place, rise)
        total = np.zeros((len(key), *rise.shape[1:]))
        np.add.at(total, back, rise)
        return cls(key // num_places, key % num_places, total)

    def per_owner(self, values: Floats, num: int) -> Floats:
        """Sum up values (P, A) of each bundle, (K, A)."""
        total = np.zeros((num, values.shape[1]))
        np.add.at(total, self.owner, values)
        return total


class VariantChanger(Move):
    """Gives many bundles another kernel or cache fraction at a time.

    Options of one cut differ in seconds and bytes, but not in their places; so all
    variants of many bundles are evaluated in one pass, and no shard moves.

    Parameters
    ----------
    price, excess : float arrays (O,)
        See `Candidates`.

    Attributes
    ----------
    bundles : int array
        Bundles that have variants at all.
    """

    def __init__(
        self,
        state: State,
        rng: np.random.Generator,
        noise: Noise,
        price: Floats,
        excess: Floats,
    ) -> None:
        super().__init__(state, rng, noise)
        self._price = price
        menu = state.problem.options
        # All options of one cut lie side by side in `_order`: those of an option are
        # a start and a size, whatever cut it has.
        cut = _cuts(menu)
        usable = np.flatnonzero((excess <= 0.0) & (menu.scope != Scope.ALL))
        self._order = usable[np.argsort(cut[usable], kind="stable")]
        ordered = cut[self._order]
        self._start = np.searchsorted(ordered, cut)
        self._size = np.searchsorted(ordered, cut, side="right") - self._start
        several = self._size[self._order] > 1
        self.bundles = np.unique(menu.table[self._order[several]])

    def make(self, where: Ints, penalty: Penalty, temperature: float) -> int:
        """Choose variants of bundles (K,), the first on each rank."""
        state = self._state
        bundles = where[self._size[state.option[where]] > 1]
        bundles, owner, rank, first = self._on_ranks(bundles)
        if not len(bundles):
            return 0
        variants = self._variants(bundles)
        ranks, pools = self._parts(variants, owner, rank, first)
        cost = self._costs(variants, ranks, pools, penalty)
        self.evaluated += cost.size
        best = np.argmin(self._heated(cost, temperature), axis=1)
        rows = np.arange(len(best))
        goes = best > 0
        if temperature <= 0.0:
            goes &= cost[rows, best] < cost[:, 0] - ROUNDOFF
        # On ranks all are alone, but pools are shared by ranks: each change was judged
        # as if it were the only one there.
        goes &= self._one_per_pool(pools, best, goes)
        state.change_variants(bundles[goes], variants[rows, best][goes])
        return int(goes.sum())

    def _on_ranks(self, bundles: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """Leave out bundles that share ranks with earlier ones.

        Returns
        -------
        bundles : int array (K,)
        owner, rank, item : int arrays (S,)
            Which of them has which item of its option on which rank.
        """
        state = self._state
        owner, rank, item = state.parts_of(bundles)
        alone = _first_everywhere(owner, rank, len(bundles), len(state.load))
        keep = alone[owner]
        new = np.cumsum(alone) - 1
        return bundles[alone], new[owner[keep]], rank[keep], item[keep]

    def _variants(self, bundles: Ints) -> Ints:
        """List the options of each bundle's cut, the present one first, (K, A)."""
        option = self._state.option[bundles]
        start, size = self._start[option], self._size[option]
        column = np.minimum(np.arange(size.max()), size[:, None] - 1)
        listed = self._order[start[:, None] + column]
        return np.concatenate([option[:, None], listed], axis=1)

    def _parts(
        self, variants: Ints, owner: Ints, rank: Ints, item: Ints
    ) -> tuple[Parts, Parts]:
        """Work out what variants change on ranks, and in pools."""
        state = self._state
        start = state.problem.options.item_start
        items = start[variants[owner]] + (item - start[variants[owner, 0]])[:, None]
        vector = state.vectors.of_items(items.ravel())
        kind = np.repeat(state.rank_class[rank], items.shape[1])
        load = vector[np.arange(len(kind)), kind].reshape(*items.shape, -1)
        rise = load - load[:, :1]
        ranks = Parts.summed(owner, rank, rise[..., :-2], len(state.load))
        pool = state.rank_pool[rank]
        pools = Parts.summed(owner, pool, rise[..., -2:], len(state.pool_load))
        return ranks, pools

    def _costs(
        self, variants: Ints, ranks: Parts, pools: Parts, penalty: Penalty
    ) -> Floats:
        """Rise of the penalty with each variant, and its price, (K, A)."""
        state, num = self._state, len(variants)
        load = state.load[ranks.place][:, None]
        rise = penalty.of_ranks(load + ranks.rise) - penalty.of_ranks(load)
        cost = self._price[variants] + ranks.per_owner(rise, num)
        if state.uses_pools:
            load = state.pool_load[pools.place][:, None]
            rise = penalty.of_pools(load + pools.rise) - penalty.of_pools(load)
            cost += pools.per_owner(rise, num)
        return np.asarray(cost)

    def _one_per_pool(self, pools: Parts, best: Ints, goes: Bools) -> Bools:
        """Whether a change meets no pool whose bytes an earlier one changes (K,)."""
        rise = pools.rise[np.arange(len(pools.owner)), best[pools.owner]]
        touched = goes[pools.owner] & rise.any(axis=1)
        owner, pool = pools.owner[touched], pools.place[touched]
        return _first_everywhere(owner, pool, len(goes), len(self._state.pool_load))


def _first_everywhere(owner: Ints, place: Ints, num: int, num_places: int) -> Bools:
    """Whether each of `num` owners is the first one on all of its places (num,)."""
    first = np.full(num_places, num)
    np.minimum.at(first, place, owner)
    found = np.ones(num, dtype=bool)
    found[owner[first[place] != owner]] = False
    return found


def _cuts(menu: Options) -> Ints:
    """Return a number for each option that is the same for the same table and cut."""
    cut = menu.table
    for column in (menu.sharding_type, menu.scope, menu.column_shards, menu.row_shards):
        cut = cut * (int(column.max(initial=0)) + 1) + column
    return cut
