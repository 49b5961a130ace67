"""Place chosen options on ranks one by one, keeping loads up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.loads import Loads
from shardplan.problems.problem import Assignment
from shardplan.problems.totals import ranks_per_place
from shardplan.records.sharding import TIERS, Objective
from shardplan.solvers.params import DEFAULTS, PlacementParams
from shardplan.solvers.tolerances import LEAST_NORMAL, LEAST_PHASE, LEAST_ROOM, NO_PHASE

if TYPE_CHECKING:
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
    loads : Loads
        What has been placed so far.
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
        self._sums = problem.objective is Objective.MAX_RANK
        self._scale = scale_s.sum(keepdims=True) if self._sums else scale_s
        self._power = power
        times = len(self._scale)
        # Loads once more, as shares: every shard looks at the levels of all ranks, and
        # a look is one sum and one maximum then.
        self._level = np.zeros((times + 1, problem.world_size))
        self.loads = Loads.empty(
            problem.cluster, problem.capacity.rank_pool, problem.num_phases
        )
        hbm, self._ddr, self._ssd = problem.rooms
        self._hbm = np.maximum(hbm, LEAST_ROOM)
        self._users: dict[int, Bools] = {}
        self._near = np.zeros(0, dtype=np.int64)
        self._near_uses = 0
        self.option = np.full(problem.num_bundles, -1, dtype=np.int64)
        self.places: list[Ints] = [np.zeros(0, dtype=np.int64)] * problem.num_bundles

    def assignment(self) -> Assignment:
        """Return the placed options as an assignment."""
        return Assignment(self.option.copy(), tuple(self.places))

    def place(self, bundle: int, option: int, wanted: Ints | None = None) -> bool:
        """Place all items of an option, or nothing; say whether it fitted.

        Parameters
        ----------
        wanted : int array, optional
            Preferred place of each item; an item that does not fit there goes to the
            least loaded place that fits.
        """
        problem = self._problem
        if not self._has_room(option):
            return False
        legal = problem.group_places(bundle, option)
        scope = int(problem.options.scope[option])
        if scope == Scope.ALL:
            return len(legal) > 0 and self._place_everywhere(bundle, option)
        legal = self._without_conflicts(bundle, scope, legal)
        if not problem.options.same_host[option]:
            return self._place_items(bundle, option, legal, wanted)
        host = problem.cluster.rank_host[legal]
        load = self._load_per_host()
        return any(
            self._place_items(bundle, option, legal[host == h])
            for h in sorted(set(host.tolist()), key=lambda h: (load[h], h))
        )

    def _has_room(self, option: int) -> bool:
        """Whether some rank has the HBM of each item; a quick first look."""
        menu = self._problem.options
        needed = menu.item_bytes[menu.items_of(option), 0].max()
        return bool(needed <= (self._hbm - self.loads.hbm).max())

    def _place_items(
        self, bundle: int, option: int, legal: Ints, wanted: Ints | None = None
    ) -> bool:
        menu = self._problem.options
        scope, apart = int(menu.scope[option]), bool(self._problem.apart[option])
        is_row_cut = bool(menu.apart[option])
        # Its items are equal and have ranks of their own, so one sort finds all of
        # them: there may be as many as a large cluster has ranks.
        if is_row_cut:
            wanted = self._emptiest(option, legal)
            if wanted is None:
                return False
        placed: list[tuple[int, int]] = []
        for item in menu.copies_of(option).tolist():
            taken = [place for _, place in placed] if apart else []
            place = None if wanted is None else int(wanted[len(placed)])
            if place in taken or (place is not None and not self._fits(item, place)):
                place = None
            if place is None and not is_row_cut:
                place = self._best(scope, item, legal, taken)
            if place is None:
                for old_item, old_place in placed:
                    self._add(scope, old_item, old_place, -1.0)
                return False
            self._add(scope, item, place, 1.0)
            placed.append((item, place))
        self._keep(bundle, option, scope, [place for _, place in placed])
        return True

    def _emptiest(self, option: int, legal: Ints) -> Ints | None:
        """Distinct ranks for the equal items of a row-cut option, if there are."""
        item = int(self._problem.options.item_start[option])
        count = int(self._problem.options.item_count[item])
        if count > len(legal):
            return None
        score = self._scores(item, legal)
        best = np.argsort(score, kind="stable")[:count]
        return legal[best] if np.isfinite(score[best[-1]]) else None

    def _place_everywhere(self, bundle: int, option: int) -> bool:
        menu, loads = self._problem.options, self.loads
        items = menu.items_of(option)
        hbm, ddr, ssd = menu.item_bytes[items].sum(axis=0)
        ranks = np.bincount(loads.rank_pool)
        if not (
            (loads.hbm + hbm <= self._hbm).all()
            and (loads.ddr + ddr * ranks <= self._ddr).all()
            and (loads.ssd + ssd * ranks <= self._ssd).all()
        ):
            return False
        loads.add_everywhere(menu.item_cost[items], menu.item_bytes[items])
        everyone = np.arange(self._problem.world_size)
        for item in range(items.start, items.stop):
            self._level += self._added(item, everyone)
        self._keep(bundle, option, Scope.ALL, [])
        return True

    def _keep(self, bundle: int, option: int, scope: int, places: list[int]) -> None:
        self.option[bundle] = option
        self.places[bundle] = np.array(places, dtype=np.int64)
        if bundle in self._problem.conflicts:
            used = self._problem.ranks_used(scope, self.places[bundle])
            self._users[bundle] = used

    def _without_conflicts(self, bundle: int, scope: int, legal: Ints) -> Ints:
        """Remove places that touch a rank of a bundle to stay apart from."""
        others = self._problem.conflicts.get(bundle, frozenset())
        taken = [self._users[other] for other in sorted(others) if other in self._users]
        if not taken:
            return legal
        used = np.logical_or.reduce(taken)
        which, ranks = self._problem.ranks_of(scope, legal)
        return np.delete(legal, which[used[ranks]])

    def _best(self, scope: int, item: int, legal: Ints, taken: list[int]) -> int | None:
        """Least loaded legal place after adding an item, if any fits.

        Parameters
        ----------
        taken : list of int
            Places to leave out.
        """
        everyone = len(legal) == self._problem.world_size
        legal = _without(legal, taken)
        if not len(legal):
            return None
        if scope == Scope.RANK and everyone and len(legal) > self._params.many_ranks:
            # A shard changes one rank of many, so the least loaded ones stay so for a
            # while; looking at all of them for each shard would take most of the time.
            near = _without(self._least_loaded(), taken)
            score = self._scores(item, near)
            if np.isfinite(score).any():
                return int(near[np.argmin(score)])
        score = self._place_scores(scope, item, legal)
        best = int(np.argmin(score))
        return int(legal[best]) if np.isfinite(score[best]) else None

    def _least_loaded(self) -> Ints:
        """Return some of the least loaded ranks, renewed from time to time."""
        if self._near_uses % self._params.renewed_every == 0:
            load = self._norm(self._level)
            near = min(self._params.near_ranks, len(load) - 1)
            self._near = np.sort(np.argpartition(load, near)[:near])
        self._near_uses += 1
        return self._near

    def _fits(self, item: int, rank: int) -> bool:
        return bool(np.isfinite(self._scores(item, np.array([rank]))[0]))

    def _place_scores(self, scope: int, item: int, legal: Ints) -> Floats:
        """Fullest dimension over the ranks of each place."""
        if scope == Scope.RANK:
            return self._scores(item, legal)
        which, ranks = self._problem.ranks_of(scope, legal)
        # Each rank of a place adds to its pool, which they may share: what overfills it
        # is the sum, and no rank sees that by itself.
        pool = self.loads.rank_pool[ranks]
        pairs = which * len(self.loads.ddr) + pool
        _, back, count = np.unique(pairs, return_inverse=True, return_counts=True)
        score = self._scores(item, ranks, in_pool=count[back])
        starts = np.flatnonzero(np.r_[True, which[1:] != which[:-1]])
        return np.asarray(np.maximum.reduceat(score, starts))

    def _scores(self, item: int, ranks: Ints, in_pool: Ints | int = 1) -> Floats:
        """Fullest dimension of each rank after adding an item; inf if it overflows.

        Parameters
        ----------
        in_pool : int array, optional
            How many ranks of the same place share each rank's pool.
        """
        loads = self.loads
        level = np.take(self._level, ranks, axis=1) + self._added(item, ranks)
        score = self._norm(level)
        score[level[-1] > 1.0] = np.inf
        _, ddr, ssd = self._problem.options.item_bytes[item]
        pool = loads.rank_pool[ranks] if ddr > 0 or ssd > 0 else None
        for own, used, room in (
            (ddr, loads.ddr, self._ddr),
            (ssd, loads.ssd, self._ssd),
        ):
            if own > 0:
                with np.errstate(divide="ignore"):
                    share = (used[pool] + own * in_pool) / room[pool]
                score = np.maximum(score, np.where(share <= 1.0, share, np.inf))
        return np.asarray(score)

    def _norm(self, level: Floats) -> Floats:
        """Load of ranks with these levels (D, N) -> (N,)."""
        if self._power == np.inf:
            return np.asarray(level.max(axis=0))
        return np.asarray((np.maximum(level, 0.0) ** self._power).sum(axis=0))

    def _added(self, item: int, ranks: Ints) -> Floats:
        """Levels that an item adds: time per phase or in total, and HBM (D, N)."""
        menu, classes = self._problem.options, self._problem.cluster.rank_class
        cost = menu.item_cost[item]
        time = (cost.sum(axis=1, keepdims=True) if self._sums else cost) / self._scale
        added = np.empty((len(self._level), len(ranks)))
        added[:-1] = time[classes[ranks]].T if len(cost) > 1 else time.T
        added[-1] = menu.item_bytes[item, 0] / self._hbm[ranks]
        return added

    def _add(self, scope: int, item: int, place: int, sign: float) -> None:
        menu, cluster, loads = self._problem.options, self._problem.cluster, self.loads
        span = self._problem.place_ranks(scope, place)
        ranks = np.arange(span.start, span.stop)
        loads.cost[ranks] += sign * menu.item_cost[item][cluster.rank_class[ranks]]
        hbm, ddr, ssd = menu.item_bytes[item]
        loads.hbm[ranks] += sign * hbm
        self._level[:, ranks] += sign * self._added(item, ranks)
        if ddr > 0 or ssd > 0:
            pools = loads.rank_pool[ranks]
            np.add.at(loads.ddr, pools, sign * ddr)
            np.add.at(loads.ssd, pools, sign * ssd)

    def _load_per_host(self) -> Floats:
        time = self.loads.cost.sum(axis=1)
        return np.asarray(
            np.maximum.reduceat(time, self._problem.cluster.host_first_rank)
        )


def _without(places: Ints, taken: list[int]) -> Ints:
    return places[~np.isin(places, taken)] if taken else places


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
    share = (menu.item_bytes / pools).max(axis=1)
    largest_share = np.maximum.reduceat(share, menu.item_start[:-1])[choice]
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
    ranks = ranks_per_place(menu, problem.world_size)[menu.item_option]
    chosen = np.zeros(len(menu), dtype=bool)
    chosen[choice] = True
    mask = chosen[menu.item_option]
    total = (menu.item_count * ranks)[mask] @ menu.item_cost[mask].mean(axis=1)
    mean = total / problem.world_size
    return np.asarray(np.maximum(mean, max(float(mean.max()) * LEAST_PHASE, NO_PHASE)))


def peak_phase_load(problem: Problem, choice: Ints) -> Floats:
    """Load of the slowest rank per phase that a choice cannot avoid [s], shape (P,).

    The mean, or the longest item if that takes more: filling ranks up to it is free.
    """
    # What is on all ranks is left out: it is in the mean already, and has no rank that
    # others could fill up to it.
    menu = problem.options
    chosen = np.zeros(len(menu), dtype=bool)
    chosen[choice] = menu.scope[choice] != Scope.ALL
    items = menu.item_cost[chosen[menu.item_option]].mean(axis=1)
    longest = items.max(axis=0, initial=0.0)
    return np.asarray(np.maximum(mean_phase_load(problem, choice), longest))
