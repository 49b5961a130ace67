"""The assignment under search: shards on ranks, and loads kept up to date."""

from __future__ import annotations

from itertools import accumulate, chain
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.problem import Assignment

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.search.vectors import Vectors


_NONE = np.zeros(0, dtype=np.int64)
_RANK, _ALL = int(Scope.RANK), int(Scope.ALL)
"""Numbers, for comparing them with members takes as long as adding a unit to a rank."""


class State:
    """Options and places of all bundles, with loads per rank and pool.

    Items of scope `RANK` are units: they move one by one. Unit 0 is no unit: its
    vector is zero and it fills the free slots. Items of wider scopes only appear in
    the loads and are moved by taking their bundle out and putting it back.

    Whatever changes a state goes through `put`, `take`, `move` and `change_variants`,
    which keep all attributes right together.

    Attributes
    ----------
    option : int array (B,)
        Option of each bundle; -1 while it is taken out.
    places : list of B int arrays
        Places of the bundles whose scope is wider than a rank.
    units : list of B lists
        Units of each bundle, in order of its items.
    load : float array (W, D + 1)
        Times and HBM of each rank, as shares; see `Vectors`.
    pool_load : float array (Q, 2)
        DDR and SSD of each pool, as shares.
    unit_vector : float array (U, C, D + 3)
    unit_bundle, unit_rank, unit_slot, unit_item : int arrays (U,)
    slots : int array (W, K)
        Units on each rank, the first `count[rank]` columns.
    legal : bool array (L, W)
        Where units of limited bundles may move; row 0 is for all others.
    legal_row : int array (B,)
    uses_pools : bool
        Whether any option needs DDR or SSD.
    ranks_per_pool : float
        Ranks that share a pool, on the mean.
    """

    def __init__(self, problem: Problem, vectors: Vectors) -> None:
        self.problem = problem
        self.vectors = vectors
        self.num_times = vectors.num_times
        cluster = problem.cluster
        self.rank_class, self.rank_host = cluster.rank_class, cluster.rank_host
        self.rank_pool = problem.capacity.rank_pool
        world, classes = cluster.world_size, len(cluster.host_groups)
        self.option = np.full(problem.num_bundles, -1, dtype=np.int64)
        self.places: list[Ints] = [_NONE] * problem.num_bundles
        self.units: list[list[int]] = [[] for _ in range(problem.num_bundles)]
        # Loads are kept by addition: a move touches a few ranks, a fresh sum all
        # shards. Rounding adds up, but decides nothing: `Incumbent` sums afresh what
        # it keeps.
        self.load = np.zeros((world, self.num_times + 1))
        self.pool_load = np.zeros((len(problem.capacity.pool_ddr), 2))
        size = 2 * problem.num_bundles + 8
        # A vector per class of ranks, looked up once: moves weigh the same unit on
        # many ranks, far more often than its option changes.
        self.unit_vector = np.zeros((size, classes, self.num_times + 3))
        self.unit_bundle = np.zeros(size, dtype=np.int64)
        self.unit_rank = np.zeros(size, dtype=np.int64)
        self.unit_slot = np.zeros(size, dtype=np.int64)
        self.unit_item = np.zeros(size, dtype=np.int64)
        self._free = list(range(size - 1, 0, -1))
        # Without slower tiers, half of the work of a move would be adding zeros.
        self.uses_pools = bool(problem.options.uses_pools.any())
        self.ranks_per_pool = world / len(self.pool_load)
        self.slots = np.zeros((world, 8), dtype=np.int64)
        self.count = np.zeros(world, dtype=np.int64)
        # A table, for an exchange asks about thousands of units and ranks at once.
        # Bundles without limits share row 0: moves ask only if there is another.
        self.legal = np.ones((1, world), dtype=bool)
        self.legal_row = np.zeros(problem.num_bundles, dtype=np.int64)
        self._only_apart = np.zeros(problem.num_bundles, dtype=bool)
        self._num_legal = 1

    # Whole bundles

    def fill(self, assignment: Assignment) -> None:
        """Put every bundle where an assignment has it; the state must be empty."""
        for bundle, option in enumerate(assignment.option):
            self.put(bundle, int(option), assignment.places[bundle])

    def put(self, bundle: int, option: int, places: Ints) -> None:
        """Place a bundle that is out."""
        menu = self.problem.options
        items = menu.copies_of(option)
        vectors = self.vectors.of_items(items)
        self.option[bundle] = option
        scope = menu.scope.item(option)
        if scope == _RANK:
            pairs = zip(items.tolist(), places.tolist(), strict=True)
            for index, (item, rank) in enumerate(pairs):
                unit = self._new_unit(bundle, item, vectors[index])
                self._attach(unit, rank)
        else:
            self.places[bundle] = places
            self._add_wide(scope, vectors, places, 1.0)
        self._refresh(bundle)

    def return_to(self, assignment: Assignment) -> None:
        """Put everything where an assignment has it, what is out as well."""
        for bundle, option in enumerate(assignment.option.tolist()):
            places, is_out = assignment.places[bundle], self.option[bundle] < 0
            is_there = self.option[bundle] == option
            if is_there and np.array_equal(self.places_of(bundle), places):
                continue
            if not is_out:
                self.take(bundle)
            self.put(bundle, option, places)

    def take(self, bundle: int) -> tuple[int, Ints]:
        """Take a bundle out; return its option and places."""
        option, menu = int(self.option[bundle]), self.problem.options
        places, scope = self.places_of(bundle), menu.scope.item(option)
        if scope == _RANK:
            for unit in self.units[bundle]:
                self._detach(unit)
                self._free.append(unit)
            self.units[bundle] = []
        else:
            vectors = self.vectors.of_items(menu.copies_of(option))
            self._add_wide(scope, vectors, places, -1.0)
            self.places[bundle] = _NONE
        self.option[bundle] = -1
        self._refresh(bundle)
        return option, places

    def places_of(self, bundle: int) -> Ints:
        """Where a bundle's items are, as in `Assignment`."""
        if self.units[bundle]:
            return self.unit_rank[self.units[bundle]]
        return self.places[bundle]

    def parts_of(self, bundles: Ints) -> tuple[Ints, Ints, Ints]:
        """Return which of K distinct bundles has which item on which rank.

        Returns
        -------
        owner, rank, item : int arrays (S,)
            By owner.
        """
        number = np.full(len(self.option), -1, dtype=np.int64)
        number[bundles] = np.arange(len(bundles))
        # All units at once: thousands of bundles one by one take longer than what is
        # then worked out for them.
        units = self.slots[self.slots > 0]
        owner = number[self.unit_bundle[units]]
        units, owner = units[owner >= 0], owner[owner >= 0]
        found = [(owner, self.unit_rank[units], self.unit_item[units])]
        menu, option = self.problem.options, self.option[bundles]
        scope = menu.scope[option]
        for index in np.flatnonzero(scope != _RANK).tolist():
            items, places = menu.copies_of(option[index]), self.places[bundles[index]]
            which, ranks = self.problem.ranks_of(int(scope[index]), places)
            found.append((np.full(len(ranks), index), ranks, items[which]))
        owner, rank, item = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.lexsort((rank, item, owner))
        return owner[order], rank[order], item[order]

    def change_variants(self, bundles: Ints, options: Ints) -> None:
        """Give bundles other options of the same cut; no shard moves."""
        menu = self.problem.options
        wide = menu.scope[options] != _RANK
        for bundle, option in zip(bundles[wide], options[wide], strict=True):
            _, places = self.take(int(bundle))
            self.put(int(bundle), int(option), places)
        bundles, options = bundles[~wide], options[~wide]
        own = [self.units[bundle] for bundle in bundles.tolist()]
        if not own:
            return
        # Options of one cut have their items in the same order: all units of a bundle
        # go on by the same number of items.
        units = np.concatenate([np.array(some, dtype=np.int64) for some in own])
        later = menu.item_start[options] - menu.item_start[self.option[bundles]]
        self._add(units, self.unit_rank[units], -1.0)
        self.unit_item[units] += np.repeat(later, [len(some) for some in own])
        self.unit_vector[units] = self.vectors.of_items(self.unit_item[units])
        self._add(units, self.unit_rank[units], 1.0)
        self.option[bundles] = options

    def bundles_on(self, rank: int) -> list[int]:
        """Bundles with units on a rank."""
        units = self.slots[rank, : self.count[rank]]
        return [int(bundle) for bundle in np.unique(self.unit_bundle[units])]

    def assignment(self) -> Assignment:
        """Return a copy as an assignment."""
        # All units are looked up at once: most plans that are better are soon replaced.
        flat = np.array(list(chain.from_iterable(self.units)), dtype=np.int64)
        ranks = self.unit_rank[flat]
        ends = list(accumulate(map(len, self.units)))
        own = zip([0, *ends[:-1]], ends, self.places, strict=True)
        places = tuple(
            ranks[start:end] if end > start else place for start, end, place in own
        )
        return Assignment(self.option.copy(), places)

    # What it is worth

    def fits(self) -> bool:
        """Whether no pool is too full."""
        return bool(self.load[:, -1].max() <= 1.0 and self.pool_load.max() <= 1.0)

    def value(self) -> float:
        """Objective, in units of `Vectors.unit_s`."""
        return float(self.load[:, :-1].max(axis=0).sum())

    def base_time(self) -> Floats:
        """Time that wider scopes put on each rank (W,)."""
        units = np.concatenate([np.array(u, dtype=np.int64) for u in self.units])
        rank = self.unit_rank[units]
        time = self.unit_vector[units, self.rank_class[rank], :-3].sum(axis=1)
        own = np.bincount(rank, time, minlength=len(self.load))
        return np.asarray(self.load[:, :-1].sum(axis=1) - own)

    # Units

    def move(self, units: Ints, goals: Ints) -> None:
        """Move K distinct units, each to a rank that may hold it."""
        sources = self.unit_rank[units]
        self._add(units, sources, -1.0)
        self._add(units, goals, 1.0)
        self.unit_rank[units] = goals
        self._sort_slots(np.union1d(sources, goals))
        # Shards that only avoid each other are the most common limit, and two entries
        # each; anything else is worked out anew.
        touched = self.unit_bundle[units]
        row = self.legal_row[touched]
        alone = self._only_apart[touched]
        self.legal[row[alone], sources[alone]] = True
        self.legal[row[alone], goals[alone]] = False
        for bundle in np.unique(touched[(row > 0) & ~alone]).tolist():
            self._refresh(bundle)

    def _sort_slots(self, ranks: Ints) -> None:
        """Fill the slots of ranks after units moved among them."""
        # All at once, for an exchange moves hundreds of units; and stable, for random
        # draws pick slots: the same seed must find the same units there.
        units = self.slots[ranks]
        units = units[units > 0]
        self.slots[ranks] = 0
        units = units[np.argsort(self.unit_rank[units], kind="stable")]
        rank = self.unit_rank[units]
        slot = np.arange(len(units)) - np.searchsorted(rank, rank)
        while slot.max(initial=0) >= self.slots.shape[1]:
            self._widen()
        self.slots[rank, slot] = units
        self.unit_slot[units] = slot
        self.count[ranks] = np.bincount(rank, minlength=len(self.count))[ranks]

    def _add(self, unit: Ints, rank: Ints, sign: float) -> None:
        """Add units to the loads of ranks, or take them off."""
        vector = sign * self.unit_vector[unit, self.rank_class[rank]]
        # A rank may occur several times: plain indexing would add to it once.
        np.add.at(self.load, rank, vector[:, :-2])
        if self.uses_pools:
            np.add.at(self.pool_load, self.rank_pool[rank], vector[:, -2:])

    def _new_unit(self, bundle: int, item: int, vector: Floats) -> int:
        if not self._free:
            self._grow()
        unit = self._free.pop()
        self.unit_bundle[unit], self.unit_item[unit] = bundle, item
        self.unit_vector[unit] = vector
        self.units[bundle].append(unit)
        return unit

    def _attach(self, unit: int, rank: int) -> None:
        slot = int(self.count[rank])
        if slot >= self.slots.shape[1]:
            self._widen()
        self.slots[rank, slot] = unit
        self.unit_slot[unit], self.unit_rank[unit] = slot, rank
        self.count[rank] += 1
        self._add_one(unit, rank, 1.0)

    def _detach(self, unit: int) -> None:
        rank, slot = int(self.unit_rank[unit]), int(self.unit_slot[unit])
        last = int(self.count[rank]) - 1
        moved = self.slots[rank, last]
        self.slots[rank, slot] = moved
        self.unit_slot[moved] = slot
        self.slots[rank, last] = 0
        self.count[rank] = last
        self._add_one(unit, rank, -1.0)

    def _add_one(self, unit: int, rank: int, sign: float) -> None:
        vector = sign * self.unit_vector[unit, self.rank_class[rank]]
        self.load[rank] += vector[:-2]
        if self.uses_pools:
            self.pool_load[self.rank_pool[rank]] += vector[-2:]

    def _grow(self) -> None:
        size = len(self.unit_bundle)
        for name in ("vector", "bundle", "rank", "slot", "item"):
            old = getattr(self, f"unit_{name}")
            setattr(self, f"unit_{name}", np.concatenate([old, np.zeros_like(old)]))
        self._free = list(range(2 * size - 1, size - 1, -1))

    def _widen(self) -> None:
        """Double the slots per rank."""
        self.slots = np.concatenate([self.slots, np.zeros_like(self.slots)], axis=1)

    # Wider scopes

    def _add_wide(self, scope: int, vectors: Floats, places: Ints, sign: float) -> None:
        if scope == _ALL:
            self._add_to_ranks(slice(None), vectors.sum(axis=0), sign)
            return
        for vector, place in zip(vectors, places.tolist(), strict=True):
            self._add_to_ranks(self.problem.place_ranks(scope, place), vector, sign)

    def _add_to_ranks(self, ranks: slice, vector: Floats, sign: float) -> None:
        """Add the same vector (C, D + 3) to some ranks."""
        each = sign * vector[self.rank_class[ranks]]
        self.load[ranks] += each[:, :-2]
        if self.uses_pools:
            np.add.at(self.pool_load, self.rank_pool[ranks], each[:, -2:])

    # Limits

    def ranks_used(self, bundle: int) -> Bools:
        """Ranks that hold a part of a bundle, bool array (W,)."""
        option = int(self.option[bundle])
        if option < 0:
            return np.zeros(len(self.load), dtype=bool)
        scope = int(self.problem.options.scope[option])
        places = np.asarray(self.places_of(bundle), dtype=np.int64)
        return self.problem.ranks_used(scope, places)

    def without_conflicts(self, bundle: int) -> Bools:
        """Ranks that a bundle may use now, bool array (W,)."""
        mask = self.problem.allowed_ranks(bundle).copy()
        for other in self.problem.conflicts.get(bundle, ()):
            mask &= ~self.ranks_used(other)
        return mask

    def _refresh(self, bundle: int) -> None:
        """Renew where a limited bundle's units, and those of its rivals, may move."""
        self._set_legal(bundle)
        for other in self.problem.conflicts.get(bundle, ()):
            self._set_legal(other)

    def _set_legal(self, bundle: int) -> None:
        problem, option = self.problem, int(self.option[bundle])
        menu = problem.options
        apart = option >= 0 and problem.apart.item(option)
        near = option >= 0 and menu.same_host.item(option)
        limited = bundle in problem.allowed or bundle in problem.conflicts
        row, ranks = int(self.legal_row[bundle]), self.unit_rank[self.units[bundle]]
        apart = apart and len(ranks) > 1
        self._only_apart[bundle] = apart and not (near or limited)
        if not (apart or near or limited):
            if row:
                self.legal[row] = True
            return
        mask = self.without_conflicts(bundle)
        if apart:
            mask[ranks] = False
        if near and len(ranks) > 1:
            mask &= self.rank_host == self.rank_host[ranks[0]]
        if not row:
            row = self._new_row(bundle)
        self.legal[row] = mask

    def _new_row(self, bundle: int) -> int:
        # Doubled, so that adding rows one by one copies each of them once on average.
        if self._num_legal == len(self.legal):
            more = np.ones_like(self.legal)
            self.legal = np.concatenate([self.legal, more])
        row = self.legal_row[bundle] = self._num_legal
        self._num_legal += 1
        return int(row)
