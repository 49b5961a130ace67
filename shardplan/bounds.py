"""Lower bounds on the objective, and proofs that nothing fits."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from shardplan.errors import Shortfall
from shardplan.sharding import TIERS, Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.options.arrays import Options
    from shardplan.problem import Problem

    Floats = NDArray[np.float64]


def ranks_per_place(options: Options, world_size: int) -> NDArray[np.int64]:
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


def simple_lower_bound(problem: Problem) -> float:
    """Return a value that no plan of the menu goes below, for either objective [s].

    Notes
    -----
    The larger of (a) the average load, sum over tables of the cheapest option's
    total seconds over W, and (b) the largest item that some table cannot avoid:
    max_t min_o max_i of an item's seconds over all phases.
    """
    menu = problem.options
    seconds, _ = option_totals(problem)
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


def first_least(values: Floats, start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of the first smallest value of each table; `start` bounds its options."""
    least = np.repeat(np.minimum.reduceat(values, start[:-1]), np.diff(start))
    index = np.where(values <= least, np.arange(len(values)), len(values))
    return np.asarray(np.minimum.reduceat(index, start[:-1]))


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
