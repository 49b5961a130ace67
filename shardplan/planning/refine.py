"""From a solver's result to the one that becomes a plan: rounds, ties, a guard rail."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from shardplan.planning.feedback import improve
from shardplan.planning.guard import guard
from shardplan.plans.assemble import assemble_unproven
from shardplan.plans.realize import placements
from shardplan.records.sharding import Objective
from shardplan.records.torchrec_cost_model import TorchRecCostModel
from shardplan.solvers.base import PlanTaker, Silent
from shardplan.solvers.short_path import shortened

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.inputs import Inputs
    from shardplan.solvers.base import Solver, SolverResult, Stop

ROUNDS_SHARE = 0.3
"""Share of the time, and of the work, that rounds have for themselves."""
_GUARD_SHARE, _MOST_GUARD_S = 0.1, 2.0
"""Share of the time for simulating plans, or for ties, and the most [s]."""
_NO_ROUNDS = (
    "No rounds ran: under objective 'time' the solver weighs operations by what they "
    "add to the step itself."
)


def search_s(stop: Stop, rounds: int, objective: Objective) -> float:
    """Return the seconds from now on that the first search has."""
    rounds = 0 if objective is Objective.TIME else rounds
    left = stop.remaining_s() - _guard_s(stop)
    return left * (1.0 - ROUNDS_SHARE) if rounds else left


def refine(
    solver: Solver,
    problem: Problem,
    found: SolverResult,
    inputs: Inputs,
    stop: Stop,
    seed: int,
    rounds: int,
) -> tuple[SolverResult, tuple[str, ...]]:
    """Run rounds, break ties, then compare with what was at hand; say what changed.

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
    if _breaks_ties(solver, problem, inputs):
        found = _shortened(problem, found, stop, seed)
    guarded = guard(solver, problem, found, make, stop)
    if guarded.sentence:
        remarks.append(guarded.sentence)
    return guarded.result, tuple(remarks)


def _breaks_ties(solver: Solver, problem: Problem, inputs: Inputs) -> bool:
    """Whether equal ratings by TorchRec's ruler are told apart by their paths."""
    is_rating = problem.objective is Objective.MAX_RANK
    is_rating &= isinstance(inputs.cost_model, TorchRecCostModel)
    return is_rating and isinstance(solver, PlanTaker)


def _shortened(
    problem: Problem, found: SolverResult, stop: Stop, seed: int
) -> SolverResult:
    assert found.assignment is not None
    work = _GUARD_SHARE * stop.work_limit
    with stop.sooner(_MOST_GUARD_S), stop.with_work(work):
        better = shortened(problem, found.assignment, stop, seed)
    return replace(found, assignment=better)


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
