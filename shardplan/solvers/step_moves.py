"""Where a bundle may go instead: many of its options at once, each with good places."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import SCOPES, Scope
from shardplan.solvers.rank_sample import RankSampler
from shardplan.solvers.step_menus import MoveMenus
from shardplan.solvers.step_state import powers_of

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats, Ints
    from shardplan.solvers.rank_sample import RankSample
    from shardplan.solvers.step_menus import MoveMenu, ScopeOptions
    from shardplan.solvers.step_state import StepState


_NOISE = 0.1
"""Spread of a rank's load when places are chosen, as a share of the mean."""
_EVEN = 0.1
"""Weight of what an option does not load, against what it loads most."""
_HIDDEN = 0.006
"""Weight of loads that are not on the longest path, per second."""
_TINY = np.finfo(float).tiny


class DrawnOptions(NamedTuple):
    """N options of a bundle, with places.

    Attributes
    ----------
    options : int array (N,)
    places : int array
        Those of all options, one option's after another's.
    start : int array (N + 1,)
        Where those of each begin; the last number is where they end.
    fullest : float array (N, K)
        The fullest groups of the whole plan with each.
    powers : float array (N, K)
        What it has in all ranks' sum of `powers_of`.
    """

    options: Ints
    places: Ints
    start: Ints
    fullest: Floats
    powers: Floats

    def places_of(self, index: int) -> Ints:
        """Return the places of one of the options."""
        return self.places[self.start[index] : self.start[index + 1]]


class _Placed(NamedTuple):
    """Options with places, and the items that they put on ranks; see `DrawnOptions`."""

    options: Ints
    places: Ints
    num_places: Ints
    items: Ints
    ranks: Ints
    on_ranks: Ints


class StepMoves:
    """Draws options and places for a bundle that was taken off a state.

    Attributes
    ----------
    menus : MoveMenus
        What is drawn from.
    """

    def __init__(self, state: StepState, rng: np.random.Generator) -> None:
        self._state, self._rng = state, rng
        problem = state.problem
        self._problem, cluster = problem, problem.cluster
        self.menus = MoveMenus(state, rng)
        self._sampler = RankSampler(cluster, rng)
        self._groups = [cluster.groups(scope) for scope in SCOPES]
        self._rank_class, self._classes = cluster.rank_class, len(cluster.host_groups)
        self._item_load = state.item_load.reshape(-1, state.item_load.shape[2])

    def draw(self, bundle: int, slopes: Floats) -> DrawnOptions | None:
        """Draw options, and the places that load the longest path least; None if none.

        Parameters
        ----------
        slopes : float array (K,)
            By how much the step grows with the load of the fullest rank.
        """
        state, menu = self._state, self.menus.of(bundle)
        if menu is None:
            return None
        sample = self._sampler.draw(menu.most_ranks)
        score = self._scores(menu, slopes, sample)
        found = [self._of_scope(bundle, part, score, sample) for part in menu.parts]
        for row in menu.in_one_host:
            option = menu.options.item(row)
            found.append(self._in_one_host(bundle, option, score[row], sample))
        placed = [one for one in found if one is not None]
        everywhere = menu.everywhere
        if len(everywhere):
            for tier, need in menu.needs:
                fits = need[everywhere, 0] <= state.free(tier).min()
                everywhere = everywhere[fits]
        if not placed and not len(everywhere):
            return None
        options, counts, places = [], [], []
        fullest: list[Floats] = []
        more: list[Floats] = []
        powers = state.powers()
        if placed:
            options += [one.options for one in placed]
            counts += [one.num_places for one in placed]
            places += [one.places for one in placed]
            self._add_loaded(placed, fullest, more)
        if len(everywhere):
            options.append(menu.options[everywhere])
            counts.append(np.zeros(len(everywhere), dtype=np.int64))
            self._add_over_all(menu.options[everywhere], powers, fullest, more)
        start = np.concatenate([[0], *counts]).cumsum()
        return DrawnOptions(
            np.concatenate(options),
            np.concatenate(places) if places else start[:0],
            start,
            np.maximum(np.concatenate(fullest), state.fullest()),
            powers + np.concatenate(more),
        )

    def _scores(self, menu: MoveMenu, slopes: Floats, sample: RankSample) -> Floats:
        """Weigh the loads of ranks by what options add to them, with some luck.

        Ranks without room have an infinite one.
        """
        weights = menu.one_place * slopes
        most = np.maximum.reduce(weights, axis=1, keepdims=True)
        weights /= np.maximum(most, _TINY)
        weights += _EVEN
        weights *= slopes
        weights += _HIDDEN
        score = self._by_rank(weights, sample)
        spread = np.add.reduce(score, axis=1, keepdims=True)
        luck = self._rng.random(score.shape)
        luck *= spread * (_NOISE / score.shape[1])
        score += luck
        for tier, need in menu.needs:
            free = self._state.free(tier)
            score[need > (free if sample.is_whole else free[sample.ranks])] = np.inf
        return score

    def _by_rank(self, weights: Floats, sample: RankSample) -> Floats:
        """Weigh what each rank has, by itself and with others (N, S)."""
        state = self._state
        if not sample.is_whole:
            load = np.concatenate(
                [
                    load[groups.of_rank[sample.ranks]]
                    for groups, load in zip(state.groups, state.load, strict=True)
                ],
                axis=1,
            )
            return _products(weights, load)
        first, *others = zip(state.groups, state.load, strict=True)
        score = _products(weights[:, first[0].part], first[1])
        for groups, load in others:
            score += _products(weights[:, groups.part], load)[:, groups.of_rank]
        return score

    def _of_scope(
        self, bundle: int, part: ScopeOptions, score: Floats, sample: RankSample
    ) -> _Placed | None:
        """Choose the best distinct places for options of a scope, all at once."""
        own, groups = score[part.rows], self._groups[part.scope]
        which = sample.groups[part.scope]
        if part.scope != Scope.RANK:
            own = np.maximum.reduceat(own, sample.first[part.scope], axis=1)
        if part.forbidden is not None:
            own[part.forbidden[:, which]] = np.inf
        row = np.arange(len(own))
        if part.takes is None:
            best = own.argmin(axis=1)
            worst, places = own[row, best], which[best]
        else:
            order = own.argsort(axis=1)
            worst = own[row, order[row, part.number - 1]]
            places = which[order[part.takes]]
        enough = np.isfinite(worst)
        if not enough.all():
            if not enough.any():
                return None
            places = places[np.repeat(enough, part.number)]
            part = self.menus.part(bundle, part.scope, part.rows, part.options, enough)
        if part.scope == Scope.RANK:
            items, ranks, on_ranks = part.items, places, part.number
        else:
            which, ranks = self._problem.ranks_of(part.scope, places)
            items = part.items[which]
            sizes = groups.num_ranks[places]
            first = np.cumsum(part.number) - part.number
            on_ranks = np.add.reduceat(sizes, first)
        return _Placed(part.options, places, part.number, items, ranks, on_ranks)

    def _in_one_host(
        self, bundle: int, option: int, score: Floats, sample: RankSample
    ) -> _Placed | None:
        """Put an option on the best ranks of the host that has the best one."""
        state, problem = self._state, self._problem
        is_legal = np.isfinite(score)
        legal = problem.group_places(bundle, option)
        if len(legal) < problem.world_size:
            is_legal &= np.isin(sample.ranks, legal)
        if not is_legal.any():
            return None
        host = problem.cluster.rank_host[sample.ranks]
        best = np.where(is_legal, score, np.inf).argmin()
        at = np.flatnonzero(is_legal & (host == host[best]))
        items = state.copies(option)
        if len(at) < len(items):
            return None
        places = sample.ranks[at[score[at].argsort(kind="stable")[: len(items)]]]
        count = np.array([len(items)])
        return _Placed(np.array([option]), places, count, items, places, count)

    def _add_loaded(
        self, placed: list[_Placed], fullest: list[Floats], more: list[Floats]
    ) -> None:
        """Add the fullest groups and more powers (N, K) with items on ranks."""
        state = self._state
        ranks = np.concatenate([one.ranks for one in placed])
        items = np.concatenate([one.items for one in placed])
        count = np.concatenate([one.on_ranks for one in placed])
        start = np.cumsum(count) - count
        added = self._item_load[items * self._classes + self._rank_class[ranks]]
        highest, higher = [], []
        for groups, load in zip(state.groups, state.load, strict=True):
            own = added[:, groups.part]
            if groups.is_single:
                before = load[ranks]
                after = before + own
                powers = powers_of(after) - powers_of(before)
                if len(start) < len(ranks):
                    after = np.maximum.reduceat(after, start, axis=0)
                    powers = np.add.reduceat(powers, start, axis=0)
            else:
                option = np.repeat(np.arange(len(count)), count)
                at = option * len(load) + groups.of_rank[ranks]
                total = np.zeros((len(count) * len(load), own.shape[1]))
                np.add.at(total, at, own)
                every = load + total.reshape(len(count), *load.shape)
                after = every.max(axis=1)
                powers = groups.total(powers_of(every) - powers_of(load))
            highest.append(after)
            higher.append(powers)
        fullest.append(np.concatenate(highest, axis=1))
        more.append(np.concatenate(higher, axis=1))

    def _add_over_all(
        self, options: Ints, powers: Floats, fullest: list[Floats], more: list[Floats]
    ) -> None:
        """Put options on all ranks, which leaves nothing to choose."""
        each, state, highest, after = (
            self.menus.everywhere[options],
            self._state,
            [],
            [],
        )
        for groups, load in zip(state.groups, state.load, strict=True):
            own = each[:, :, groups.part]
            if groups.is_single:
                with_it = load + own[:, self._rank_class]
            else:
                with_it = load + groups.members @ own
            highest.append(np.maximum.reduce(with_it, axis=1))
            after.append(groups.total(powers_of(with_it)))
        fullest.append(np.concatenate(highest, axis=1))
        more.append(np.concatenate(after, axis=1) - powers)


def _products(weights: Floats, load: Floats) -> Floats:
    """Weigh loads: (N, K) and (S, K) to (N, S)."""
    # Not by BLAS, whose threads wait longer for each other than this takes.
    found = np.einsum("nk,ks->ns", weights, np.ascontiguousarray(load.T))
    return np.asarray(found)
