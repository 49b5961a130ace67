"""Feed the simulated step back into the prices that a solver works with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.records.sharding import PHASES
from shardplan.simulation import simulate
from shardplan.solvers.base import SolverResult, SolveStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.plans.plan import Plan
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Floats
    from shardplan.simulation import Simulation

    Solve = Callable[[Problem], SolverResult]
    MakePlan = Callable[[SolverResult], Plan]

_LEAST, _MOST = 0.05, 20.0
"""Weights stay between these, so that no phase is free or drowns the others."""


class _Candidate(NamedTuple):
    """A solver's result and the simulated step of its plan [s]."""

    result: SolverResult
    simulation: Simulation

    @property
    def step_s(self) -> float:
        return self.simulation.step_time_s


def improve(
    problem: Problem,
    found: SolverResult,
    solve: Solve,
    make_plan: MakePlan,
    rounds: int,
) -> SolverResult:
    """Solve again with phases priced at what they cost in the simulated step.

    Parameters
    ----------
    problem : Problem
    found : SolverResult
        With an assignment.
    solve, make_plan : callables
        Solve a problem; make the plan of a result.
    rounds : int
        How often at most.

    Returns
    -------
    SolverResult
        The one with the shortest simulated step: never a longer one than `found`'s.
        Its bound and certificate are those of `found`, which hold for any plan.

    Notes
    -----
    The price of phase p is multiplied by the time that it takes from the simulated
    step (not hidden by other work) over the time that its prices add up to, on the
    best plan so far. What overlap hides becomes cheap, latency dear.
    """
    best = _Candidate(found, simulate(make_plan(found)))
    current = best
    for _ in range(rounds):
        weighted = _reprice(problem, phase_weights(current.simulation))
        again = solve(weighted)
        if again.assignment is None:
            break
        result = replace(
            found, assignment=again.assignment, status=SolveStatus.FEASIBLE
        )
        last = current.step_s
        current = _Candidate(result, simulate(make_plan(result)))
        if current.step_s < best.step_s:
            best = current
        if abs(current.step_s - last) <= 1e-9 * last:
            break
    return best.result


def phase_weights(simulation: Simulation) -> Floats:
    """Return simulated over priced seconds of every phase (P,); 1 where none."""
    exposed = simulation.exposed_s_by_stage()
    priced = simulation.evaluation.loads.cost.max(axis=0)
    weights = np.ones(len(PHASES))
    for index, phase in enumerate(PHASES):
        if priced[index] > 0:
            weights[index] = exposed.get(phase.value, 0.0) / priced[index]
    return np.clip(weights, _LEAST, _MOST)


def _reprice(problem: Problem, weights: Floats) -> Problem:
    """Return the problem with the prices of phases multiplied."""
    options = replace(problem.options, item_cost=problem.options.item_cost * weights)
    return replace(problem, options=options)
