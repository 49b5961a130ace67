"""Guard rail: no plan is returned that simulates slower than one that was at hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.errors import InputError
from shardplan.records.sharding import QUANTITY, Objective
from shardplan.simulation import simulate
from shardplan.solvers.base import Silent, SolverResult, SolveStatus
from shardplan.solvers.by_step_time import ByStepTime
from shardplan.solvers.greedy import Greedy
from shardplan.units import format_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shardplan.plans.plan import Plan
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.solvers.base import Solver, Stop

NOISE = 1e-3
"""Steps and values that differ by less are ties."""
_MOST = 12
"""Plans that are simulated."""
_MOST_VALUED = 40
"""Plans whose objective is looked at, to leave out what cannot be faster."""
_LEAST = 2
"""Plans that are simulated even when time is over: the one found, and greedy's."""
_LARGE = 400_000
"""Tables x ranks above which a simulation takes too long to compare plans."""


class Guarded(NamedTuple):
    """A result that simulates no slower than what was at hand.

    Attributes
    ----------
    sentence : str
        What was changed, and why; empty if nothing was.
    """

    result: SolverResult
    sentence: str


@dataclass(frozen=True)
class _Rival:
    """A plan that was at hand: its objective [s], simulated step [s] and traffic."""

    assignment: Assignment
    value_s: float
    step_s: float
    num_kinds: int
    num_bytes: float


def guard(
    solver: Solver,
    problem: Problem,
    found: SolverResult,
    make_plan: Callable[[Assignment], Plan],
    stop: Stop,
) -> Guarded:
    """Return the result, or what was seen on the way with a shorter simulated step.

    Parameters
    ----------
    solver : Solver
        What found it; greedy's own plan is not looked for again.
    problem : Problem
    found : SolverResult
        With an assignment; its `seen` compete, and greedy's plan does.
    make_plan : callable
        Make the plan of an assignment.
    stop : Stop
        No further plan is simulated when time is over; a limit of work does not count
        here, so that the same plans are compared on every machine.

    Notes
    -----
    Plans whose steps and objectives are within `NOISE` of the shortest step, and of the
    least objective among these, are equal for the model: the one with fewer kinds of
    collectives wins, then the one that moves fewer bytes. What cannot be simulated,
    what would take too long, and what does not fit, its solver's fault, is returned as
    it is. So is what was found for `max-rank`, which is asked for to be compared by it.
    """
    assert found.assignment is not None
    is_large = problem.num_bundles * problem.world_size > _LARGE
    by_rank = problem.objective is Objective.MAX_RANK
    if is_large or by_rank or not _fits(problem, found.assignment):
        return Guarded(found, "")
    seen = _seen(solver, problem, found, stop)
    if len(seen) == 1:
        return Guarded(found, "")
    rivals: list[_Rival] = []
    try:
        for assignment in seen[:_LEAST]:
            rivals.append(_simulated(problem, assignment, make_plan))
        shortest_s = min(rival.step_s for rival in rivals)
        for assignment in _spread(problem, seen[_LEAST:], shortest_s):
            if _is_over(stop):
                break
            rivals.append(_simulated(problem, assignment, make_plan))
    except InputError:
        return Guarded(found, "")
    own, best = rivals[0], _choose(rivals)
    if best is own:
        return Guarded(found, "")
    result = replace(found, assignment=best.assignment, status=SolveStatus.FEASIBLE)
    return Guarded(result, _sentence(own, best, problem.objective))


def _seen(
    solver: Solver, problem: Problem, found: SolverResult, stop: Stop
) -> Sequence[Assignment]:
    """List the result, greedy's and what was seen, each once."""
    assert found.assignment is not None
    listed: list[Assignment | None] = [found.assignment]
    if not _is_over(stop) and not _has_greedy(solver):
        greedy = Greedy()
        other = ByStepTime(greedy) if problem.objective is Objective.TIME else greedy
        with stop.beyond_work():
            listed.append(other.solve(problem, stop, 0, Silent()).assignment)
    listed += found.seen
    unique: list[Assignment] = []
    for one in listed:
        if one is None or any(_same(one, other) for other in unique):
            continue
        if _fits(problem, one):
            unique.append(one)
    return unique


def _has_greedy(solver: Solver) -> bool:
    """Whether greedy's plan is among what the solver has seen."""
    return isinstance(solver, Greedy | ByStepTime)


def _fits(problem: Problem, assignment: Assignment) -> bool:
    return problem.loads(assignment).fits(problem.capacity)


def _is_over(stop: Stop) -> bool:
    return stop.requested or (not stop.is_by_work and stop.now())


def _same(one: Assignment, other: Assignment) -> bool:
    return np.array_equal(one.option, other.option) and all(
        np.array_equal(a, b) for a, b in zip(one.places, other.places, strict=True)
    )


def _spread(
    problem: Problem, seen: Sequence[Assignment], shortest_s: float
) -> Sequence[Assignment]:
    """Take plans from all of what was seen on the way, as early ones as late ones.

    Those that follow each other are much alike, and so is what the objective leaves out
    of them. Under `time` no plan simulates faster than predicted.
    """
    if problem.objective is Objective.TIME:
        some = _evenly(seen, _MOST_VALUED)
        seen = [one for one in some if problem.value(one) < shortest_s]
    return _evenly(seen, _MOST - _LEAST)


def _evenly(seen: Sequence[Assignment], number: int) -> Sequence[Assignment]:
    """Take at most so many of a list, the first and the last one among them."""
    if len(seen) <= number:
        return seen
    which = np.linspace(0, len(seen) - 1, number).round().astype(int)
    return [seen[one] for one in which.tolist()]


def _simulated(
    problem: Problem, assignment: Assignment, make_plan: Callable[[Assignment], Plan]
) -> _Rival:
    simulation = simulate(make_plan(assignment))
    moves = [
        run.operation
        for run in simulation.timeline.steady_runs
        if run.operation.traffic is not None and not run.operation.is_idle
    ]
    num_bytes = sum(float(op.traffic.by_rank[:, 0].sum()) for op in moves if op.traffic)
    value_s = problem.value(assignment)
    step_s = simulation.step_time_s
    return _Rival(assignment, value_s, step_s, len(moves), num_bytes)


def _choose(rivals: Sequence[_Rival]) -> _Rival:
    """Return the shortest step; of ties, the least traffic."""
    shortest = min(rival.step_s for rival in rivals)
    close = [rival for rival in rivals if rival.step_s <= shortest * (1.0 + NOISE)]
    least = min(rival.value_s for rival in close)
    equal = [rival for rival in close if rival.value_s <= least * (1.0 + NOISE)]
    return min(equal, key=lambda rival: (rival.num_kinds, rival.num_bytes))


def _sentence(own: _Rival, best: _Rival, objective: Objective) -> str:
    """Say what the returned plan is better in than the solver's own."""
    steps = f"{format_seconds(best.step_s)} against {format_seconds(own.step_s)}"
    if best.step_s < own.step_s * (1.0 - NOISE):
        return (
            f"A plan that was seen on the way has a shorter simulated step, {steps}, "
            f"and is returned; {_price(own.value_s, best.value_s, objective)}."
        )
    return (
        "A plan that was seen on the way simulates as fast with less to send, and is "
        f"returned: {steps}."
    )


def _price(own_s: float, best_s: float, objective: Objective) -> str:
    """Say what the returned plan gives up in the objective, if anything."""
    more = best_s / own_s - 1.0 if own_s > 0 else 0.0
    named = f"its {QUANTITY[objective]} is"
    if abs(more) < NOISE:
        return f"{named} as good"
    return f"{named} {100.0 * abs(more):.1f} % {'higher' if more > 0 else 'lower'}"
