"""Look for better cuts and places of many bundles at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.solvers.tolerances import ROUNDOFF

if TYPE_CHECKING:
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.search.moves.noise import Noise
    from shardplan.solvers.search.moves.recut import Recutter
    from shardplan.solvers.search.penalty import Penalty
    from shardplan.solvers.search.state import State


class View(NamedTuple):
    """What K bundles see: ranks, and the loads there without the bundle.

    Attributes
    ----------
    ranks : int array (K, R)
        Ranks to look at; -1 for none.
    load : float array (K, R, D + 1)
    pool_load : float array (K, R, 2)
    added : float array (K,)
        What the bundle adds to the penalty now.
    """

    ranks: Ints
    load: Floats
    pool_load: Floats
    added: Floats


class Proposer:
    """Evaluates some options of many bundles on some ranks in one pass.

    Moves that look good are made one after the other; those that meet a rank that
    has changed since are left for another time. Bundles with limits, or of wider
    scopes, go through `Recutter`.
    """

    def __init__(
        self, state: State, recutter: Recutter, rng: np.random.Generator, noise: Noise
    ) -> None:
        self._state, self._recutter = state, recutter
        self._params = recutter.params
        self._rng, self._noise = rng, noise
        menu = state.problem.options
        self._count = menu.num_copies
        self._usable = (menu.scope == Scope.RANK) & ~menu.same_host
        self._limited = state.problem.limited
        self.evaluated = 0

    def recut(self, bundles: Ints, penalty: Penalty, temperature: float) -> int:
        """Re-place those of many bundles that it helps; return how many."""
        state = self._state
        menu = state.problem.options
        self._recutter.look_around()
        plain = menu.scope[state.option[bundles]] == Scope.RANK
        plain &= ~self._limited[bundles] & ~menu.same_host[state.option[bundles]]
        singly = np.r_[bundles[~plain][: self._params.singly], bundles[plain][:1]]
        moved = 0
        for bundle in singly.tolist():
            moved += self._recutter.recut(bundle, penalty, temperature)
        some = bundles[plain][1:]
        size = self._params.batch
        for i in range(0, len(some), size):
            moved += self._recut(some[i : i + size], penalty, temperature)
        return moved

    def _recut(self, bundles: Ints, penalty: Penalty, temperature: float) -> int:
        state, price = self._state, self._recutter.price
        options, view = self._sample(bundles), self._view(bundles, penalty)
        rise = self._rises(options, view, penalty)
        self.evaluated += rise.size
        order = np.argsort(rise, axis=2, kind="stable")
        total = np.cumsum(np.take_along_axis(rise, order, axis=2), axis=2)
        count = self._count[options]
        last = np.minimum(count, rise.shape[2])[..., None] - 1
        change = np.take_along_axis(total, last, axis=2)[..., 0] + price[options]
        change[(count > rise.shape[2]) | ~self._usable[options]] = np.inf
        noisy, most = change, np.full(len(bundles), -ROUNDOFF)
        if temperature > 0.0:
            noisy = change - temperature * self._noise.draw(change.shape)
            most = temperature * self._rng.exponential(size=len(bundles))
        best = np.argmin(noisy, axis=1)
        change = change[np.arange(len(bundles)), best]
        change -= view.added + price[state.option[bundles]]
        changed = np.zeros(len(state.load), dtype=bool)
        moved = 0
        for k in np.flatnonzero(change < most).tolist():
            option, size = int(options[k, best[k]]), int(count[k, best[k]])
            places = view.ranks[k, order[k, best[k], :size]]
            moved += self._move(int(bundles[k]), option, places, changed)
        return moved

    def _move(self, bundle: int, option: int, places: Ints, changed: Bools) -> bool:
        """Re-place a bundle unless ranks (or pools, if they matter) have changed."""
        state = self._state
        ranks = np.concatenate([state.places_of(bundle), places])
        if changed[ranks].any():
            return False
        state.take(bundle)
        state.put(bundle, option, places)
        if state.uses_pools:
            changed[np.isin(state.rank_pool, state.rank_pool[ranks])] = True
        else:
            changed[ranks] = True
        return True

    def _sample(self, bundles: Ints) -> Ints:
        """Draw options of each bundle, small regret first, and its own, (K, T)."""
        tried, bias = self._params.tried, self._params.tried_bias
        draw = self._rng.random((len(bundles), tried - 1)) ** bias
        found = np.empty((len(bundles), tried), dtype=np.int64)
        for k, bundle in enumerate(bundles.tolist()):
            short = self._recutter.short_list(bundle)
            found[k, :-1] = short[(draw[k] * len(short)).astype(np.int64)]
        found[:, -1] = self._state.option[bundles]
        return found

    def _rises(self, options: Ints, view: View, penalty: Penalty) -> Floats:
        """Rise of the penalty with an option's wider item on each rank, (K, T, R)."""
        state = self._state
        num, tried = options.shape
        item = state.problem.options.item_start[options]
        vector = state.vectors.of_items(item.ravel())
        vector = vector.reshape(num, tried, *vector.shape[1:])
        if vector.shape[2] > 1:
            kind = state.rank_class[view.ranks][:, None, :]
            rows = np.arange(num)[:, None, None]
            vector = vector[rows, np.arange(tried)[:, None], kind]
        load = view.load[:, None]
        rise = penalty.of_ranks(load + vector[..., :-2]) - penalty.of_ranks(load)
        if state.uses_pools:
            pool = view.pool_load[:, None]
            rise += penalty.of_pools(pool + vector[..., -2:]) - penalty.of_pools(pool)
        nowhere = np.broadcast_to((view.ranks < 0)[:, None], rise.shape)
        return np.where(nowhere, np.inf, rise)

    def _view(self, bundles: Ints, penalty: Penalty) -> View:
        """Look at ranks with room, random ones, and some of each bundle's own."""
        state, num = self._state, len(bundles)
        common = self._common()
        ranks = np.full((num, len(common) + self._params.own_ranks), -1, dtype=np.int64)
        ranks[:, : len(common)] = common
        where = np.full(len(state.load), -1, dtype=np.int64)
        where[common] = np.arange(len(common))
        owner, rank, vector = self._own(bundles)
        column = where[rank]
        outside = np.flatnonzero(column < 0)
        nth = np.arange(len(outside)) - np.searchsorted(owner[outside], owner[outside])
        column[outside] = np.where(nth < self._params.own_ranks, len(common) + nth, -1)
        seen = column >= 0
        ranks[owner[seen], column[seen]] = rank[seen]
        load = state.load[ranks]
        pool_load: Floats = state.pool_load[state.rank_pool[ranks]]
        rest = state.load[rank] - vector[:, :-2]
        load[owner[seen], column[seen]] = rest[seen]
        gone = penalty.of_ranks(state.load[rank]) - penalty.of_ranks(rest)
        added: Floats = np.bincount(owner, gone, minlength=num).astype(np.float64)
        if state.uses_pools:
            pools = state.rank_pool[rank]
            own = np.zeros((num, len(state.pool_load), 2))
            np.add.at(own, (owner, pools), vector[:, -2:])
            without = state.pool_load - own
            gone = penalty.of_pools(state.pool_load) - penalty.of_pools(without)
            added += gone.sum(axis=1)
            pool_load = without[np.arange(num)[:, None], state.rank_pool[ranks]]
        return View(ranks, load, pool_load, added)

    def _common(self) -> Ints:
        world, most = len(self._state.load), self._params.ranks
        if world <= most:
            return np.arange(world)
        random = self._rng.integers(world, size=most // 2)
        return np.union1d(self._recutter.roomy, random)

    def _own(self, bundles: Ints) -> tuple[Ints, Ints, Floats]:
        """Which of K bundles has what on which rank: (S,), (S,), (S, D + 3)."""
        state = self._state
        units = [state.units[bundle] for bundle in bundles.tolist()]
        owner = np.repeat(np.arange(len(units)), [len(some) for some in units])
        unit = np.array([u for some in units for u in some], dtype=np.int64)
        rank = state.unit_rank[unit]
        vector = state.unit_vector[unit, state.rank_class[rank]]
        world = len(state.load)
        key, back = np.unique(owner * world + rank, return_inverse=True)
        total = np.zeros((len(key), vector.shape[1]))
        np.add.at(total, back, vector)
        return key // world, key % world, total
