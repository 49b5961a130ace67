"""Put a bundle that is out where it hurts least."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.search.moves.candidates import Candidates
    from shardplan.solvers.search.penalty import Penalty
    from shardplan.solvers.search.state import State


_NONE = np.zeros(0, dtype=np.int64)


class Way(NamedTuple):
    """One way to place a bundle, and what it adds to the penalty."""

    change: float
    option: int
    places: Ints


class Inserter:
    """Finds the best of some ways to place a bundle, in any scope and under any limit.

    Attributes
    ----------
    evaluated : int
        See `Move`.
    """

    def __init__(
        self, state: State, rng: np.random.Generator, candidates: Candidates
    ) -> None:
        self._state, self._rng, self._candidates = state, rng, candidates
        self.evaluated = 0

    def insert(self, bundle: int, option: int, penalty: Penalty) -> bool:
        """Put a bundle that is out where its option hurts least, or else another."""
        self._candidates.look_around()
        mask = self._state.without_conflicts(bundle)
        ways = self._ways(np.array([option]), penalty, option, mask, _NONE)
        way = min(ways, key=lambda way: way.change, default=None)
        way = way or self.best(bundle, penalty, -1, _NONE)
        if way is not None:
            self._state.put(bundle, way.option, way.places)
        return way is not None

    def best(
        self, bundle: int, penalty: Penalty, current: int, own: Ints
    ) -> Way | None:
        """Find the least penalised of some ways to place a bundle that is out.

        Parameters
        ----------
        current : int
            An option to try in any case; -1 for none.
        own : int array
            Ranks to look at in any case.
        """
        mask = self._state.without_conflicts(bundle)
        options, price = (
            self._candidates.options(bundle, current),
            self._candidates.price,
        )
        ways = self._ways(options, penalty, current, mask, own)
        return min(ways, key=lambda way: way.change + price[way.option], default=None)

    def _ways(
        self, options: Ints, penalty: Penalty, current: int, mask: Bools, own: Ints
    ) -> Iterator[Way]:
        menu, params = self._state.problem.options, self._candidates.params
        single = (menu.scope[options] == Scope.RANK) & ~menu.same_host[options]
        if single.any():
            ranks = self._candidates.ranks(mask, own)
            yield from self._on_ranks(options[single], penalty, ranks)
        others = options[~single]
        if len(others) > params.wide_tried:
            chosen = self._rng.permutation(len(others))[: params.wide_tried]
            others = np.union1d(others[chosen], others[others == current])
        for option in others.tolist():
            if menu.same_host[option]:
                yield from self._on_one_host(option, penalty, mask)
            else:
                yield from self._on_groups(option, penalty, mask)

    def _rises(self, items: Ints, ranks: Ints, penalty: Penalty) -> Floats:
        """Rise of the penalty with one item on one rank, (items, ranks)."""
        state = self._state
        vector = state.vectors.of_items(items)[:, state.rank_class[ranks]]
        pools = state.pool_load[state.rank_pool[ranks]]
        rise = penalty.rise(state.load[ranks], pools, vector)
        self.evaluated += rise.size
        return rise

    def _on_ranks(self, options: Ints, penalty: Penalty, ranks: Ints) -> Iterator[Way]:
        """Put each option's items on the ranks where they hurt least.

        Items of one option have distinct ranks, so the penalty of all is the sum of
        their own, and the least of it is found by sorting.
        """
        menu = self._state.problem.options
        # Cut columns leave one or two widths, those of tables that stay together a few:
        # each item is looked at once, however many options and copies there are.
        items = np.unique(menu.items_in(options))
        rises = self._rises(items, ranks, penalty)
        order = np.argsort(rises, axis=1)
        totals = np.cumsum(np.take_along_axis(rises, order, axis=1), axis=1)
        first = np.searchsorted(items, menu.item_start[options]).tolist()
        number = np.diff(menu.item_start)[options].tolist()
        for option, row, size in zip(options.tolist(), first, number, strict=True):
            count, *others = menu.item_count[items[row : row + size]].tolist()
            if count + sum(others) > len(ranks):
                continue
            change, chosen = totals[row, count - 1], order[row, :count]
            for more, wanted in enumerate(others, row + 1):
                taken = np.zeros(len(ranks), dtype=bool)
                taken[chosen] = True
                rest = order[more][~taken[order[more]]][:wanted]
                change += rises[more, rest].sum()
                chosen = np.concatenate([chosen, rest])
            yield Way(float(change), option, ranks[chosen])

    def _on_one_host(self, option: int, penalty: Penalty, mask: Bools) -> Iterator[Way]:
        """Put an option whose places share a host on one of the emptiest hosts."""
        state = self._state
        first = state.problem.cluster.host_first_rank
        load = np.add.reduceat(state.load.max(axis=1), first)
        usable = np.flatnonzero(np.logical_or.reduceat(mask, first))
        most = self._candidates.params.hosts
        for host in usable[np.argsort(load[usable])[:most]].tolist():
            ranks = np.flatnonzero(mask & (state.rank_host == host))
            yield from self._on_ranks(np.array([option]), penalty, ranks)

    def _on_groups(self, option: int, penalty: Penalty, mask: Bools) -> Iterator[Way]:
        """Put an option over groups of ranks, or over all of them."""
        problem = self._state.problem
        menu, scope = problem.options, int(problem.options.scope[option])
        items = np.arange(menu.item_start[option], menu.item_start[option + 1])
        everyone = np.arange(problem.world_size)
        rises = self._rises(items, everyone, penalty)
        if scope == Scope.ALL:
            if mask.all():
                yield Way(float(rises.sum()), option, _NONE)
            return
        first = problem.cluster.groups(scope).first_rank
        fitting = problem.cluster.groups(scope).of_size(int(menu.row_shards[option]))
        groups = fitting[np.logical_and.reduceat(mask, first)[fitting]]
        each = np.add.reduceat(rises, first, axis=1)[:, groups]
        counts = menu.item_count[items]
        if counts.sum() > len(groups):
            return
        change, chosen = 0.0, list[int]()
        for row, count in zip(each, counts.tolist(), strict=True):
            row[chosen] = np.inf
            best = np.argsort(row, kind="stable")[:count]
            change += float(row[best].sum())
            chosen += best.tolist()
        yield Way(change, option, groups[chosen])
