"""Give bundles another option (cut, kernel, cache fraction), or other places."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.solvers.search.moves.move import Move
from shardplan.solvers.tolerances import ROUNDOFF

if TYPE_CHECKING:
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.search.moves.candidates import Candidates
    from shardplan.solvers.search.moves.insertion import Inserter
    from shardplan.solvers.search.moves.noise import Noise
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


class Recutter(Move):
    """Re-places bundles: in batches, or singly where that is not enough.

    A batch is evaluated in one pass, by the wider shard of each option alone. Moves
    that look good are made one after the other; those that meet a rank that has
    changed since are left for another time. A bundle that has limits or is on groups
    of ranks is taken out and put back the best way found.
    """

    def __init__(
        self,
        state: State,
        rng: np.random.Generator,
        noise: Noise,
        candidates: Candidates,
        inserter: Inserter,
    ) -> None:
        super().__init__(state, rng, noise)
        self._candidates, self._inserter = candidates, inserter
        self._params = candidates.params
        menu = state.problem.options
        self._count = menu.num_copies
        self._usable = (menu.scope == Scope.RANK) & ~menu.same_host
        self._limited = state.problem.limited

    def make(self, where: Ints, penalty: Penalty, temperature: float) -> int:
        """Re-place those bundles (K,) that it helps."""
        self._candidates.look_around()
        plain = self._usable[self._state.option[where]] & ~self._limited[where]
        # One by one takes as long as a batch, so it is for few. One plain bundle is
        # among them: batches know no wider scopes, and would never lead to one.
        singly = np.r_[where[~plain][: self._params.singly], where[plain][:1]]
        moved = 0
        for bundle in singly.tolist():
            moved += self.recut(bundle, penalty, temperature)
        some, size = where[plain][1:], self._params.batch
        for i in range(0, len(some), size):
            moved += self._recut_batch(some[i : i + size], penalty, temperature)
        return moved

    def first_that_helps(self, bundles: Ints, penalty: Penalty) -> bool:
        """Re-place bundles one by one until one lowers the penalty; whether one did."""
        self._candidates.look_around()
        return any(self.recut(bundle, penalty, 0.0) for bundle in bundles.tolist())

    def recut(self, bundle: int, penalty: Penalty, temperature: float) -> bool:
        """Re-place a bundle the best way found; undo what is not accepted."""
        state, price = self._state, self._candidates.price
        load, pools = state.load.copy(), state.pool_load.copy()
        before = state.ranks_used(bundle)
        option, places = state.take(bundle)
        way = self._inserter.best(bundle, penalty, option, np.flatnonzero(before))
        if way is None or (way.option == option and np.array_equal(way.places, places)):
            state.put(bundle, option, places)
            return False
        state.put(bundle, way.option, way.places)
        # `way.change` is an estimate: items on groups share pools, and may share ranks
        # of them. What is accepted is judged by the loads as they are now.
        touched = np.flatnonzero(before | state.ranks_used(bundle))
        rise = self._risen(touched, load[touched], pools, penalty)
        rise += price[way.option] - price[option]
        # As Metropolis: exp(-rise / T) > uniform, with -log(uniform) drawn at once.
        if rise < temperature * self._rng.exponential():
            return True
        state.take(bundle)
        state.put(bundle, option, places)
        return False

    def _risen(
        self, ranks: Ints, load: Floats, pool_load: Floats, penalty: Penalty
    ) -> float:
        """By how much the penalty is above that of former loads of ranks and pools."""
        state = self._state
        rise = penalty.of_ranks(state.load[ranks]).sum() - penalty.of_ranks(load).sum()
        pools = penalty.of_pools(state.pool_load).sum()
        return float(rise + (pools - penalty.of_pools(pool_load).sum()))

    def _recut_batch(self, bundles: Ints, penalty: Penalty, temperature: float) -> int:
        state, price = self._state, self._candidates.price
        options = self._candidates.options_of_many(bundles)
        view = self._view(bundles, penalty)
        rise = self._rises(options, view, penalty)
        self.evaluated += rise.size
        order = np.argsort(rise, axis=2, kind="stable")
        total = np.cumsum(np.take_along_axis(rise, order, axis=2), axis=2)
        count = self._count[options]
        last = np.minimum(count, rise.shape[2])[..., None] - 1
        change = np.take_along_axis(total, last, axis=2)[..., 0] + price[options]
        change[(count > rise.shape[2]) | ~self._usable[options]] = np.inf
        best = np.argmin(self._heated(change, temperature), axis=1)
        most = np.full(len(bundles), -ROUNDOFF)
        if temperature > 0.0:
            most = temperature * self._rng.exponential(size=len(bundles))
        change = change[np.arange(len(bundles)), best]
        change -= view.added + price[state.option[bundles]]
        changed = np.zeros(len(state.load), dtype=bool)
        moved = 0
        for k in np.flatnonzero(change < most).tolist():
            option, size = int(options[k, best[k]]), int(count[k, best[k]])
            places = view.ranks[k, order[k, best[k], :size]]
            bundle, most_rise = int(bundles[k]), float(most[k])
            moved += self._replace(bundle, option, places, changed, penalty, most_rise)
        return moved

    def _replace(
        self,
        bundle: int,
        option: int,
        places: Ints,
        changed: Bools,
        penalty: Penalty,
        most: float,
    ) -> bool:
        """Re-place a bundle unless ranks (or pools, if they matter) have changed."""
        state = self._state
        ranks = np.concatenate([state.places_of(bundle), places])
        if changed[ranks].any():
            return False
        if not state.uses_pools:
            state.take(bundle)
            state.put(bundle, option, places)
            changed[ranks] = True
            return True
        pools = np.unique(state.rank_pool[ranks])
        # Each place was judged as if it were the only one of its pool: of a table on
        # all ranks of a host, hardly any of the bytes.
        if len(np.unique(state.rank_pool[places])) == len(places):
            most = np.inf
        if not self._try(bundle, option, places, penalty, most):
            return False
        changed[np.isin(state.rank_pool, pools)] = True
        return True

    def _try(
        self, bundle: int, option: int, places: Ints, penalty: Penalty, most: float
    ) -> bool:
        """Re-place a bundle if the penalty rises by less than so much by the loads."""
        state, price = self._state, self._candidates.price
        touched = np.union1d(state.places_of(bundle), places)
        load, pools = state.load[touched], state.pool_load.copy()
        before, places_before = state.take(bundle)
        state.put(bundle, option, places)
        rise = self._risen(touched, load, pools, penalty)
        if rise + price[option] - price[before] < most:
            return True
        state.take(bundle)
        state.put(bundle, before, places_before)
        return False

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
        rise = penalty.rise(view.load[:, None], view.pool_load[:, None], vector)
        return np.where((view.ranks < 0)[:, None], np.inf, rise)

    def _view(self, bundles: Ints, penalty: Penalty) -> View:
        """Look at ranks with room, random ones, and some of each bundle's own."""
        state, num, extra = self._state, len(bundles), self._params.own_ranks
        # Most ranks are the same for all, so that a batch is one array; a few columns
        # more are each bundle's own, or staying where it is would not be among them.
        common = self._candidates.ranks_for_all()
        ranks = np.full((num, len(common) + extra), -1, dtype=np.int64)
        ranks[:, : len(common)] = common
        where = np.full(len(state.load), -1, dtype=np.int64)
        where[common] = np.arange(len(common))
        owner, rank, vector = self._own(bundles)
        column = where[rank]
        outside = np.flatnonzero(column < 0)
        nth = np.arange(len(outside)) - np.searchsorted(owner[outside], owner[outside])
        column[outside] = np.where(nth < extra, len(common) + nth, -1)
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
