"""Greedy: choose options by price, then the longest first on the least loaded rank.

With tables restricted to `table_wise` this is the greedy heuristic of Neo
(Mudigere et al., arXiv 2104.05158, section 4.2): sort by cost, put each table on the
rank with the least total. Memory counts as one more dimension of the load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.bounds import simple_lower_bound
from shardplan.solvers.base import Observer, SolverResult, Stop, finished
from shardplan.solvers.placement import (
    Placer,
    mean_phase_load,
    place_fallback,
    placing_order,
)
from shardplan.solvers.selection import OptionTotals, select

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.problem import Assignment, Problem

    Ints = NDArray[np.int64]

_ATTEMPTS = ((1.0, 1.0), (0.5, 1.0), (0.8, 0.97), (0.3, 0.95), (0.15, 0.9))
"""Item limit (share of the mean load) and fill (share of the memory), in order."""
_LAST_RESORTS = ((2.0, 0.97), (10.0, 0.9))
"""More of them, as long as there is no plan: longer items need fewer buffers."""
_WORK = 2e6
"""Stop after this many scored ranks, once there is a plan."""


class Greedy:
    """Try a few limits on the largest item and keep the best plan that fits."""

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`; the seed is not used, for nothing here is random."""
        bound = simple_lower_bound(problem)
        totals = OptionTotals.of(problem)
        mean = max(totals.mean_rank_seconds(problem), bound)
        best: Assignment | None = None
        value, work = np.inf, 0.0
        for number, (item_share, fill) in enumerate(_ATTEMPTS + _LAST_RESORTS):
            enough = stop.now() or work > _WORK or number >= len(_ATTEMPTS)
            if best is not None and enough:
                break
            choice = select(problem, totals, item_share * mean, fill)
            if choice is None:
                continue
            work += float(_num_items(problem, choice)) * problem.world_size
            placer = place_all(problem, totals, choice)
            if placer is None:
                continue
            found = placer.loads.value(problem.objective)
            if found < value:
                best, value = placer.assignment(), found
                observer.improved(value, bound)
            if stop.close_enough(value, bound):
                break
        return finished(best, value, bound, stop)


def place_all(problem: Problem, totals: OptionTotals, choice: Ints) -> Placer | None:
    """Place a choice of options: over all ranks, then groups, then the longest first.

    A bundle that does not fit takes its next cheapest option that does; None if a
    bundle has none.
    """
    placer = Placer(problem, mean_phase_load(problem, choice))
    for bundle in placing_order(problem, totals, choice):
        if not place_fallback(
            problem, totals, placer, int(bundle), int(choice[bundle])
        ):
            return None
    return placer


def _num_items(problem: Problem, choice: Ints) -> int:
    menu = problem.options
    counts = np.add.reduceat(menu.item_count, menu.item_start[:-1])
    return int(counts[choice].sum())
