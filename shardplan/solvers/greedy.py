"""Greedy: choose options by price, then the longest first on the least loaded rank.

With tables restricted to `table_wise` this is the greedy heuristic of Neo
(Mudigere et al., arXiv 2104.05158, section 4.2): sort by cost, put each table on the
rank with the least total. Memory counts as one more dimension of the load.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.totals import OptionTotals
from shardplan.records.sharding import Objective
from shardplan.solvers.base import Observer, SolverResult, Stop, finished
from shardplan.solvers.params import DEFAULTS, PlacementParams, SolverParams
from shardplan.solvers.placement import (
    CLOCK_EVERY,
    Placer,
    mean_phase_load,
    peak_phase_load,
    place_fallback,
    placing_order,
)
from shardplan.solvers.selection import select
from shardplan.solvers.tolerances import ROUNDOFF

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Ints


VALUE_EVERY = 16
"""Bundles between two looks at whether an attempt can still be the best: a look takes
half as long as one bundle."""


class Greedy:
    """Try a few ways to choose and place, and keep the best plan that fits."""

    def __init__(self, params: SolverParams = DEFAULTS) -> None:
        self._params = params

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`; the seed is not used, for nothing here is random."""
        totals = OptionTotals.of(problem)
        bound = totals.lower_bound(problem)
        # The least mean load of any choice that fits: attempts measure items by it.
        relaxed = select(problem, totals, np.inf, 1.0, params=self._params.choice)
        if relaxed is None:
            return finished(None, np.inf, bound, stop)
        measured = _by_phases(problem, totals, relaxed)
        mean = max(float(totals.seconds[relaxed].sum()) / problem.world_size, bound)
        best: Assignment | None = None
        value, work = np.inf, 0.0
        # Where limits do not bind, attempts choose alike.
        tried: set[tuple[bytes, float | None]] = set()
        params = self._params.greedy
        for number, attempt in enumerate(params.attempts + params.last_resorts):
            # Without a plan neither the time nor the work is over: whoever solves
            # wants at least one.
            is_last_resort = number >= len(params.attempts)
            enough = stop.now() or work > params.most_scores or is_last_resort
            if stop.is_overdue() or (best is not None and enough):
                break
            choice = select(
                problem,
                measured if attempt.by_phases else totals,
                attempt.item_share * mean,
                attempt.fill,
                attempt.item_fill,
                self._params.choice,
            )
            if choice is None:
                continue
            scored = min(problem.world_size, params.scored_ranks)
            work += float(problem.options.num_copies[choice].sum()) * scored
            way = choice.tobytes(), attempt.power
            if way in tried:
                continue
            tried.add(way)
            placer = place_all(
                problem,
                totals,
                choice,
                np.inf if attempt.power is None else attempt.power,
                params=self._params.placement,
                give_up=partial(stop.give_up, has_plan=best is not None),
                most_s=value,
            )
            if placer is None:
                continue
            found = placer.loads.value(problem.objective)
            if found < value:
                best, value = placer.assignment(), found
                observer.improved(value, bound)
            if stop.close_enough(value, bound):
                break
        return finished(best, value, bound, stop)


def _by_phases(problem: Problem, totals: OptionTotals, relaxed: Ints) -> OptionTotals:
    """Measure items in the phase where they stand out, if phases count one by one."""
    # For `step` a second counts in a phase that is long anyway, and hardly in one that
    # others make long. How much shows only with a plan, so some attempts measure by
    # phases and others do not.
    if problem.objective is not Objective.STEP:
        return totals
    return totals.by_phases(problem, mean_phase_load(problem, relaxed))


def place_all(
    problem: Problem,
    totals: OptionTotals,
    choice: Ints,
    power: float = np.inf,
    *,
    params: PlacementParams = DEFAULTS.placement,
    strictly: bool = False,
    give_up: Callable[[], bool] | None = None,
    most_s: float = np.inf,
) -> Placer | None:
    """Place a choice of options: over all ranks, then groups, then the longest first.

    A bundle that does not fit takes its next cheapest option that does, unless only
    the choice counts (`strictly`); None if a bundle has none, if `give_up`, asked now
    and then, says so, or if the value will not be below `most_s` [s].
    """
    by_phases = problem.objective is Objective.STEP
    load = peak_phase_load if by_phases else mean_phase_load
    placer = Placer(problem, load(problem, choice), power, params)
    placer.prepare(choice)
    order = placing_order(problem, totals, choice)
    # What is on all ranks comes in one row and needs no look at them in between.
    scope = problem.options.scope[choice[order]]
    everywhere = order[(scope == Scope.ALL) & ~problem.limited[order]]
    lead = int(everywhere[0]) if len(everywhere) else -1
    chosen = choice.tolist()
    for number, bundle in enumerate(order.tolist()):
        if (
            give_up is not None
            and number % CLOCK_EVERY == CLOCK_EVERY - 1
            and give_up()
        ):
            return None
        # Loads only grow, but for what is taken back, which leaves roundings.
        if number % VALUE_EVERY == VALUE_EVERY - 1 and placer.loads.value(
            problem.objective
        ) > most_s * (1.0 + ROUNDOFF):
            return None
        option = chosen[bundle]
        if bundle == lead:
            placer.place_everywhere(everywhere, choice[everywhere])
        if placer.option.item(bundle) == option or placer.place(bundle, option):
            continue
        if strictly or not place_fallback(problem, totals, placer, bundle, option):
            return None
    return placer
