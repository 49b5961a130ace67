"""An assignment under search by the predicted step: loads kept up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.problem import Assignment

if TYPE_CHECKING:
    from shardplan.problems.curves import Curves
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Floats, Ints


class StateNote(NamedTuple):
    """A state before a bundle moves; see `StepState`."""

    bundle: int
    option: int
    places: Ints
    load: list[Floats]
    hbm: Floats
    pools: tuple[Floats, ...]


class StepState:
    """Options and places of all bundles, and what they put on ranks and pools.

    Attributes
    ----------
    option : int array (B,)
    places : list of B int arrays
    groups : tuple of RankGroups
    load : list of float arrays (G, K')
        What groups have in their columns of `StepColumns`; single ranks first.
    hbm : float array (W,)
    pools : float arrays (Q,) and (Q,)
        Bytes of DDR and SSD.
    is_on : bool array (W, B)
        Bundles that have a part on each rank.
    """

    def __init__(self, problem: Problem, curves: Curves) -> None:
        self.problem, self._columns = problem, curves.columns
        self.item_load, self.groups = self._columns.item_load, self._columns.groups
        self._class = problem.cluster.rank_class
        self._pool = problem.capacity.rank_pool
        self._rooms = problem.rooms
        self._bytes = problem.options.item_bytes
        self._uses_pools = bool(self._bytes[:, 1:].any())
        self._copies: dict[int, Ints] = {}
        ranks, bundles = problem.world_size, problem.num_bundles
        self.is_on = np.zeros((ranks, bundles), dtype=bool)

    def fill(self, assignment: Assignment) -> Floats:
        """Take an assignment's options and places; return its loads (W, R)."""
        loads = self.problem.loads(assignment)
        self.option, self.places = assignment.option.copy(), list(assignment.places)
        self.load = self._columns.loads(loads.cost)
        self.hbm = loads.hbm
        self.pools: tuple[Floats, ...] = (loads.ddr, loads.ssd)
        scope = self.problem.options.scope[self.option]
        self.is_on[:] = scope == Scope.ALL
        sizes = np.array([len(places) for places in self.places])
        bundle = np.repeat(np.arange(len(sizes)), sizes)
        every = np.concatenate(self.places)
        for kind in np.unique(scope[bundle]).tolist():
            some = scope[bundle] == kind
            which, ranks = self.problem.ranks_of(kind, every[some])
            self.is_on[ranks, bundle[some][which]] = True
        return loads.cost

    def assignment(self) -> Assignment:
        """Return a copy as an assignment."""
        return Assignment(self.option.copy(), tuple(self.places))

    def copies(self, option: int) -> Ints:
        """Return an option's items, each as often as it is placed."""
        found = self._copies.get(option)
        if found is None:
            found = self._copies[option] = self.problem.options.copies_of(option)
        return found

    def take(self, bundle: int) -> None:
        """Take a bundle off its ranks; its option and places stay noted."""
        self._shift(bundle, -1.0)

    def put(self, bundle: int, option: int, places: Ints) -> None:
        """Put a bundle that was taken off on ranks."""
        self.option[bundle], self.places[bundle] = option, places
        self._shift(bundle, 1.0)

    def noted(self, bundle: int) -> StateNote:
        """Note everything before a bundle moves, to be restored."""
        return StateNote(
            bundle,
            int(self.option[bundle]),
            self.places[bundle],
            [load.copy() for load in self.load],
            self.hbm.copy(),
            tuple(pool.copy() for pool in self.pools),
        )

    def restore(self, note: StateNote) -> None:
        """Go back to what was noted: only that bundle may have moved since then."""
        bundle = note.bundle
        self._mark(bundle, is_on=False)
        self.option[bundle], self.places[bundle] = note.option, note.places
        self.load, self.hbm, self.pools = note.load, note.hbm, note.pools
        self._mark(bundle, is_on=True)

    def _mark(self, bundle: int, *, is_on: bool) -> None:
        """Note who has a part of a bundle, or that nobody has."""
        scope = int(self.problem.options.scope[self.option[bundle]])
        if scope == Scope.ALL:
            self.is_on[:, bundle] = is_on
        else:
            ranks = self.problem.ranks_of(scope, self.places[bundle])[1]
            self.is_on[ranks, bundle] = is_on

    def fits(self) -> bool:
        """Whether no pool is too full."""
        hbm, *pools = self._rooms
        fits = bool((self.hbm <= hbm).all())
        if not (fits and self._uses_pools):
            return fits
        pairs = zip(self.pools, pools, strict=True)
        return all(bool((own <= room).all()) for own, room in pairs)

    def free(self, tier: int) -> Floats:
        """Bytes that are left to each rank in its pool of a tier (W,)."""
        if tier == 0:
            return np.asarray(self._rooms[0] - self.hbm)
        return np.asarray((self._rooms[tier] - self.pools[tier - 1])[self._pool])

    def fullest(self) -> Floats:
        """Return the loads of the fullest groups (K,)."""
        return np.concatenate([np.maximum.reduce(load, axis=0) for load in self.load])

    def on_fullest(self, column: int) -> Ints:
        """Return the ranks of the fullest group of a column."""
        which = sum(groups.part.stop <= column for groups in self.groups)
        groups, load = self.groups[which], self.load[which]
        fullest = int(load[:, column - groups.part.start].argmax())
        return np.flatnonzero(groups.of_rank == fullest)

    def powers(self) -> Floats:
        """Return what all ranks have together of `powers_of` (K,)."""
        return np.concatenate(
            [
                groups.total(powers_of(load))
                for groups, load in zip(self.groups, self.load, strict=True)
            ]
        )

    def _shift(self, bundle: int, sign: float) -> None:
        option, places = int(self.option[bundle]), self.places[bundle]
        items, scope = self.copies(option), int(self.problem.options.scope[option])
        if scope == Scope.ALL:
            self._shift_all(items, sign)
            self.is_on[:, bundle] = sign > 0
            return
        ranks = places
        if scope != Scope.RANK:
            which, ranks = self.problem.ranks_of(scope, places)
            items = items[which]
        added = sign * self.item_load[items, self._class[ranks]]
        for groups, load in zip(self.groups, self.load, strict=True):
            at = ranks if groups.is_single else groups.of_rank[ranks]
            if len(at) == 1:
                load[at[0]] += added[0, groups.part]
            else:
                np.add.at(load, at, added[:, groups.part])
        each = sign * self._bytes[items].T
        np.add.at(self.hbm, ranks, each[0])
        if self._uses_pools:
            pool = self._pool[ranks]
            for used, added in zip(self.pools, each[1:], strict=True):
                np.add.at(used, pool, added)
        self.is_on[ranks, bundle] = sign > 0

    def _shift_all(self, items: Ints, sign: float) -> None:
        """Add items to all ranks, or take them off."""
        added = sign * self.item_load[items].sum(axis=0)
        for groups, load in zip(self.groups, self.load, strict=True):
            part = added[:, groups.part]
            load += part[self._class] if groups.is_single else groups.members @ part
        each = sign * self._bytes[items].sum(axis=0)
        self.hbm += each[0]
        if self._uses_pools:
            ranks = np.bincount(self._pool)
            for used, more in zip(self.pools, each[1:], strict=True):
                used += more * ranks


def powers_of(load: Floats) -> Floats:
    """Return fourth powers of loads: of their sum, the fullest ranks are the most."""
    squares = load * load
    return np.asarray(squares * squares)
