"""The shards of a choice of options, in the order in which greedy places them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.options.arrays import offsets
from shardplan.solvers.levels import added_levels, level_scale
from shardplan.solvers.placement import placing_order
from shardplan.solvers.tolerances import LEAST_ROOM

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.problems.totals import OptionTotals
    from shardplan.records.arrays import Floats, Ints


@dataclass(frozen=True, eq=False)
class Queue:
    """What a choice puts on equal ranks that all of it may go to.

    Attributes
    ----------
    choice : int array (B,)
        An option of each bundle.
    scale_s : float array (P,)
        See `Placer`.
    everywhere : int array (E,)
        Options on all ranks: they come first.
    order : int array (N,)
        The other bundles.
    item, scope, count : int arrays (K,)
        Their shards; one with a count takes as many places of its own at once.
    """

    problem: Problem
    choice: Ints
    scale_s: Floats
    everywhere: Ints
    order: Ints
    item: Ints
    scope: Ints
    count: Ints

    @classmethod
    def of(
        cls, problem: Problem, totals: OptionTotals, choice: Ints, scale_s: Floats
    ) -> Self | None:
        """Put the shards of a choice in order; None if it is not of this kind."""
        if not _is_plain(problem, choice):
            return None
        menu, order = problem.options, placing_order(problem, totals, choice)
        on_all = menu.scope[choice[order]] == Scope.ALL
        items = menu.items_in(choice[order[~on_all]])
        option, count = menu.item_option[items], menu.item_count[items]
        copies = np.where(menu.apart[option], 1, count)
        return cls(
            problem=problem,
            choice=choice,
            scale_s=scale_s,
            everywhere=choice[order[on_all]],
            order=order[~on_all],
            item=np.repeat(items, copies),
            scope=np.repeat(menu.scope[option], copies),
            count=np.repeat(count // copies, copies),
        )

    @cached_property
    def start(self) -> Ints:
        """Where the places of each shard begin, and the end of all (K + 1,)."""
        return offsets(self.count)

    @cached_property
    def added(self) -> Floats:
        """Level that each shard adds to a rank, see `Levels` (K, D)."""
        return self._added(self.item)

    @cached_property
    def first_level(self) -> Floats:
        """Level of a rank with what is everywhere (D,)."""
        return _last_sum(self._added(self.problem.options.items_in(self.everywhere)))

    @cached_property
    def first_load(self) -> Floats:
        """Seconds per phase and bytes of HBM of what is everywhere (P + 1,)."""
        menu = self.problem.options
        items, counts = menu.items_in(self.everywhere), menu.num_items[self.everywhere]
        load = np.c_[menu.item_cost[items, 0], menu.item_bytes[items, 0]]
        if len(items):
            load = np.add.reduceat(load, np.cumsum(counts) - counts)
        return _last_sum(load)

    def _added(self, items: Ints) -> Floats:
        problem = self.problem
        hbm = np.maximum(problem.rooms[0][:1], LEAST_ROOM)
        scale = level_scale(problem, self.scale_s)
        kind = np.zeros(1, dtype=np.int64), hbm
        return added_levels(problem.options, items, scale, kind)[:, :, 0]


def _is_plain(problem: Problem, choice: Ints) -> bool:
    """Whether ranks are equal and shards in HBM, and may go to any of them."""
    menu, scope = problem.options, problem.options.scope[choice]
    hbm, _, _ = problem.rooms
    is_even = menu.item_cost.shape[1] == 1 and hbm.min() == hbm.max()
    if not is_even or problem.limited.any() or (scope > Scope.ALL).any():
        return False
    cut = choice[(scope != Scope.ALL) & (menu.num_copies[choice] > 1)]
    if (menu.same_host[cut] | (problem.apart[cut] != menu.apart[cut])).any():
        return False
    for kind in set(scope.tolist()) - {Scope.RANK, Scope.ALL}:
        some, sizes = choice[scope == kind], problem.cluster.groups(kind).num_ranks
        places = problem.group_places(menu.table.item(some[0]), some.item(0))
        if len(places) < len(sizes) or np.ptp(menu.row_shards[some]) > 0:
            return False
    return not menu.uses_pools[menu.items_in(choice)].any()


def _last_sum(rows: Floats) -> Floats:
    """Sum of rows (N, D), added one after the other to nothing (D,)."""
    return np.asarray(np.cumsum(np.pad(rows, ((1, 0), (0, 0))), axis=0)[-1])
