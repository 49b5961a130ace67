"""What a lower bound needs of a problem: items, where they may go, and pools."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import numpy as np

from shardplan.certify.relaxed_items import RelaxedItems
from shardplan.costs.scopes import Scope
from shardplan.problems.totals import ranks_per_place
from shardplan.records.sharding import Objective

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Bools, Floats, Ints

A = TypeVar("A", bound="np.ndarray[Any, Any]")


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
    class_ranks : int array (C,)
    room : float array (C, 3)
        Bytes of each tier in all ranks or hosts of a class.
    largest_hbm : float array (C,)
        Bytes of HBM of the class's largest rank.
    num_dimensions : int
        Dimensions of time D: phases, or 1 for their sum.
    origin : RelaxedItems, or Relaxed and int array (O,)
        The items, or the problem with items that these options were selected from,
        and which of its options they are: a search asks for the items of few menus.
    """

    option: Ints
    start: Ints
    class_ranks: Ints
    room: Floats
    largest_hbm: Floats
    num_dimensions: int
    origin: RelaxedItems | tuple[Relaxed, Ints]
    _known: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, problem: Problem, peak: Floats | None = None) -> Self:
        """Forget the places of a problem.

        Parameters
        ----------
        peak : float array (I, C, D), optional
            Seconds that single ranks take at least, where ranks share links and a mean
            of `item_cost` counts for all together.
        """
        menu, cluster = problem.options, problem.cluster
        cost = menu.item_cost
        if problem.objective is Objective.MAX_RANK:
            cost = cost.sum(axis=2, keepdims=True)
        peak = cost if peak is None else peak
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
            shares = peak is not cost
            cost = np.where(finite[:, :, None], cost, 0.0)
            peak = np.where(finite[:, :, None], peak, 0.0) if shares else cost
            item_legal = finite if item_legal is None else item_legal & finite
            num_places[item_option[everywhere & ~finite.all(axis=1)]] = 0
        items = RelaxedItems(
            start=menu.item_start,
            cost=cost,
            peak=peak,
            tier_bytes=menu.item_bytes,
            times=(menu.item_count * np.where(everywhere, 1, size)).astype(np.float64),
            stacked=np.where(everywhere, menu.item_count, stacked).astype(np.float64),
            everywhere=everywhere,
            legal=item_legal,
            item=np.arange(len(item_option)),
            per_rank=np.where(problem.apart[item_option], 1, menu.item_count),
        )
        relaxed = cls(
            option=np.arange(len(menu)),
            start=menu.start,
            class_ranks=cluster.class_ranks,
            room=_room(problem),
            largest_hbm=_largest_hbm(problem),
            num_dimensions=int(cost.shape[2]),
            origin=items,
        )
        if item_legal is not None:
            nowhere = item_option[~item_legal.any(axis=1)]
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

    @cached_property
    def items(self) -> RelaxedItems:
        """The items of the options."""
        if isinstance(self.origin, RelaxedItems):
            return self.origin
        whole, rows = self.origin
        return whole.items.select(rows)

    def known(self, key: Hashable, work_out: Callable[[], A]) -> A:
        """Return a row per option, worked out here or for the problem it comes from.

        Parameters
        ----------
        key : hashable
            Says what it is; the same for all problems.
        work_out : callable
            Is called if nobody has asked for it before. A row must depend on its
            option alone.
        """
        found = self._known.get(key)
        if found is None and not isinstance(self.origin, RelaxedItems):
            whole, rows = self.origin
            all_rows = whole.own(key)
            found = None if all_rows is None else all_rows[rows]
        if found is None:
            found = work_out()
        self._known[key] = found
        return cast("A", found)

    def own(self, key: Hashable) -> Any:
        """Return what was worked out here, else None."""
        return self._known.get(key)

    def alone(self) -> Self:
        """Return the same problem, and what it knows, as one to select others from."""
        return replace(self, origin=self.items, _known=dict(self._known))

    @cached_property
    def content(self) -> bytes:
        """Equal for the same options, among all that come from one problem."""
        return self.option.tobytes()

    @cached_property
    def bundle(self) -> Ints:
        """Bundle of each option, shape (O,)."""
        return np.repeat(np.arange(self.num_bundles), self.bundle_sizes)

    @cached_property
    def _on_all(self) -> Ints:
        """Indices of the items that are on every rank."""
        return np.flatnonzero(self.items.everywhere)

    @cached_property
    def most_items(self) -> int:
        """Most items that an option has, at least 1."""
        sizes = self.known("sizes", lambda: np.diff(self.items.start))
        return int(sizes.max(initial=1))

    @cached_property
    def most_copies(self) -> float:
        """Most ranks over all places of an item, at least 1."""
        return float(self.items.times.max(initial=1.0))

    @property
    def rank_times(self) -> Floats:
        """Ranks over all places of an item, all of them for scope ALL; one class."""
        every_rank = float(self.class_ranks[0])
        return self.items.times * np.where(self.items.everywhere, every_rank, 1.0)

    @cached_property
    def bundle_sizes(self) -> Ints:
        """Number of options of each bundle, shape (B,)."""
        return self.start[1:] - self.start[:-1]

    @cached_property
    def has_empty_bundle(self) -> bool:
        """Whether a bundle has no option, so that there is no plan at all."""
        return not self.bundle_sizes.all()

    def select(self, keep: Bools) -> Self:
        """Return the problem with only some of its options: bool array (O,)."""
        if keep.all():
            return self
        rows = np.flatnonzero(keep)
        start, option = np.searchsorted(rows, self.start), self.option[rows]
        origin = self.origin
        if isinstance(origin, RelaxedItems):
            origin = (self, rows)
        else:
            origin = (origin[0], origin[1][rows])
        return type(self)(
            option=option,
            start=start,
            class_ranks=self.class_ranks,
            room=self.room,
            largest_hbm=self.largest_hbm,
            num_dimensions=self.num_dimensions,
            origin=origin,
        )

    def priced(self, rank_prices: Floats, byte_prices: Floats) -> Floats:
        """Cost of each option at prices on its cheapest classes, shape (O,).

        Parameters
        ----------
        rank_prices : float array (C, D)
        byte_prices : float array (C, 3)
        """
        per_class = np.empty((len(self.items.times), self.num_classes))
        for k in range(self.num_classes):
            per_class[:, k] = self.items.cost[:, k] @ rank_prices[k]
            if byte_prices[k].any():
                per_class[:, k] += self.items.tier_bytes @ byte_prices[k]
        item = self.items.times * self._cheapest(per_class)
        every = self._on_all
        if len(every):
            item[every] = self.items.times[every] * (
                per_class[every] @ self.class_ranks
            )
        return np.asarray(np.add.reduceat(item, self.items.start[:-1]))

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
        if low is None or not low.any():
            key = ("peak", tuple(weights.tolist()))
            return self.known(key, lambda: self._peak(weights, None))
        return self._peak(weights, low)

    def _peak(self, weights: Floats, low: Floats | None) -> Floats:
        if low is not None:
            per_class = np.zeros(self.items.peak.shape[:2])
            for d in np.flatnonzero(weights):
                seconds = self.items.peak[:, :, d] * self.items.stacked[:, None]
                per_class += weights[d] * np.maximum(seconds - low[d], 0.0)
        else:
            per_class = _weighted(self.items.peak, weights)
            per_class = per_class * self.items.stacked[:, None]
        value = self._cheapest(per_class)
        if self.items.everywhere.any():
            value = np.where(self.items.everywhere, per_class.max(axis=1), value)
        return np.asarray(np.maximum.reduceat(value, self.items.start[:-1]))

    def base(self, weights: Floats) -> Floats:
        """Weighted seconds that each option puts on every single rank, shape (O,).

        Parameters
        ----------
        weights : float array (D,)

        Notes
        -----
        Scope ALL: the sum over items, on the class where it is least; otherwise 0.
        """
        key = ("base", tuple(weights.tolist()))
        return self.known(key, lambda: self._base(weights))

    def _base(self, weights: Floats) -> Floats:
        every = self._on_all
        item = np.zeros(len(self.items.times))
        least = (self.items.peak[every] @ weights).min(axis=1)
        item[every] = self.items.times[every] * least
        return np.asarray(np.add.reduceat(item, self.items.start[:-1]))

    def least_per_bundle(self, values: Floats) -> Floats:
        """Smallest value over each bundle's options; infinite where there is none."""
        if not self.has_empty_bundle:
            return np.asarray(np.minimum.reduceat(values, self.start[:-1]))
        least = np.full(self.num_bundles, np.inf)
        filled = self.bundle_sizes > 0
        if filled.any():
            least[filled] = np.minimum.reduceat(values, self.start[:-1][filled])
        return least

    def _cheapest(self, per_class: Floats) -> Floats:
        """Least of each item's classes where it has a place."""
        if self.items.legal is not None:
            per_class = np.where(self.items.legal, per_class, np.inf)
        return per_class.min(axis=1) if self.num_classes > 1 else per_class[:, 0]


def _weighted(cost: Floats, weights: Floats) -> Floats:
    """Sum seconds (I, C, D) with weights (D,) over the dimensions, (I, C)."""
    some = np.flatnonzero(weights)
    if len(some) == 1:
        return np.asarray(cost[:, :, some[0]] * weights[some[0]])
    return np.asarray(cost @ weights)


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
