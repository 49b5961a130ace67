"""Ways to take an option: which zones its pieces are in, and what they put there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.totals import ranks_per_place
from shardplan.records.sharding import Objective

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Floats, Ints
    from shardplan.solvers.shelf.zones import Zones


@dataclass(frozen=True, eq=False)
class Takes:
    """N ways to take options; Z zones, D dimensions.

    Attributes
    ----------
    option : int array (N,)
    pieces : int array (N, Z)
        Places that the option has in each zone; none for scope `ALL`.
    width : int array (N,)
        Ranks of each place.
    slots : int array (N, Z)
        Places that there are for it in each zone, if nothing else is there.
    load : float array (N, Z, D)
        What the option puts on a rank of each zone: its longest item, or all items of
        scope `ALL`. Seconds of P dimensions, then bytes per tier, as shares of what
        there is.
    num_times : int
        Dimensions P of time: the phases, or for `max-rank` their sum.
    """

    option: Ints
    pieces: Ints
    width: Ints
    slots: Ints
    load: Floats
    num_times: int

    @classmethod
    def of(cls, problem: Problem, zones: Zones) -> Self:
        """List the ways: all pieces in one zone, or spread over all in proportion."""
        menu = problem.options
        option: list[int] = []
        pieces, slots = [], []
        for one in range(len(menu)):
            free = _slots(problem, zones, one)
            for shares in _shares(problem, zones, one, free):
                option.append(one)
                pieces.append(shares)
                slots.append(free)
        which = np.array(option, dtype=np.int64)
        shape = (len(option), len(zones))
        load, num_times = _loads(problem, zones)
        return cls(
            which,
            np.array(pieces, dtype=np.int64).reshape(shape),
            ranks_per_place(menu, problem.world_size)[which],
            np.array(slots, dtype=np.int64).reshape(shape),
            load[which],
            num_times,
        )

    def __len__(self) -> int:
        """Return the number of ways N."""
        return len(self.option)


def _slots(problem: Problem, zones: Zones, option: int) -> Ints:
    """Places that an option may use in each zone, if nothing else is there (Z,)."""
    menu = problem.options
    bundle, scope = menu.table.item(option), menu.scope.item(option)
    if scope == Scope.ALL:
        return np.zeros(len(zones), dtype=np.int64)
    places = problem.group_places(bundle, option)
    zone = zones.groups_inside(problem, scope, places)
    if not menu.same_host[option]:
        return np.bincount(zone[zone >= 0], minlength=len(zones))
    most = np.zeros(len(zones), dtype=np.int64)
    for host in np.unique(problem.cluster.rank_host[places]):
        here = zone[problem.cluster.rank_host[places] == host]
        most = np.maximum(most, np.bincount(here, minlength=len(zones)))
    return most


def _shares(problem: Problem, zones: Zones, option: int, slots: Ints) -> list[Ints]:
    """Return ways to share out the places of an option over zones, (Z,) each."""
    menu = problem.options
    if menu.scope[option] == Scope.ALL:
        return [np.zeros(len(zones), dtype=np.int64)]
    copies = menu.num_copies.item(option)
    one = np.diag(np.full(len(zones), copies))
    found = list(one[slots >= copies])
    several = np.count_nonzero(slots) > 1 and copies > 1
    if several and not menu.same_host[option] and slots.sum() >= copies:
        # The largest remainders are rounded up, and so the slots are never too few.
        exact = copies * slots / slots.sum()
        spread = np.floor(exact).astype(np.int64)
        order = np.argsort(spread - exact, kind="stable")
        spread[order[: copies - spread.sum()]] += 1
        if np.count_nonzero(spread) > 1:
            found.append(spread)
    return found


def _loads(problem: Problem, zones: Zones) -> tuple[Floats, int]:
    """Return what options put on a rank of each zone (O, Z, D), and P."""
    menu = problem.options
    cost = menu.item_cost[:, zones.rank_class]
    if problem.objective is Objective.MAX_RANK:
        cost = cost.sum(axis=2, keepdims=True)
    used = menu.item_bytes.any(axis=0)
    share = menu.item_bytes[:, None, used] / np.maximum(zones.room[None, :, used], 1.0)
    item = np.concatenate([cost, share], axis=2)
    first = menu.item_start[:-1]
    longest = np.maximum.reduceat(item, first)
    every = np.add.reduceat(item * menu.item_count[:, None, None], first)
    everywhere = menu.scope == Scope.ALL
    load = np.where(everywhere[:, None, None], every, longest)
    return np.asarray(load), cost.shape[2]
