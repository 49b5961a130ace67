"""Place chosen options on ranks one by one, keeping loads up to date."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.problem import Assignment
from shardplan.problems.totals import ranks_per_place
from shardplan.records.sharding import TIERS
from shardplan.solvers.levels import Levels
from shardplan.solvers.params import DEFAULTS, PlacementParams
from shardplan.solvers.tolerances import LEAST_NORMAL, LEAST_PHASE, NO_PHASE, ROUNDOFF

if TYPE_CHECKING:
    from shardplan.problems.loads import Loads
    from shardplan.problems.problem import Problem
    from shardplan.problems.totals import OptionTotals
    from shardplan.records.arrays import Bools, Floats, Ints


CLOCK_EVERY = 500
"""Bundles between two looks at the clock while all are placed."""


class Placer:
    """Loads that grow as options are placed on the least loaded ranks that fit.

    Parameters
    ----------
    problem : Problem
        The menu, the pools and the constraints, all of which are kept to.
    scale_s : float array (P,)
        What counts as one unit of load per phase [s]; a rank's load is its fullest
        dimension: time over scale (per phase, or summed for `max-rank`), or
        memory over capacity.
    power : float
        Load is the norm of this order over the dimensions of time and HBM; the
        fullest one alone by default.

    Attributes
    ----------
    option : int array (B,)
        The option of each placed bundle, -1 of others.
    places : list of int arrays
        The places of each bundle.
    """

    def __init__(
        self,
        problem: Problem,
        scale_s: Floats,
        power: float = np.inf,
        params: PlacementParams = DEFAULTS.placement,
    ) -> None:
        self._problem, self._params = problem, params
        self._levels = Levels(problem, scale_s, power)
        self._num_ranks = problem.world_size
        self._bytes = problem.options.largest_hbm_bytes
        self._is_single, self._is_limited = problem.options.is_single, problem.limited
        self._ranks = np.arange(self._num_ranks)
        self._users: dict[int, Bools] = {}
        self._groups: dict[tuple[int, bytes], _RanksOfPlaces] = {}
        self._near = np.zeros(0, dtype=np.int64)
        self._near_uses = 0
        self.option = np.full(problem.num_bundles, -1, dtype=np.int64)
        self.places: list[Ints] = [np.zeros(0, dtype=np.int64)] * problem.num_bundles

    @property
    def loads(self) -> Loads:
        """What has been placed so far."""
        return self._levels.loads

    def assignment(self) -> Assignment:
        """Return the placed options as an assignment."""
        return Assignment(self.option.copy(), tuple(self.places))

    def prepare(self, choice: Ints) -> None:
        """Work out what the items of options add, before these are placed."""
        self._levels.prepare(self._problem.options.items_in(choice))

    def place(self, bundle: int, option: int, wanted: Ints | None = None) -> bool:
        """Place all items of an option, or nothing; say whether it fitted.

        Parameters
        ----------
        wanted : int array, optional
            Preferred place of each item; an item that does not fit there goes to the
            least loaded place that fits.
        """
        problem, menu = self._problem, self._problem.options
        if not self._levels.has_room(self._bytes.item(option)):
            return False
        if (
            wanted is None
            and self._is_single.item(option)
            and not self._is_limited.item(bundle)
        ):
            return self._place_single(bundle, option)
        legal = problem.group_places(bundle, option)
        scope = menu.scope.item(option)
        if scope == Scope.ALL:
            return len(legal) > 0 and self._place_everywhere(bundle, option)
        legal = self._without_conflicts(bundle, scope, legal)
        if not menu.same_host[option]:
            return self._place_items(bundle, option, legal, wanted)
        host = problem.cluster.rank_host[legal]
        load = self._load_per_host()
        return any(
            self._place_items(bundle, option, legal[host == h])
            for h in sorted(set(host.tolist()), key=lambda h: (load[h], h))
        )

    def place_everywhere(self, bundles: Ints, options: Ints) -> None:
        """Place options over all ranks, if there is room to spare for all together.

        Parameters
        ----------
        bundles : int array (N,)
            Bundles without pins and conflicts.
        options : int array (N,)
            An option of each, of scope ALL.
        """
        menu = self._problem.options
        size = menu.item_bytes[menu.items_in(options)].sum(axis=0)
        if self._levels.fits_everywhere(size * (1.0 + ROUNDOFF)):
            self._levels.add_everywhere(options)
            self.option[bundles] = options

    def _place_single(self, bundle: int, option: int) -> bool:
        """Place the one item of an option that may go to any rank: most are such."""
        item = self._problem.options.item_start.item(option)
        rank = self._put_on_rank(item, self._ranks, [])
        if rank is None:
            return False
        self.option[bundle] = option
        self.places[bundle] = self._ranks[rank : rank + 1]
        return True

    def _place_items(
        self, bundle: int, option: int, legal: Ints, wanted: Ints | None = None
    ) -> bool:
        menu = self._problem.options
        if not menu.apart.item(option):
            return self._place_in_turn(bundle, option, legal, wanted)
        places = self._emptiest(option, legal)
        if places is None:
            return False
        item = menu.item_start.item(option)
        if menu.uses_pools.item(item):
            # What one item takes of a pool the next one lacks, on whatever rank.
            nowhere_else = legal[:0]
            return self._place_in_turn(bundle, option, nowhere_else, places)
        self._levels.add(item, places)
        self._keep(bundle, option, Scope.RANK, places)
        return True

    def _place_in_turn(
        self, bundle: int, option: int, legal: Ints, wanted: Ints | None
    ) -> bool:
        menu = self._problem.options
        scope, apart = menu.scope.item(option), self._problem.apart.item(option)
        items, count = menu.items_of(option), menu.item_count.item
        copies = [i for i in range(items.start, items.stop) for _ in range(count(i))]
        placed: list[int] = []
        for number, item in enumerate(copies):
            taken = placed if apart else []
            place = None if wanted is None else wanted.item(number)
            if place is None or place in taken or not self._fits(item, place):
                place = self._put(scope, item, legal, taken)
            else:
                self._add(scope, item, place)
            if place is None:
                for old_item, old_place in zip(copies, placed, strict=False):
                    self._add(scope, old_item, old_place, -1.0)
                return False
            placed.append(place)
        self._keep(bundle, option, scope, placed)
        return True

    def _emptiest(self, option: int, legal: Ints) -> Ints | None:
        """Distinct ranks for the equal items of a row-cut option, if there are.

        One sort finds all of them: there may be as many as a large cluster has ranks.
        """
        item = int(self._problem.options.item_start[option])
        count = int(self._problem.options.item_count[item])
        if count > len(legal):
            return None
        score = self._levels.scores(item, self._or_all(legal))
        best = np.argsort(score, kind="stable")[:count]
        return legal[best] if np.isfinite(score[best[-1]]) else None

    def _place_everywhere(self, bundle: int, option: int) -> bool:
        menu = self._problem.options
        size = menu.item_bytes[menu.items_of(option)].sum(axis=0)
        if not self._levels.fits_everywhere(size):
            return False
        self._levels.add_everywhere(np.array([option]))
        self._keep(bundle, option, Scope.ALL, [])
        return True

    def _keep(
        self, bundle: int, option: int, scope: int, places: Ints | list[int]
    ) -> None:
        self.option[bundle] = option
        self.places[bundle] = np.array(places, dtype=np.int64)
        if bundle in self._problem.conflicts:
            used = self._problem.ranks_used(scope, self.places[bundle])
            self._users[bundle] = used

    def _without_conflicts(self, bundle: int, scope: int, legal: Ints) -> Ints:
        """Remove places that touch a rank of a bundle to stay apart from."""
        others = self._problem.conflicts.get(bundle)
        if not others:
            return legal
        taken = [self._users[other] for other in sorted(others) if other in self._users]
        if not taken:
            return legal
        used = np.logical_or.reduce(taken)
        which, ranks = self._problem.ranks_of(scope, legal)
        return np.delete(legal, which[used[ranks]])

    def _put(self, scope: int, item: int, legal: Ints, taken: list[int]) -> int | None:
        """Put an item on the legal place that is the least loaded with it, if it fits.

        Parameters
        ----------
        taken : list of int
            Places to leave out.
        """
        if not len(legal):
            return None
        if scope == Scope.RANK:
            return self._put_on_rank(item, legal, taken)
        score = self._place_scores(scope, item, legal)
        if taken:
            score[np.isin(legal, taken)] = np.inf
        best = int(score.argmin())
        if not np.isfinite(score[best]):
            return None
        self._add(scope, item, legal.item(best))
        return legal.item(best)

    def _put_on_rank(self, item: int, legal: Ints, taken: list[int]) -> int | None:
        """Put an item on the legal rank that it leaves the least loaded, if it fits."""
        ranks = self._or_all(legal)
        if ranks is None and len(legal) - len(taken) > self._params.many_ranks:
            # A shard changes one rank of many, so the least loaded ones stay so for
            # a while; looking at all of them for each shard would take most of the
            # time.
            place = self._levels.put(item, self._least_loaded(), taken)
            if place is not None:
                return place
        return self._levels.put(item, ranks, taken)

    def _or_all(self, ranks: Ints) -> Ints | None:
        """Legal ranks, or None if they are all: then nothing need be picked."""
        return None if len(ranks) == self._num_ranks else ranks

    def _least_loaded(self) -> Ints:
        """Return some of the least loaded ranks, renewed from time to time."""
        if self._near_uses % self._params.renewed_every == 0:
            self._near = self._levels.least_loaded(self._params.near_ranks)
        self._near_uses += 1
        return self._near

    def _fits(self, item: int, rank: int) -> bool:
        return bool(np.isfinite(self._levels.scores(item, np.array([rank]))[0]))

    def _place_scores(self, scope: int, item: int, legal: Ints) -> Floats:
        """Fullest dimension over the ranks of each place."""
        groups = self._ranks_of(scope, legal)
        ranks = self._or_all(groups.ranks)
        in_pool = groups.in_pool if self._problem.options.uses_pools.item(item) else 1
        score = self._levels.scores(item, ranks, in_pool)
        return np.asarray(np.maximum.reduceat(score, groups.start))

    def _ranks_of(self, scope: int, legal: Ints) -> _RanksOfPlaces:
        key = scope, legal.tobytes()
        found = self._groups.get(key)
        if found is None:
            which, ranks = self._problem.ranks_of(scope, legal)
            pool = self._problem.capacity.rank_pool[ranks]
            found = self._groups[key] = _RanksOfPlaces(which, ranks, pool)
        return found

    def _add(self, scope: int, item: int, place: int, sign: float = 1.0) -> None:
        whole = self._problem.place_ranks
        ranks = place if scope == Scope.RANK else whole(scope, place)
        self._levels.add(item, ranks, sign)

    def _load_per_host(self) -> Floats:
        time = self.loads.cost.sum(axis=1)
        return np.asarray(
            np.maximum.reduceat(time, self._problem.cluster.host_first_rank)
        )


@dataclass(frozen=True, eq=False)
class _RanksOfPlaces:
    """Ranks of places, those of a place after each other.

    Attributes
    ----------
    which, ranks, pool : int arrays (N,)
        Index of the place, and the rank and its pool.
    """

    which: Ints
    ranks: Ints
    pool: Ints

    @cached_property
    def start(self) -> Ints:
        """First rank of each place, as an index."""
        return np.flatnonzero(np.r_[True, self.which[1:] != self.which[:-1]])

    @cached_property
    def in_pool(self) -> Ints:
        """How many ranks of its place share each rank's pool (N,)."""
        # Each rank of a place adds to its pool, which they may share: what overfills it
        # is the sum, and no rank sees that by itself.
        pairs = self.which * (int(self.pool.max()) + 1) + self.pool
        _, back, count = np.unique(pairs, return_inverse=True, return_counts=True)
        return np.asarray(count[back])


def place_fallback(
    problem: Problem, totals: OptionTotals, placer: Placer, bundle: int, option: int
) -> bool:
    """Place an option, or else the bundle's cheapest other option that fits."""
    if placer.place(bundle, option):
        return True
    start, end = problem.options.start[bundle], problem.options.start[bundle + 1]
    order = start + np.argsort(totals.seconds[start:end], kind="stable")
    return any(placer.place(bundle, int(other)) for other in order)


def placing_order(problem: Problem, totals: OptionTotals, choice: Ints) -> Ints:
    """Order bundles: limited ones, then scopes before ranks, then the largest item."""
    # Longest first (Graham 1969), for short shards fill the gaps that long ones leave.
    # What has few places comes before it, and what is on groups of ranks: single
    # shards can avoid these ranks afterwards, but not the other way round.
    menu, capacity = problem.options, problem.capacity
    pools = [max(float(capacity.of_tier(t).max()), 1.0) for t in range(len(TIERS))]
    share = (menu.item_bytes[menu.items_in(choice)] / pools).max(axis=1)
    counts = menu.num_items[choice]
    largest_share = np.maximum.reduceat(share, np.cumsum(counts) - counts)
    time = totals.largest[choice] / max(
        float(totals.largest[choice].max()), LEAST_NORMAL
    )
    size = np.maximum(time, largest_share)
    return np.asarray(np.lexsort((-size, -menu.scope[choice], ~problem.limited)))


def mean_phase_load(problem: Problem, choice: Ints) -> Floats:
    """Mean load of a rank per phase under a choice of options [s], shape (P,).

    Parameters
    ----------
    problem : Problem
        The menu and the ranks.
    choice : int array (B,)
        An option of each bundle.

    Returns
    -------
    float array (P,)
        Seconds, never 0: what divides loads to compare phases.
    """
    menu = problem.options
    items = menu.items_in(choice)
    ranks = np.repeat(
        ranks_per_place(menu, problem.world_size)[choice], menu.num_items[choice]
    )
    total = (menu.item_count[items] * ranks) @ menu.item_cost[items].mean(axis=1)
    mean = total / problem.world_size
    return np.asarray(np.maximum(mean, max(float(mean.max()) * LEAST_PHASE, NO_PHASE)))


def peak_phase_load(problem: Problem, choice: Ints) -> Floats:
    """Load of the slowest rank per phase that a choice cannot avoid [s], shape (P,).

    The mean, or the longest item if that takes more: filling ranks up to it is free.
    """
    # What is on all ranks is left out: it is in the mean already, and has no rank that
    # others could fill up to it.
    menu = problem.options
    chosen = menu.items_in(choice[menu.scope[choice] != Scope.ALL])
    items = menu.item_cost[chosen].mean(axis=1)
    longest = items.max(axis=0, initial=0.0)
    return np.asarray(np.maximum(mean_phase_load(problem, choice), longest))
