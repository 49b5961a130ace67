"""Prices of memory that guide the search: a Lagrangian bound over whole pools.

The prices only guide; a certified bound comes from `shardplan.problems.totals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.highs import End, Highs
from shardplan.problems.totals import (
    least_per_table,
    ranks_per_place,
    simple_lower_bound,
)
from shardplan.records.sharding import TIERS, Objective, Phase

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.problems.totals import OptionTotals
    from shardplan.records.arrays import Bools, Floats


_CUTS = 30
_TOLERANCE = 2e-5
_BISECTIONS = 10
_REACH = 1.1
"""The bound is looked for up to this many times its simplest value."""
_PHASE_GROUPS = (
    (Phase.INPUT_DIST,),
    (Phase.PREFETCH_COMPUTE,),
    (Phase.FWD_COMPUTE,),
    (Phase.FWD_COMMS, Phase.BWD_COMMS),
    (Phase.BWD_COMPUTE,),
)
"""Phases whose times go together; fewer groups, fewer subsets to look at."""


@dataclass(frozen=True, eq=False)
class Guide:
    """What a good plan pays.

    Attributes
    ----------
    bound_s : float
        A value below that of every plan, but for rounding [s].
    price : float array (3,)
        Seconds for the whole capacity of each tier.
    regret : float array (O,)
        Priced seconds above the bundle's cheapest option that a plan may use.
    """

    bound_s: float
    price: Floats
    regret: Floats

    @classmethod
    def of(cls, problem: Problem, totals: OptionTotals) -> Guide:
        """Bound the problem.

        Notes
        -----
        For prices p >= 0 the value (sum_t min_o (seconds_o + p . bytes_o) - p . 1) / W
        is a lower bound. A plan of value T uses only options that need at most T, so
        T* >= min(T, bound of the menu without the others) for every T: the largest
        such T is found by bisection.
        """
        dual = _Dual(problem, totals)
        needs = _longest(problem)
        low = max(simple_lower_bound(problem), dual.best(needs < np.inf))
        if problem.objective is Objective.STEP:
            needs = np.maximum(needs, _needs(problem, needs <= _REACH * low))
        high = min(dual.best(needs <= low), _REACH * low)
        for _ in range(_BISECTIONS):
            if high <= low * (1.0 + _TOLERANCE):
                break
            middle = (low + high) / 2
            value = dual.best(needs <= middle)
            low = max(low, min(middle, value))
            high = high if value >= middle else middle
        legal = needs <= low * (1.0 + _TOLERANCE)
        dual.best(legal)
        return cls(low, dual.price, dual.regret(legal))


def _longest(problem: Problem) -> Floats:
    """Seconds of the longest item of each option (O,)."""
    menu = problem.options
    item = menu.item_cost.min(axis=1).sum(axis=1)
    return np.asarray(np.maximum.reduceat(item, menu.item_start[:-1]))


def _needs(problem: Problem, legal: Bools) -> Floats:
    """Value that no plan of `legal` options with this option goes below (O,).

    Notes
    -----
    For each subset S of phases: the item's seconds in S, plus the mean load of a
    rank in the other phases if every bundle takes the option that is cheapest there;
    the largest of these sums.
    """
    menu = problem.options
    item = menu.item_cost.min(axis=1)
    names = [name.split(" ")[0] for name in problem.pricer.phases]
    groups = [[i for i, n in enumerate(names) if n in group] for group in _PHASE_GROUPS]
    groups = [group for group in groups if item[:, group].any()]
    seconds = np.stack([item[:, group].sum(axis=1) for group in groups], axis=1)
    ranks = ranks_per_place(menu, problem.world_size)[menu.item_option]
    weight = (menu.item_count * ranks / problem.world_size)[:, None]
    first = menu.item_start[:-1]
    own = np.maximum.reduceat(seconds, first)
    mean = np.add.reduceat(seconds * weight, first)
    needs = np.zeros(len(menu))
    for inside in range(1, 2 ** len(groups) - 1):
        is_inside = (inside >> np.arange(len(groups))) & 1
        rest = np.where(legal, mean @ (1.0 - is_inside), np.inf)
        needs = np.maximum(needs, own @ is_inside + least_per_table(rest, menu).sum())
    return needs


class _Dual:
    """The Lagrangian dual of choosing options under whole-pool capacities."""

    def __init__(self, problem: Problem, totals: OptionTotals) -> None:
        self._menu, self._world = problem.options, problem.world_size
        self._seconds, self._bytes = totals.seconds, totals.tier_bytes
        self._tiers = np.flatnonzero(totals.tier_bytes.any(axis=0))
        self.price = np.zeros(len(TIERS))

    def best(self, legal: Bools) -> float:
        """Maximise over prices by cutting planes; the value is per rank [s]."""
        tiers = self._tiers
        top = -np.inf
        price = self.price[tiers]
        ceiling = 10.0 * float(np.abs(self._seconds).sum())
        size, columns = len(tiers), np.arange(len(tiers) + 1)
        planes = Highs(
            "the prices of memory",
            np.r_[-1.0, np.zeros(size)],
            np.r_[-np.inf, np.zeros(size)],
            np.r_[np.inf, np.full(size, ceiling)],
        )
        for _ in range(_CUTS):
            value, slope = self._at(price, legal)
            if not np.isfinite(value):
                return np.inf
            if value > top:
                top, best = value, price
            plane = np.r_[1.0, -slope]
            planes.add_row(-np.inf, value - float(slope @ price), columns, plane)
            if planes.run() is not End.OPTIMAL:
                break
            if -planes.objective <= top + _TOLERANCE / 4 * abs(top):
                break
            price = planes.values[1:]
        self.price[tiers] = best
        return top / self._world

    def regret(self, legal: Bools) -> Floats:
        """Priced seconds above each bundle's cheapest legal option."""
        priced = self._seconds + self._bytes @ self.price
        least = least_per_table(np.where(legal, priced, np.inf), self._menu)
        least = np.where(np.isfinite(least), least, least_per_table(priced, self._menu))
        return np.asarray(priced - np.repeat(least, np.diff(self._menu.start)))

    def _at(self, price: Floats, legal: Bools) -> tuple[float, Floats]:
        """Value and slope of the dual at some prices."""
        start = self._menu.start[:-1]
        priced = self._seconds + self._bytes[:, self._tiers] @ price
        priced = np.where(legal, priced, np.inf)
        least = np.minimum.reduceat(priced, start)
        value = float(least.sum() - price.sum())
        if not np.isfinite(value):
            return np.inf, np.zeros(len(price))
        chosen = priced <= np.repeat(least, np.diff(self._menu.start))
        first = np.flatnonzero(chosen)
        first = first[np.r_[True, np.diff(self._menu.table[first]) > 0]]
        return value, self._bytes[first][:, self._tiers].sum(axis=0) - 1.0
