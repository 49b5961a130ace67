"""Take a bundle out and put it back in another way, or at another place."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.solvers.search.params import SEARCH_DEFAULTS, RecutParams
from shardplan.solvers.tolerances import LEAST_EXCESS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.search.penalty import Penalty
    from shardplan.solvers.search.state import State


class Way(NamedTuple):
    """One way to place a bundle, and what it adds to the penalty."""

    change: float
    option: int
    places: Ints


class Recutter:
    """Tries options of small regret at ranks with room.

    Parameters
    ----------
    regret : float array (O,)
        See `Regrets`.
    excess : float array (O,)
        Options above 0 are tried only if a bundle has no others; see `Limits`.
    """

    def __init__(
        self,
        state: State,
        regret: Floats,
        excess: Floats,
        rng: np.random.Generator,
        params: RecutParams = SEARCH_DEFAULTS.recutting,
    ) -> None:
        self._state, self._rng, self.params = state, rng, params
        self._regret, self._excess = regret, excess
        self.price = params.regret_price * regret / state.vectors.unit_s
        self._short: dict[int, Ints] = {}
        self.roomy: Ints = np.zeros(0, dtype=np.int64)
        self.evaluated = 0

    def recut(self, bundle: int, penalty: Penalty, temperature: float) -> bool:
        """Re-place a bundle the best way found; undo what raises the penalty.

        With a temperature a rise is kept with probability exp(-rise / temperature).
        """
        state = self._state
        old_ranks = np.flatnonzero(state.ranks_used(bundle))
        old_rows, pools = state.load[old_ranks], state.pool_load.copy()
        option, places = state.take(bundle)
        way = self.best_way(bundle, penalty, option, old_ranks)
        if way is None or (way.option == option and np.array_equal(way.places, places)):
            state.put(bundle, option, places)
            return False
        before_rows = state.load.copy()
        before_rows[old_ranks] = old_rows
        state.put(bundle, way.option, way.places)
        touched = np.union1d(old_ranks, np.flatnonzero(state.ranks_used(bundle)))
        rise = penalty.of_ranks(state.load[touched]).sum()
        rise -= penalty.of_ranks(before_rows[touched]).sum()
        rise += penalty.of_pools(state.pool_load).sum() - penalty.of_pools(pools).sum()
        rise += self.price[way.option] - self.price[option]
        if rise < temperature * self._rng.exponential():
            return True
        state.take(bundle)
        state.put(bundle, option, places)
        return False

    def insert(self, bundle: int, option: int, penalty: Penalty) -> bool:
        """Put a bundle that is out where its option hurts least, or else another."""
        self.look_around()
        none = np.zeros(0, dtype=np.int64)
        mask = self._state.without_conflicts(bundle)
        ways = self._ways(np.array([option]), penalty, option, mask, none)
        way = min(ways, key=lambda way: way.change, default=None)
        way = way or self.best_way(bundle, penalty, -1, none)
        if way is not None:
            self._state.put(bundle, way.option, way.places)
        return way is not None

    def best_way(
        self, bundle: int, penalty: Penalty, current: int, extra: Ints
    ) -> Way | None:
        """Find the least penalised of some ways to place a bundle that is out."""
        mask = self._state.without_conflicts(bundle)
        options = self._options(bundle, current)
        ways = self._ways(options, penalty, current, mask, extra)
        return min(
            ways, key=lambda way: way.change + self.price[way.option], default=None
        )

    def _ways(
        self,
        options: Ints,
        penalty: Penalty,
        current: int,
        mask: Bools,
        extra: Ints,
    ) -> Iterator[Way]:
        menu = self._state.problem.options
        single = (menu.scope[options] == Scope.RANK) & ~menu.same_host[options]
        if single.any():
            ranks = self._candidates(mask, extra)
            yield from self._on_ranks(options[single], penalty, ranks)
        others = options[~single]
        if len(others) > self.params.wide_tried:
            chosen = self._rng.permutation(len(others))[: self.params.wide_tried]
            others = np.union1d(others[chosen], others[others == current])
        for option in others.tolist():
            if menu.same_host[option]:
                yield from self._on_one_host(option, penalty, mask)
            else:
                yield from self._on_groups(option, penalty, mask)

    def _options(self, bundle: int, current: int) -> Ints:
        """Sample the short list, small regret first, with the current option."""
        short = self.short_list(bundle)
        tried, bias = self.params.tried, self.params.tried_bias
        if len(short) > tried:
            draw = self._rng.random(tried)
            short = short[np.unique((len(short) * draw**bias).astype(np.int64))]
        return np.union1d(short, [current]) if current >= 0 else short

    def short_list(self, bundle: int) -> Ints:
        """Options within the limits, least regret first; or the least excessive one."""
        found = self._short.get(bundle)
        if found is None:
            start, end = self._state.problem.options.start[bundle : bundle + 2]
            excess = np.maximum(self._excess[start:end], 0.0)
            excess = excess - excess.min()
            order = np.lexsort((self._regret[start:end], excess))
            order = order[: int((excess <= LEAST_EXCESS).sum())]
            found = self._short[bundle] = start + order[: self.params.short_list]
        return found

    def look_around(self) -> None:
        """Renew the ranks that have room: little time, or little memory."""
        world, quarter = len(self._state.load), self.params.ranks // 4
        if world <= self.params.ranks:
            return
        load = self._state.load
        time = load[:, :-1].sum(axis=1)
        low_time = np.argpartition(time, 2 * quarter)[: 2 * quarter]
        low_memory = np.argpartition(load[:, -1], quarter)[:quarter]
        self.roomy = np.concatenate([low_time, low_memory])

    def _candidates(self, mask: Bools, extra: Ints) -> Ints:
        """Ranks with room, random ones, and the old ones."""
        world, most = len(mask), self.params.ranks
        if world <= most:
            return np.flatnonzero(mask)
        random = self._rng.integers(world, size=most // 4)
        chosen = np.unique(np.concatenate([self.roomy, random, extra[:most]]))
        found = chosen[mask[chosen]]
        if len(found) < self.params.few_ranks:
            allowed = np.flatnonzero(mask)
            found = np.union1d(found, self._rng.permutation(allowed)[:most])
        return np.asarray(found)

    def _rises(self, items: Ints, ranks: Ints, penalty: Penalty) -> Floats:
        """Rise of the penalty with one item on one rank, (items, ranks)."""
        state = self._state
        vector = state.vectors.of_items(items)[:, state.rank_class[ranks]]
        load = state.load[ranks]
        rise = penalty.of_ranks(load + vector[..., :-2]) - penalty.of_ranks(load)
        self.evaluated += rise.size
        if vector[..., -2:].any():
            pool = state.pool_load[state.rank_pool[ranks]]
            rise += penalty.of_pools(pool + vector[..., -2:]) - penalty.of_pools(pool)
        return np.asarray(rise)

    def _on_ranks(self, options: Ints, penalty: Penalty, ranks: Ints) -> Iterator[Way]:
        """Put each option's items on the ranks where they hurt least."""
        menu = self._state.problem.options
        first, second = menu.item_start[options], menu.item_start[options + 1] - 1
        items = np.unique(np.r_[first, second])
        rises = self._rises(items, ranks, penalty)
        order = np.argsort(rises, axis=1)
        totals = np.cumsum(np.take_along_axis(rises, order, axis=1), axis=1)
        wide, narrow = np.searchsorted(items, first), np.searchsorted(items, second)
        for index, option in enumerate(options.tolist()):
            a, b = wide[index], narrow[index]
            count = int(menu.item_count[items[a]])
            both = count if a == b else count + int(menu.item_count[items[b]])
            if both > len(ranks):
                continue
            if a == b:
                chosen = ranks[order[a, :count]]
                yield Way(float(totals[a, count - 1]), option, chosen)
                continue
            taken = np.zeros(len(ranks), dtype=bool)
            taken[order[a, :count]] = True
            rest = order[b][~taken[order[b]]][: both - count]
            change = totals[a, count - 1] + rises[b, rest].sum()
            places = np.concatenate([ranks[order[a, :count]], ranks[rest]])
            yield Way(float(change), option, places)

    def _on_one_host(self, option: int, penalty: Penalty, mask: Bools) -> Iterator[Way]:
        """Put an option whose places share a host on one of the emptiest hosts."""
        state = self._state
        first = state.problem.cluster.host_first_rank
        load = np.add.reduceat(state.load.max(axis=1), first)
        usable = np.flatnonzero(np.logical_or.reduceat(mask, first))
        for host in usable[np.argsort(load[usable])[: self.params.hosts]].tolist():
            ranks = np.flatnonzero(mask & (state.rank_host == host))
            yield from self._on_ranks(np.array([option]), penalty, ranks)

    def _on_groups(self, option: int, penalty: Penalty, mask: Bools) -> Iterator[Way]:
        """Put an option over groups of ranks, or over all of them."""
        problem = self._state.problem
        menu, scope = problem.options, int(problem.options.scope[option])
        items = np.arange(menu.item_start[option], menu.item_start[option + 1])
        everyone = np.arange(problem.world_size)
        rises = self._rises(items, everyone, penalty)
        if scope == Scope.ALL:
            if mask.all():
                yield Way(float(rises.sum()), option, np.zeros(0, dtype=np.int64))
            return
        first = problem.cluster.groups(scope).first_rank
        fitting = problem.cluster.groups(scope).of_size(int(menu.row_shards[option]))
        groups = fitting[np.logical_and.reduceat(mask, first)[fitting]]
        each = np.add.reduceat(rises, first, axis=1)[:, groups]
        counts = menu.item_count[items]
        if counts.sum() > len(groups):
            return
        change, chosen = 0.0, list[int]()
        for row, count in zip(each, counts.tolist(), strict=True):
            row[chosen] = np.inf
            best = np.argsort(row, kind="stable")[:count]
            change += float(row[best].sum())
            chosen += best.tolist()
        yield Way(change, option, groups[chosen])
