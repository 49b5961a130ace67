"""Greedy: choose options by price, then the longest first on the least loaded rank.

With tables restricted to `table_wise` this is the greedy heuristic of Neo
(Mudigere et al., arXiv 2104.05158, section 4.2): sort by cost, put each table on the
rank with the least total. Memory counts as one more dimension of the load.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.totals import OptionTotals
from shardplan.records.sharding import Objective
from shardplan.solvers.base import Observer, SolverResult, Stop, finished
from shardplan.solvers.lockstep import Placed, place_in_lockstep
from shardplan.solvers.params import (
    DEFAULTS,
    AttemptParams,
    PlacementParams,
    SolverParams,
)
from shardplan.solvers.placement import (
    CLOCK_EVERY,
    Placer,
    mean_phase_load,
    peak_phase_load,
    place_fallback,
    placing_order,
)
from shardplan.solvers.queue import Queue
from shardplan.solvers.selection import select
from shardplan.solvers.tolerances import ROUNDOFF

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Floats, Ints

    _Way = tuple[bytes, float | None]
    """A choice and the order of its norm."""


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
        params, fill = self._params.greedy, self._params.choice
        attempts = params.attempts + params.last_resorts

        @cache
        def choose(number: int) -> Ints | None:
            by, share = attempts[number], attempts[number].item_share * mean
            seconds = measured if by.by_phases else totals
            return select(problem, seconds, share, by.fill, by.item_fill, fill)

        best: Assignment | None = None
        value, work = np.inf, 0.0
        together = {} if stop.now() else self._together(problem, totals, choose, stop)
        # Where limits do not bind, attempts choose alike.
        tried: set[_Way] = set()
        for number, attempt in enumerate(attempts):
            # Without a plan neither the time nor the work is over: whoever solves
            # wants at least one.
            is_last_resort = number >= len(params.attempts)
            enough = stop.now() or work > params.most_scores or is_last_resort
            if stop.is_overdue() or (best is not None and enough):
                break
            choice = choose(number)
            if choice is None:
                continue
            work += self._work(problem, choice)
            way = choice.tobytes(), attempt.power
            if way in tried:
                continue
            tried.add(way)
            placed = together.get(way) or place_all(
                problem,
                totals,
                choice,
                _power(attempt),
                params=self._params.placement,
                give_up=partial(stop.give_up, has_plan=best is not None),
                most_s=value,
            )
            if placed is None:
                continue
            found = placed.loads.value(problem.objective)
            if found < value:
                best, value = placed.assignment(), found
                observer.improved(value, bound)
            if stop.close_enough(value, bound):
                break
        return finished(best, value, bound, stop)

    def _together(
        self,
        problem: Problem,
        totals: OptionTotals,
        choose: Callable[[int], Ints | None],
        stop: Stop,
    ) -> dict[_Way, Placed]:
        """Place in lockstep the attempts that are made whatever the first ones find.

        Returns
        -------
        dict
            Those that `place_all` need not place.
        """
        params, work = self._params.greedy, 0.0
        queues: dict[bytes, Queue | None] = {}
        ways: dict[_Way, tuple[Queue, float]] = {}
        for number, attempt in enumerate(params.attempts):
            if work > params.most_scores:
                break
            choice = choose(number)
            if choice is None:
                continue
            work += self._work(problem, choice)
            key = choice.tobytes()
            if key not in queues:
                scale = phase_scale(problem, choice)
                queues[key] = Queue.of(problem, totals, choice, scale)
            if queue := queues[key]:
                ways[key, attempt.power] = queue, _power(attempt)
        if len(ways) < 2 or problem.world_size > self._params.placement.many_ranks:
            return {}
        placed = place_in_lockstep(tuple(ways.values()), stop.now)
        return {way: one for way, one in zip(ways, placed, strict=True) if one}

    def _work(self, problem: Problem, choice: Ints) -> float:
        """Scores of a shard on a rank that placing a choice takes."""
        scored = min(problem.world_size, self._params.greedy.scored_ranks)
        return float(problem.options.num_copies[choice].sum()) * scored


def _power(attempt: AttemptParams) -> float:
    return np.inf if attempt.power is None else attempt.power


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
    placer = Placer(problem, phase_scale(problem, choice), power, params)
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


def phase_scale(problem: Problem, choice: Ints) -> Floats:
    """Return what counts as one unit of load per phase for a choice (P,) [s]."""
    by_phases = problem.objective is Objective.STEP
    return (peak_phase_load if by_phases else mean_phase_load)(problem, choice)
