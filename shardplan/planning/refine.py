"""From a solver's result to the one that becomes a plan: rounds, ties, a guard rail."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.planning.feedback import improve
from shardplan.planning.guard import guard
from shardplan.plans.assemble import assemble_unproven
from shardplan.plans.realize import placements
from shardplan.problems.problem import build_problem
from shardplan.records.sharding import Objective
from shardplan.records.torchrec_cost_model import TorchRecCostModel
from shardplan.solvers.base import PlanTaker, Silent, SolveStatus
from shardplan.solvers.short_path import (
    LOST,
    RatedPath,
    limits_of,
    shortened,
    simple_plans,
)
from shardplan.units import format_seconds

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.inputs import Inputs
    from shardplan.solvers.base import Solver, SolverResult, Stop

ROUNDS_SHARE = 0.3
"""Share of the time, and of the work, that rounds have for themselves."""
_GUARD_SHARE, _MOST_GUARD_S = 0.1, 2.0
"""Share of the time for simulating plans, and the most [s]."""
_PATH_SHARE, _MOST_PATH_S = 0.5, 6.0
"""Share of the time, and of the work, for a shorter critical path, and the most [s]."""
_PATH_WORK = 60_000.0
"""The same where neither time nor work is limited: evaluated moves."""
_LARGE = 400_000
"""Tables x ranks above which a second menu takes too long to be priced."""
_NO_ROUNDS = (
    "No rounds ran: under objective 'time' the solver weighs operations by what they "
    "add to the step itself."
)


class Refined(NamedTuple):
    """What becomes of a result, and what changed.

    Attributes
    ----------
    problem : Problem
        That the result is one of; what proves the bound belongs to the one before.
    remarks : tuple of str
    """

    problem: Problem
    result: SolverResult
    remarks: tuple[str, ...]


def search_s(
    stop: Stop, rounds: int, objective: Objective, solver: Solver, inputs: Inputs
) -> float:
    """Return the seconds from now on that the first search has."""
    rounds = 0 if objective is Objective.TIME else rounds
    has_other_goal = has_path(solver, objective, inputs)
    left = stop.remaining_s() - (_path_s(stop) if has_other_goal else _guard_s(stop))
    return left * (1.0 - ROUNDS_SHARE) if rounds else left


def refine(
    solver: Solver,
    problem: Problem,
    found: SolverResult,
    inputs: Inputs,
    stop: Stop,
    seed: int,
    rounds: int,
) -> Refined:
    """Run rounds, shorten the path, compare with what was at hand; say what changed.

    Parameters
    ----------
    rounds : int
        Not used for `time`, whose solver sets its weights by the path by itself.

    Raises
    ------
    InputError
        If rounds are asked for, and the inputs cannot time a step.
    """
    make = partial(_plan, problem, inputs)
    remarks = []
    if rounds and problem.objective is not Objective.TIME:
        share = ROUNDS_SHARE * stop.work_limit / rounds
        ends_s = stop.elapsed_s() + stop.remaining_s() - _guard_s(stop)

        def again(weighted: Problem, number: int) -> SolverResult:
            left = max(ends_s - stop.elapsed_s(), 0.0)
            with stop.sooner(left / (rounds - number)), stop.with_work(share):
                return solver.solve(weighted, stop, seed, Silent())

        feedback = improve(problem, found, again, make, rounds)
        found = feedback.result
        remarks.append(feedback.sentence)
    elif rounds:
        remarks.append(_NO_ROUNDS)
    if found.certificate is not None and has_path(solver, problem.objective, inputs):
        better = _shortened(problem, found, inputs, stop, seed)
        return better._replace(remarks=(*remarks, *better.remarks))
    guarded = guard(solver, problem, found, make, stop)
    if guarded.sentence:
        remarks.append(guarded.sentence)
    return Refined(problem, guarded.result, tuple(remarks))


def has_path(solver: Solver, objective: Objective, inputs: Inputs) -> bool:
    """Whether plans are for TorchRec's ruler, which has a path beside the rating."""
    is_rating = objective is Objective.MAX_RANK
    is_rating &= isinstance(inputs.cost_model, TorchRecCostModel)
    return is_rating and isinstance(solver, PlanTaker)


def _shortened(
    problem: Problem, found: SolverResult, inputs: Inputs, stop: Stop, seed: int
) -> Refined:
    """Look for a shorter critical path; a gap that was asked for is kept.

    Small problems are solved exactly, and TorchRec's planner is near the best as well.
    """
    assert found.assignment is not None
    own = RatedPath(problem, found.assignment)
    if own.is_short:
        return Refined(problem, found, ())
    # Where nothing limits the search, the clock must not decide what is found.
    is_free = stop.is_endless and not stop.is_by_work
    work = _PATH_WORK if is_free else _PATH_SHARE * stop.work_limit
    seconds = np.inf if is_free else _MOST_PATH_S
    with stop.sooner(seconds), stop.with_work(work):
        simple = simple_plans(problem, stop)
        limits = limits_of(own.rating_s, simple)
        if found.status is SolveStatus.OPTIMAL:
            limits = limits.within(own.rating_s * (1.0 + LOST))
        if stop.gap > 0.0:
            asked_s = stop.enough_s(found.lower_bound_s)
            limits = limits.within(max(own.rating_s, asked_s))
        better = shortened(
            own,
            simple,
            stop,
            seed,
            limits,
            found.lower_bound_s,
            partial(_menu_of_path, problem, inputs),
        )
    if better.assignment is found.assignment:
        return Refined(problem, found, ())
    found = replace(found, assignment=better.assignment)
    if better.rating_s <= own.rating_s:
        return Refined(better.problem, found, ())
    # What was optimal is a bound now.
    if found.status is SolveStatus.OPTIMAL:
        bound_s = max(found.lower_bound_s, own.rating_s)
        found = replace(found, lower_bound_s=bound_s, status=SolveStatus.FEASIBLE)
    return Refined(better.problem, found, (_sentence(own, better),))


def _menu_of_path(problem: Problem, inputs: Inputs) -> Problem | None:
    """Build the problem with the options that a short path may need."""
    if problem.num_bundles * problem.world_size > _LARGE:
        return None
    wide = build_problem(
        **dict(inputs),
        target=problem.target,
        objective=Objective.STEP,
        all_tiers=problem.all_tiers,
    )
    return replace(wide, objective=problem.objective)


def _sentence(own: RatedPath, better: RatedPath) -> str:
    """Say what the returned plan gives up of the rating, and what for."""
    lost = 100.0 * (better.rating_s / own.rating_s - 1.0)
    path, before = format_seconds(better.path_s), format_seconds(own.path_s)
    return (
        f"The critical path is {path} instead of {before}, for a rating that is "
        f"{lost:.2g} % above the best one found, {format_seconds(own.rating_s)}."
    )


def _path_s(stop: Stop) -> float:
    return min(_PATH_SHARE * stop.remaining_s(), _MOST_PATH_S)


def _guard_s(stop: Stop) -> float:
    return min(_GUARD_SHARE * stop.remaining_s(), _MOST_GUARD_S)


def _plan(problem: Problem, inputs: Inputs, assignment: Assignment) -> Plan:
    """Make a plan to be simulated."""
    return assemble_unproven(
        inputs,
        placements(problem, assignment),
        solver="",
        target=problem.target,
        objective=problem.objective,
    )
