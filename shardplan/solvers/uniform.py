"""One sharding type and number of shards for all tables, where they allow it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.totals import OptionTotals
from shardplan.problems.weighted import StepView
from shardplan.records.sharding import Objective
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

    Notes
    -----
    Under `time` tables are placed by the plain sum of operations, but every plan is
    judged by its predicted step: a plan whose sum is higher may have a shorter one.
    """

    def __init__(self, most_s: float = np.inf, params: SolverParams = DEFAULTS) -> None:
        self._most_s, self._params = most_s, params

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`; the seed is not used, for nothing here is random."""
        by_time = problem.objective is Objective.TIME
        sums = _sums(problem) if by_time else problem
        totals = OptionTotals.of(sums)
        bound = 0.0 if by_time else totals.lower_bound(problem)
        best: Assignment | None = None
        value = self._most_s
        for least, legal, strictly in _ways(sums, totals):
            # No plan has a sum below `least`; its step may be.
            if stop.now() or (least >= value and not by_time):
                break
            choice = select_from(sums, totals, legal, 1.0, self._params.choice)
            placer = place_all(
                sums,
                totals,
                choice,
                params=self._params.placement,
                strictly=strictly,
            )
            if placer is None:
                continue
            assignment = placer.assignment()
            found = problem.value(assignment)
            if found < value:
                best, value = assignment, found
                observer.improved(value, bound)
        return finished(best, value, bound, stop)


def _sums(problem: Problem) -> Problem:
    """Return a problem under `time` as one of the plain sum of its operations."""
    every = StepView(problem, np.arange(len(problem.options)))
    return every.problem(np.ones(len(problem.pricer.phases)))


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
