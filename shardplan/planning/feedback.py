"""Solve again with phases weighted by what they cost in the predicted step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.plans.sparse_work import sparse_work
from shardplan.records.sharding import PHASES, Phase
from shardplan.simulation import simulate
from shardplan.solvers.base import SolverResult, SolveStatus
from shardplan.steps.model import step_model
from shardplan.steps.operation import Stage
from shardplan.units import format_seconds, plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.plans.evaluation import Evaluation
    from shardplan.plans.plan import Plan
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Floats

    Solve = Callable[[Problem, int], SolverResult]
    MakePlan = Callable[[Assignment], Plan]

_LEAST, _MOST = 0.05, 20.0
"""Weights stay between these, so that no phase is free or drowns the others."""
_TINY = 1e-6
"""Share of the work at which operations take no more than their fixed times."""


class Feedback(NamedTuple):
    """What rounds found.

    Attributes
    ----------
    result : SolverResult
    wanted, ran : int
        Rounds.
    first_s, best_s : float
        Simulated step of the plan before them, and of the shortest [s].
    """

    result: SolverResult
    wanted: int
    ran: int
    first_s: float
    best_s: float

    @property
    def sentence(self) -> str:
        """How many rounds ran, and what they gained."""
        ran = f"{self.ran} of {plural(self.wanted, 'round')} ran"
        if self.best_s < self.first_s:
            return (
                f"{ran}: the simulated step went from {format_seconds(self.first_s)} "
                f"to {format_seconds(self.best_s)}."
            )
        return f"{ran}, and found no shorter step than {format_seconds(self.best_s)}."


def improve(
    problem: Problem,
    found: SolverResult,
    solve: Solve,
    make_plan: MakePlan,
    rounds: int,
) -> Feedback:
    """Solve again with phases priced at what they cost in the step.

    Parameters
    ----------
    problem : Problem
    found : SolverResult
        With an assignment.
    solve, make_plan : callables
        Solve a problem, as the n-th round; make the plan of an assignment.
    rounds : int
        How often at most.

    Returns
    -------
    Feedback
        With the shortest simulated step: never a longer one than `found`'s. Bound and
        certificate are those of `found`, which hold for any plan.

    Notes
    -----
    The price of a phase is multiplied by how much the predicted step grows with it on
    the last plan. Weights jump between plans, as the longest path does: each round
    takes the mean of the old and the new ones.
    """
    assert found.assignment is not None
    simulation = simulate(make_plan(found.assignment))
    first = best = last = simulation.step_time_s
    result, weights, ran = found, np.ones(problem.num_phases), 0
    for number in range(rounds):
        weights = 0.5 * (weights + phase_weights(simulation.evaluation))
        again = solve(_reprice(problem, weights), number)
        if again.assignment is None:
            break
        ran += 1
        simulation = simulate(make_plan(again.assignment))
        step_s = simulation.step_time_s
        if step_s < best:
            best = step_s
            result = replace(
                found, assignment=again.assignment, status=SolveStatus.FEASIBLE
            )
        if abs(step_s - last) <= 1e-9 * last:
            break
        last = step_s
    return Feedback(result, rounds, ran, first, best)


def phase_weights(evaluation: Evaluation) -> Floats:
    """Return by how much the step grows with the priced seconds of every phase (P,).

    Notes
    -----
    Of each operation the seconds beyond its fixed time count, as often as the longest
    path passes it, over what the phase's prices add up to. What is hidden behind other
    work weighs least, even where ranks wait for nothing else.
    """
    model, work = step_model(evaluation.measured_pricer), sparse_work(evaluation)
    prediction, fixed = model.predict(work), model.predict(work.scaled(_TINY))
    counted = dict.fromkeys(PHASES, 0.0)
    for name, stage, seconds in zip(
        prediction.names, prediction.stages, prediction.seconds, strict=True
    ):
        rise = float(seconds) - fixed.seconds_of(name)
        phase = _PHASE_OF.get(stage)
        if phase is not None and rise > 0:
            counted[phase] += prediction.criticality[name] * rise
    priced = evaluation.loads.cost.max(axis=0)
    seconds = np.array([counted[phase] for phase in PHASES])
    weights = np.where(priced > 0, seconds / np.where(priced > 0, priced, 1.0), 1.0)
    return np.clip(weights, _LEAST, _MOST)


# What of the all-reduce of dense gradients grows with the plan are joined replicas.
_PHASE_OF = {
    **{Stage(phase.value): phase for phase in PHASES},
    Stage.DENSE_SYNC: Phase.BWD_COMMS,
}


def _reprice(problem: Problem, weights: Floats) -> Problem:
    """Return the problem with the prices of phases multiplied."""
    options = replace(problem.options, item_cost=problem.options.item_cost * weights)
    return replace(problem, options=options)
