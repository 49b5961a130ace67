"""Sums over the places of options, and what follows from them alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.errors import Shortfall
from shardplan.records.sharding import TIERS

if TYPE_CHECKING:
    from shardplan.problems.options.arrays import Options
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Floats, Ints


_LEAST_SHARE = 0.1
"""Phases shorter than this share of the whole matter as if they were as long."""


def ranks_per_place(options: Options, world_size: int) -> Ints:
    """Ranks that one place of each option covers, int array (O,)."""
    grouped = np.where(options.scope == Scope.RANK, 1, options.row_shards)
    return np.where(options.scope == Scope.ALL, world_size, grouped)


def option_totals(problem: Problem) -> tuple[Floats, Floats]:
    """Least total seconds (O,) and total bytes per tier (O, 3) of each option.

    Notes
    -----
    Seconds are summed over phases, items, places and ranks; on a mixed cluster an
    item counts at its cheapest class, or for scope ALL at each rank's own.
    """
    menu, cluster = problem.options, problem.cluster
    per_class = menu.item_cost.sum(axis=2)
    everywhere = menu.scope[menu.item_option] == Scope.ALL
    one_rank = np.where(
        everywhere,
        per_class @ cluster.class_ranks / cluster.world_size,
        per_class.min(axis=1) if len(per_class) else 0.0,
    )
    times = (
        menu.item_count * ranks_per_place(menu, cluster.world_size)[menu.item_option]
    )
    seconds = _per_option(menu, one_rank * times)
    tier_bytes = np.stack(
        [_per_option(menu, column * times) for column in menu.item_bytes.T], axis=1
    )
    return seconds, tier_bytes


def _per_option(menu: Options, values: Floats) -> Floats:
    """Sum values of items over the items of each option."""
    sums = np.bincount(menu.item_option, values, minlength=len(menu))
    return sums.astype(np.float64, copy=False)


@dataclass(frozen=True, eq=False)
class OptionTotals:
    """Sums over all places of each option, which the choice is made from.

    Attributes
    ----------
    seconds : float array (O,)
        Total seconds over all ranks and phases.
    tier_bytes : float array (O, 3)
        Total bytes per tier, as shares of the tier's whole capacity.
    largest : float array (O,)
        Seconds of the largest item that goes to a single rank; 0 for scope ALL,
        whose loads no placement can change.
    largest_bytes : float array (O,)
        Bytes of the item that fills most of some rank or host, as a share of it; 0 for
        scope ALL.
    """

    seconds: Floats
    tier_bytes: Floats
    largest: Floats
    largest_bytes: Floats

    @classmethod
    def of(cls, problem: Problem) -> OptionTotals:
        """Sum up a problem's menu."""
        seconds, tier_bytes = option_totals(problem)
        capacity = [problem.capacity.of_tier(tier).sum() for tier in range(len(TIERS))]
        shares = tier_bytes / np.maximum(capacity, 1.0)
        menu = problem.options
        item = menu.item_cost.sum(axis=2).min(axis=1)
        pools = [problem.capacity.of_tier(tier).max() for tier in range(len(TIERS))]
        filled = (menu.item_bytes / np.maximum(pools, 1.0)).max(axis=1)
        return cls(seconds, shares, _largest(problem, item), _largest(problem, filled))

    @cached_property
    def all_bytes(self) -> Floats:
        """Sum of the shares of all tiers, float array (O,)."""
        return np.asarray(self.tier_bytes.sum(axis=1))

    @cached_property
    def num_tiers(self) -> int:
        """How many tiers options take bytes of."""
        return int(self.tier_bytes.any(axis=0).sum())

    def mean_rank_seconds(self, problem: Problem) -> float:
        """Mean load of a rank if every bundle took its cheapest option [s]."""
        least = np.minimum.reduceat(self.seconds, problem.options.start[:-1])
        return float(least.sum()) / problem.world_size

    def lower_bound(self, problem: Problem) -> float:
        """See `simple_lower_bound`, for which the sums are the longest part [s]."""
        return _simple_bound(problem, self.seconds)

    def by_phases(self, problem: Problem, load_s: Floats) -> OptionTotals:
        """Return the totals with items measured in the phase where they stand out.

        Parameters
        ----------
        load_s : float array (P,)
            Mean load of a rank per phase [s]. An item with x times the load of some
            phase counts as x times the whole load; phases of less than
            `_LEAST_SHARE` count as if they had that much.
        """
        menu = problem.options
        share = np.maximum(load_s / load_s.sum(), _LEAST_SHARE)
        item = (menu.item_cost.min(axis=1) / share).max(axis=1)
        return replace(self, largest=_largest(problem, item))


def _largest(problem: Problem, item_s: Floats) -> Floats:
    """Longest item of each option that goes to a single rank (O,)."""
    menu = problem.options
    largest = np.maximum.reduceat(item_s, menu.item_start[:-1])
    return np.where(menu.scope == Scope.ALL, 0.0, largest)


def simple_lower_bound(problem: Problem) -> float:
    """Return a value that no plan of the menu goes below, for either objective [s].

    Parameters
    ----------
    problem : Problem
        Every bundle has an option.

    Returns
    -------
    float
        Seconds; there is no certificate for them.

    Notes
    -----
    The larger of (a) the average load, sum over tables of the cheapest option's
    total seconds over W, and (b) the largest item that some table cannot avoid:
    max_t min_o max_i of an item's seconds over all phases.
    """
    seconds, _ = option_totals(problem)
    return _simple_bound(problem, seconds)


def _simple_bound(problem: Problem, seconds: Floats) -> float:
    menu = problem.options
    average = least_per_table(seconds, menu).sum() / problem.world_size
    item = menu.item_cost.sum(axis=2).min(axis=1)
    largest = np.maximum.reduceat(item, menu.item_start[:-1])
    return float(max(average, least_per_table(largest, menu).max()))


def least_per_table(values: Floats, options: Options) -> Floats:
    """Smallest value over each table's options; infinite where there is none."""
    counts = np.diff(options.start)
    least = np.full(len(counts), np.inf)
    filled = counts > 0
    if filled.any():
        least[filled] = np.minimum.reduceat(values, options.start[:-1][filled])
    return least


def first_least(values: Floats, start: Ints) -> Ints:
    """Index of the first smallest value of each table; `start` bounds its options."""
    least = np.repeat(np.minimum.reduceat(values, start[:-1]), np.diff(start))
    found = np.flatnonzero(values <= least)
    return np.asarray(found[np.searchsorted(found, start[:-1])])


def memory_shortfalls(problem: Problem) -> list[Shortfall]:
    """Prove that nothing fits: pools smaller than what every plan puts there.

    Notes
    -----
    For each set of tiers, the sum over tables of the least bytes that any option
    puts into these tiers together, against their capacity.
    """
    menu, capacity = problem.options, problem.capacity
    _, tier_bytes = option_totals(problem)
    names = problem.bundle_names()
    found = []
    for size in (1, 2, 3):
        for tiers in combinations(range(len(TIERS)), size):
            needed = least_per_table(tier_bytes[:, tiers].sum(axis=1), menu)
            available = sum(float(capacity.of_tier(tier).sum()) for tier in tiers)
            if needed.sum() > available:
                largest = np.argsort(-needed, kind="stable")[:5]
                found.append(
                    Shortfall(
                        tier="+".join(TIERS[tier] for tier in tiers),
                        needed_bytes=float(needed.sum()),
                        available_bytes=available,
                        tables=tuple(names[i] for i in largest),
                    )
                )
    return found
