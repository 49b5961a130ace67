"""What a lower bound needs of a problem: items, where they may go, and pools."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.options.arrays import offsets
from shardplan.problems.totals import ranks_per_place
from shardplan.records.sharding import Objective

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class Relaxed:
    """A problem without places: items go to classes of ranks, pools are summed up.

    O options of B bundles with I items, C classes, D dimensions of time (the phases
    for `step`; one, their sum, for `max-rank`). Every plan of the problem is a
    solution of the relaxed problem, for it forgets which rank of a class an item is
    on. A class has no place for items that take forever there, as a device without
    HBM has none for rows in HBM; such plans exceed every bound.

    Attributes
    ----------
    option : int array (O,)
        Index of each option in the problem's menu.
    start : int array (B + 1,)
        Options of bundle b are ``start[b]:start[b + 1]``.
    item_start : int array (O + 1,)
    cost : float array (I, C, D)
        Seconds of one copy of an item on each rank of its place.
    tier_bytes : float array (I, 3)
        Bytes of one copy on each rank of its place.
    times : float array (I,)
        Ranks over all places: copies x ranks per place; copies for scope ALL.
    stacked : float array (I,)
        Copies that some place must take because there are too few places.
    everywhere : bool array (I,)
        Scope ALL: the item is on every rank.
    legal : bool array (I, C) or None
        Classes where an item has a place; None if all may go everywhere.
    class_ranks : int array (C,)
    room : float array (C, 3)
        Bytes of each tier in all ranks or hosts of a class.
    largest_hbm : float array (C,)
        Bytes of HBM of the class's largest rank.
    item : int array (I,)
        Index of each item in the problem's menu.
    per_rank : int array (I,)
        Copies of an item that one rank may hold.
    """

    option: Ints
    start: Ints
    item_start: Ints
    cost: Floats
    tier_bytes: Floats
    times: Floats
    stacked: Floats
    everywhere: Bools
    legal: Bools | None
    class_ranks: Ints
    room: Floats
    largest_hbm: Floats
    item: Ints
    per_rank: Ints

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """Forget the places of a problem."""
        menu, cluster = problem.options, problem.cluster
        cost = menu.item_cost
        if problem.objective is Objective.MAX_RANK:
            cost = cost.sum(axis=2, keepdims=True)
        item_option = menu.item_option
        everywhere = menu.scope[item_option] == Scope.ALL
        size = ranks_per_place(menu, cluster.world_size)[item_option]
        legal, num_places = _places(problem)
        crowd = -(-menu.num_copies // np.maximum(num_places, 1))
        single = np.diff(menu.item_start) == 1
        stacked = np.where(single, crowd, 1)[item_option]
        item_legal = _legal_items(problem, legal)
        finite = np.asarray(np.isfinite(cost).all(axis=2))
        if not finite.all():
            cost = np.where(finite[:, :, None], cost, 0.0)
            item_legal = finite if item_legal is None else item_legal & finite
            num_places[item_option[everywhere & ~finite.all(axis=1)]] = 0
        relaxed = cls(
            option=np.arange(len(menu)),
            start=menu.start,
            item_start=menu.item_start,
            cost=cost,
            tier_bytes=menu.item_bytes,
            times=(menu.item_count * np.where(everywhere, 1, size)).astype(np.float64),
            stacked=np.where(everywhere, menu.item_count, stacked).astype(np.float64),
            everywhere=everywhere,
            legal=item_legal,
            class_ranks=cluster.class_ranks,
            room=_room(problem),
            largest_hbm=_largest_hbm(problem),
            item=np.arange(len(item_option)),
            per_rank=np.where(problem.apart[item_option], 1, menu.item_count),
        )
        if relaxed.legal is not None:
            nowhere = item_option[~relaxed.legal.any(axis=1)]
            num_places[nowhere] = 0
        return relaxed.select(num_places > 0)

    def __len__(self) -> int:
        """Return the number of options O."""
        return len(self.option)

    @property
    def num_bundles(self) -> int:
        """Number of bundles B."""
        return len(self.start) - 1

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return len(self.class_ranks)

    @property
    def num_dimensions(self) -> int:
        """Dimensions of time D: phases, or 1 for their sum."""
        return int(self.cost.shape[2])

    @cached_property
    def bundle(self) -> Ints:
        """Bundle of each option, shape (O,)."""
        return np.repeat(np.arange(self.num_bundles), np.diff(self.start))

    @cached_property
    def _on_all(self) -> Ints:
        """Indices of the items that are on every rank."""
        return np.flatnonzero(self.everywhere)

    @cached_property
    def most_items(self) -> int:
        """Most items that an option has, at least 1."""
        return int(np.diff(self.item_start).max(initial=1))

    @cached_property
    def most_copies(self) -> float:
        """Most ranks over all places of an item, at least 1."""
        return float(self.times.max(initial=1.0))

    @property
    def rank_times(self) -> Floats:
        """Ranks over all places of an item, all of them for scope ALL; one class."""
        every_rank = float(self.class_ranks[0])
        return self.times * np.where(self.everywhere, every_rank, 1.0)

    @property
    def has_empty_bundle(self) -> bool:
        """Whether a bundle has no option, so that there is no plan at all."""
        return bool((np.diff(self.start) == 0).any())

    def select(self, keep: Bools) -> Self:
        """Return the problem with only some of its options: bool array (O,)."""
        if keep.all():
            return self
        # Indices: taking rows is several times faster than masking them.
        options = np.flatnonzero(keep)
        sizes = np.diff(self.item_start)
        items = np.flatnonzero(np.repeat(keep, sizes))
        return replace(
            self,
            option=self.option[options],
            start=np.searchsorted(options, self.start),
            item_start=offsets(sizes[options]),
            cost=self.cost.take(items, axis=0),
            tier_bytes=self.tier_bytes.take(items, axis=0),
            times=self.times[items],
            stacked=self.stacked[items],
            everywhere=self.everywhere[items],
            legal=None if self.legal is None else self.legal[items],
            item=self.item[items],
            per_rank=self.per_rank[items],
        )

    def priced(self, rank_prices: Floats, byte_prices: Floats) -> Floats:
        """Cost of each option at prices on its cheapest classes, shape (O,).

        Parameters
        ----------
        rank_prices : float array (C, D)
        byte_prices : float array (C, 3)
        """
        per_class = np.empty((len(self.times), self.num_classes))
        for k in range(self.num_classes):
            per_class[:, k] = self.cost[:, k] @ rank_prices[k]
            if byte_prices[k].any():
                per_class[:, k] += self.tier_bytes @ byte_prices[k]
        item = self.times * self._cheapest(per_class)
        every = self._on_all
        if len(every):
            item[every] = self.times[every] * (per_class[every] @ self.class_ranks)
        return np.asarray(np.add.reduceat(item, self.item_start[:-1]))

    def peak(self, weights: Floats, low: Floats | None = None) -> Floats:
        """Weighted seconds of each option's largest item on some rank, shape (O,).

        Parameters
        ----------
        weights : float array (D,)
        low : float array (D,), optional
            Only what exceeds these seconds counts.

        Notes
        -----
        max over items of min over classes of sum_d weights[d] max(0, stacked cost[d]
        - low[d]); for scope ALL the largest class counts, for every class takes part.
        """
        if low is not None and low.any():
            per_class = np.zeros(self.cost.shape[:2])
            for d in np.flatnonzero(weights):
                seconds = self.cost[:, :, d] * self.stacked[:, None]
                per_class += weights[d] * np.maximum(seconds - low[d], 0.0)
        else:
            per_class = (self.cost @ weights) * self.stacked[:, None]
        value = self._cheapest(per_class)
        if self.everywhere.any():
            value = np.where(self.everywhere, per_class.max(axis=1), value)
        return np.asarray(np.maximum.reduceat(value, self.item_start[:-1]))

    def base(self, weights: Floats) -> Floats:
        """Weighted seconds that each option puts on every single rank, shape (O,).

        Parameters
        ----------
        weights : float array (D,)

        Notes
        -----
        Scope ALL: the sum over items, on the class where it is least; otherwise 0.
        """
        every = self._on_all
        item = np.zeros(len(self.times))
        least = (self.cost[every] @ weights).min(axis=1)
        item[every] = self.times[every] * least
        return np.asarray(np.add.reduceat(item, self.item_start[:-1]))

    def least_per_bundle(self, values: Floats) -> Floats:
        """Smallest value over each bundle's options; infinite where there is none."""
        least = np.full(self.num_bundles, np.inf)
        filled = np.diff(self.start) > 0
        if filled.any():
            least[filled] = np.minimum.reduceat(values, self.start[:-1][filled])
        return least

    def _cheapest(self, per_class: Floats) -> Floats:
        """Least of each item's classes where it has a place."""
        if self.legal is not None:
            per_class = np.where(self.legal, per_class, np.inf)
        return per_class.min(axis=1) if self.num_classes > 1 else per_class[:, 0]


def _largest_hbm(problem: Problem) -> Floats:
    cluster = problem.cluster
    largest = np.zeros(len(cluster.host_groups))
    np.maximum.at(largest, cluster.rank_class, problem.capacity.rank_hbm)
    return largest


def _room(problem: Problem) -> Floats:
    """Sum up each tier's pools per class, (C, 3)."""
    cluster = problem.cluster
    owners = problem.capacity.classes(cluster)
    return np.stack(
        [
            np.bincount(
                owner,
                problem.capacity.of_tier(tier),
                minlength=len(cluster.host_groups),
            )
            for tier, owner in enumerate(owners)
        ],
        axis=1,
    )


def _legal_items(problem: Problem, legal: Bools | None) -> Bools | None:
    """Classes where each item has a place that could hold it alone (I, C)."""
    menu, cluster = problem.options, problem.cluster
    item_legal = None if legal is None else legal[menu.item_option]
    if len(cluster.host_groups) == 1:
        return item_legal
    owners = problem.capacity.classes(cluster)
    fits = np.ones((len(menu.item_bytes), len(cluster.host_groups)), dtype=bool)
    for tier, owner in enumerate(owners):
        most = np.zeros(len(cluster.host_groups))
        np.maximum.at(most, owner, problem.capacity.of_tier(tier))
        fits &= menu.item_bytes[:, tier, None] <= most
    if item_legal is not None:
        fits &= item_legal
    return None if fits.all() else fits


def _places(problem: Problem) -> tuple[Bools | None, Ints]:
    """Classes where each option has a place (O, C), and its number of places (O,)."""
    menu, cluster = problem.options, problem.cluster
    classes = len(cluster.host_groups)
    limited = [b for b, mask in problem.allowed.items() if not mask.all()]
    kind = np.stack(
        [
            np.where(np.isin(menu.table, limited), menu.table + 1, 0),
            menu.scope,
            np.where(np.isin(menu.scope, (Scope.RANK, Scope.ALL)), 0, menu.row_shards),
        ],
        axis=1,
    )
    code = np.ravel_multi_index(kind.T, kind.max(axis=0, initial=0) + 1)
    _, first, which = np.unique(code, return_index=True, return_inverse=True)
    legal = np.ones((len(first), classes), dtype=bool)
    num_places = np.ones(len(first), dtype=np.int64)
    for index, option in enumerate(first):
        scope = int(menu.scope[option])
        places = problem.group_places(int(menu.table[option]), int(option))
        num_places[index] = len(places)
        if scope != Scope.ALL:
            _, ranks = problem.ranks_of(scope, places)
            legal[index] = np.bincount(cluster.rank_class[ranks], minlength=classes) > 0
    return (None if legal.all() else legal[which]), num_places[which]
