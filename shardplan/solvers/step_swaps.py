"""Exchange shards between two places: many pairs at once, judged by the whole plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.solvers.step_state import powers_of

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.problems.step_columns import RankGroups
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.step_state import StepState

_OTHERS = 48
"""Tables whose shards are looked at for the other side of an exchange."""
_EMPTY = 16
"""Places that are looked at for giving a shard away."""
_MOST_SHARDS = 128
"""Shards of these tables, at most."""
_NOBODY = -1
"""Stands for no shard: what is exchanged for it moves alone."""


class Shards(NamedTuple):
    """Shards, and the places where they are; N of one scope.

    Attributes
    ----------
    bundle, slot : int arrays (N,)
        Which of the bundle's places it has; `_NOBODY` for a place's own nothing.
    item, place : int arrays (N,)
    """

    bundle: Ints
    slot: Ints
    item: Ints
    place: Ints

    @classmethod
    def nothing(cls, place: Ints) -> Shards:
        """Return no shard, at each of some places."""
        nobody = np.full(len(place), _NOBODY)
        return cls(nobody, nobody, nobody, place)

    def plus(self, other: Shards) -> Shards:
        """Return these and others."""
        return Shards(*map(np.concatenate, zip(self, other, strict=True)))

    def where(self, which: Bools) -> Shards:
        """Return some of them."""
        return Shards(*(own[which] for own in self))


class Exchanges(NamedTuple):
    """Each of I shards of one place for each of J elsewhere; N = I * J ways.

    Attributes
    ----------
    own, others : Shards
    fits : bool array (N,)
    fullest : float array (N, K)
        The fullest groups of the whole plan after each.
    powers : float array (N, K)
        What it has in all ranks' sum of `powers_of`.
    """

    own: Shards
    others: Shards
    fits: Bools
    fullest: Floats
    powers: Floats

    def moves(self, index: int) -> list[tuple[int, int, int]]:
        """Return who goes where: bundles, slots and places."""
        one, other = divmod(index, len(self.others.item))
        own, others = self.own, self.others
        found = [
            (own.bundle.item(one), own.slot.item(one), others.place.item(other)),
            (others.bundle.item(other), others.slot.item(other), own.place.item(one)),
        ]
        return [move for move in found if move[0] != _NOBODY]


class _Touched(NamedTuple):
    """Groups of ranks that places touch: U each, P places.

    Attributes
    ----------
    groups : int array (P, U)
    ranks : float array (P, U)
        How many ranks of the place each has.
    size : float array (P, U)
        How many it has in all.
    part : slice
        Columns.
    """

    groups: Ints
    ranks: Floats
    size: Floats
    part: slice


class StepSwaps:
    """Draws exchanges for a state.

    Parameters
    ----------
    state : StepState
    free : int array
        Bundles that may move.
    """

    def __init__(self, state: StepState, free: Ints, rng: np.random.Generator) -> None:
        self._state, self._rng = state, rng
        self._problem: Problem = state.problem
        problem = self._problem
        self._menu = problem.options
        self._pool = problem.capacity.rank_pool
        self._free = free[~problem.limited[free]]
        self._levels: dict[int, tuple[_Touched, ...]] = {}
        self._class = problem.cluster.rank_class
        nothing = np.zeros((1, *state.item_load.shape[1:]))
        self._load = np.concatenate([state.item_load, nothing])
        none = np.zeros((1, 3))
        self._bytes = np.concatenate([self._menu.item_bytes, none])

    def draw(self, ranks: Ints) -> Exchanges | None:
        """Draw a place of some ranks, and what its shards may be exchanged for.

        Parameters
        ----------
        ranks : int array
            Where something should get less.
        """
        scopes = self._menu.scope[self._state.option[self._free]]
        movable = ~self._menu.same_host[self._state.option[self._free]]
        rank = int(self._rng.choice(ranks))
        here = self._state.is_on[rank, self._free] & movable
        kinds = [kind for kind in np.unique(scopes[here]).tolist() if self._suits(kind)]
        if not kinds:
            return None
        kind = int(self._rng.choice(kinds))
        usable = movable & (scopes == kind)
        place = int(self._problem.cluster.groups(kind).of_rank[rank])
        own = self._shards(self._free[usable & here])
        own = own.where(own.place == place)
        some = self._rng.permutation(self._free[usable])[:_OTHERS]
        others = self._shards(some)
        others = others.where(others.place != place)
        if len(others.item) > _MOST_SHARDS:
            chosen = np.zeros(len(others.item), dtype=bool)
            chosen[self._rng.permutation(len(chosen))[:_MOST_SHARDS]] = True
            others = others.where(chosen)
        number = len(self._problem.cluster.groups(kind).first_rank)
        empty = self._rng.permutation(number)[:_EMPTY]
        own = own.plus(Shards.nothing(np.array([place])))
        others = others.plus(Shards.nothing(empty[empty != place]))
        if not len(others.item):
            return None
        return self._judged(kind, place, own, others)

    def make(self, moves: list[tuple[int, int, int]]) -> None:
        """Put shards on places: (bundle, slot, place) each."""
        state = self._state
        for bundle, slot, place in moves:
            option, places = int(state.option[bundle]), state.places[bundle].copy()
            places[slot] = place
            state.take(bundle)
            state.put(bundle, option, places)

    def _shards(self, bundles: Ints) -> Shards:
        """List the shards of bundles."""
        state = self._state
        places = [state.places[bundle] for bundle in bundles.tolist()]
        if not places:
            return Shards.nothing(np.zeros(0, dtype=np.int64))
        sizes = np.array([len(one) for one in places])
        first = np.cumsum(sizes) - sizes
        slot = np.arange(sizes.sum()) - np.repeat(first, sizes)
        items = [state.copies(option) for option in state.option[bundles].tolist()]
        return Shards(
            np.repeat(bundles, sizes),
            slot,
            np.concatenate(items),
            np.concatenate(places),
        )

    def _suits(self, kind: int) -> bool:
        """Whether places of a scope are alike, so that shards can be exchanged."""
        return kind != Scope.ALL and bool(self._levels_of(kind))

    def _levels_of(self, kind: int) -> tuple[_Touched, ...]:
        """Return what places of a scope touch; nothing if they are not alike."""
        found = self._levels.get(kind)
        if found is None:
            found = self._levels[kind] = self._find_levels(kind)
        return found

    def _find_levels(self, kind: int) -> tuple[_Touched, ...]:
        places = self._problem.cluster.groups(kind)
        if not places.even_size:
            return ()
        ranks = np.arange(self._problem.world_size).reshape(-1, places.even_size)
        if (self._class[ranks] != self._class[ranks[:, :1]]).any():
            return ()
        levels = [_touched(groups, ranks) for groups in self._state.groups]
        return tuple(one for one in levels if one) if all(levels) else ()

    def _judged(self, kind: int, place: int, own: Shards, others: Shards) -> Exchanges:
        """Say what each exchange leads to."""
        state, groups = self._state, self._problem.cluster.groups(kind)
        first = groups.first_rank
        here, there = self._class[first[place]], self._class[first[others.place]]
        # What the place gets, and what the other one loses: (I, J, K).
        gain = self._load[others.item, here] - self._load[own.item, here][:, None]
        loss = self._load[others.item, there] - self._load[own.item[:, None], there]
        fullest, powers = [], []
        number = len(own.item) * len(others.item)
        levels = zip(self._levels_of(kind), state.load, strict=True)
        for level, load in levels:
            after, more = _of_level(level, load, place, others.place, gain, loss)
            fullest.append(after.reshape(number, -1))
            powers.append(more.reshape(number, -1))
        fits = self._fits(kind, place, own, others)
        return Exchanges(
            own,
            others,
            fits.ravel(),
            np.concatenate(fullest, axis=1),
            state.powers() + np.concatenate(powers, axis=1),
        )

    def _fits(self, kind: int, place: int, own: Shards, others: Shards) -> Bools:
        """Whether memory and tables allow each exchange (I, J)."""
        state, groups = self._state, self._problem.cluster.groups(kind)
        first, size = groups.first_rank, groups.even_size
        more = self._bytes[others.item] - self._bytes[own.item][:, None]
        free = np.minimum.reduceat(state.free(0), first)
        fits = (more[:, :, 0] <= free[place]) & (-more[:, :, 0] <= free[others.place])
        at = first[others.place]
        is_elsewhere = self._pool[at] != self._pool[first[place]]
        for tier in (1, 2) if self._menu.uses_pools.any() else ():
            left = state.free(tier)
            each = size * more[:, :, tier]
            enough = (each <= left[first[place]]) & (-each <= left[at])
            fits &= enough | ~is_elsewhere
        # Two shards of a table stay apart, whatever it asks for.
        is_there = state.is_on[at, own.bundle[:, None]]
        fits &= ~(is_there & (own.bundle != _NOBODY)[:, None])
        is_here = state.is_on[first[place], others.bundle] & (others.bundle != _NOBODY)
        return np.asarray(fits & ~is_here)


def _touched(groups: RankGroups, ranks: Ints) -> _Touched | None:
    """Return what places of ranks (P, N) touch of groups; None if not all alike."""
    of_rank = groups.of_rank[ranks]
    if ranks.shape[1] == 1:
        own, count = of_rank, np.ones(of_rank.shape)
    else:
        each = [np.unique(row, return_counts=True) for row in of_rank]
        if len({len(which) for which, _ in each}) > 1:
            return None
        own = np.array([which for which, _ in each])
        count = np.array([count for _, count in each], dtype=float)
        if own.shape[1] > 1 and len(np.unique(own)) < own.size:
            return None
    return _Touched(own, count, groups.size[own], groups.part)


def _of_level(
    level: _Touched, load: Floats, place: int, others: Ints, gain: Floats, loss: Floats
) -> tuple[Floats, Floats]:
    """Return the fullest groups, and what powers get, after exchanges (I, J, K')."""
    own, other = level.groups[place], level.groups[others]
    gained = level.ranks[place][:, None] * gain[:, :, None, level.part]
    lost = level.ranks[others][:, :, None] * loss[:, :, None, level.part]
    before, others_before = load[own], load[other]
    here, there = before + gained, others_before - lost
    # Both places may be of one group, of which ranks may differ.
    is_one = (other[:, :1] == own[:1])[:, :, None]
    here = np.where(is_one, here - lost, here)
    there = np.where(is_one, 0.0, there)
    others_before = np.where(is_one, 0.0, others_before)
    powers = (powers_of(here) - powers_of(before)) * level.size[place][:, None]
    more = powers_of(there) - powers_of(others_before)
    powers += more * level.size[others][:, :, None]
    rest = _fullest_without(level, load, place, others)
    after = np.maximum(here.max(axis=2), there.max(axis=2))
    return np.maximum(after, rest), powers.sum(axis=2)


def _fullest_without(level: _Touched, load: Floats, place: int, others: Ints) -> Floats:
    """Return the fullest groups but those of two places (J, K')."""
    if level.groups.shape[1] == 1:
        own, other = level.groups[place, 0], level.groups[others, 0]
        most = load
    else:
        own, other = place, others
        most = load[level.groups].max(axis=1)
    # Of any three one is neither of the two places that change.
    top = most.argpartition(range(-min(3, len(most)), 0), axis=0)[-3:]
    found = np.zeros((len(others), load.shape[1]))
    for row in top:
        value = most[row, np.arange(len(row))]
        is_free = (row != own) & (row[None] != other[:, None])
        found = np.maximum(found, np.where(is_free, value, 0.0))
    return found
