"""One sharding type and number of shards for all tables, where they allow it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.totals import OptionTotals
from shardplan.solvers.base import Observer, SolverResult, Stop, finished
from shardplan.solvers.greedy import place_all
from shardplan.solvers.params import DEFAULTS, SolverParams
from shardplan.solvers.selection import select_from

if TYPE_CHECKING:
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Bools


class Uniform:
    """Cut all tables alike, in each way in turn, and keep the best plan.

    Where phases are bounded by the slowest rank each, a plan that loads all ranks
    alike may beat any mixture that changes one table at a time; and many large equal
    tables may fill the ranks in one way only.

    Parameters
    ----------
    most_s : float
        Only plans below this are looked for [s].
    """

    def __init__(self, most_s: float = np.inf, params: SolverParams = DEFAULTS) -> None:
        self._most_s, self._params = most_s, params

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`; the seed is not used, for nothing here is random."""
        totals = OptionTotals.of(problem)
        bound = totals.lower_bound(problem)
        best: Assignment | None = None
        value = self._most_s
        for least, legal, strictly in _ways(problem, totals):
            if stop.now() or least >= value:
                break
            choice = select_from(problem, totals, legal, 1.0, self._params.choice)
            placer = place_all(
                problem,
                totals,
                choice,
                params=self._params.placement,
                strictly=strictly,
            )
            found = np.inf if placer is None else placer.loads.value(problem.objective)
            if placer is not None and found < value:
                best, value = placer.assignment(), found
                observer.improved(value, bound)
        return finished(best, value, bound, stop)


def _ways(problem: Problem, totals: OptionTotals) -> list[tuple[float, Bools, bool]]:
    """Options of each sharding type, and of each type and number of shards.

    Tables that do not offer any may take all of theirs. With each the least that a
    plan of it could be [s], by mean load and longest item, and whether only these
    options will do, for there are many ways; the least first.
    """
    menu = problem.options
    shards = menu.num_copies
    kinds = [menu.sharding_type == kind for kind in np.unique(menu.sharding_type)]
    counts = [shards == count for count in np.unique(shards)]
    found = []
    both = [kind & count for kind in kinds for count in counts]
    for index, legal in enumerate(kinds + both):
        offered = np.logical_or.reduceat(legal, menu.start[:-1])
        if offered.any():
            legal = legal | ~np.repeat(offered, np.diff(menu.start))
            total, longest = (
                np.minimum.reduceat(np.where(legal, s, np.inf), menu.start[:-1])
                for s in (totals.seconds, totals.largest)
            )
            # Sorted by what no plan of a way can be below, the search can end at the
            # first that is no better than what was found.
            least = max(total.sum() / problem.world_size, longest.max())
            found.append((float(least), legal, index >= len(kinds)))
    return sorted(found, key=lambda way: way[0])
