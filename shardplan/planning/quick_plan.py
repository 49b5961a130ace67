"""Quick plans for changed inputs, to say what a change would bring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.plans.assemble import assemble_unproven
from shardplan.plans.realize import placements
from shardplan.problems.problem import build_problem
from shardplan.records.sharding import Objective
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.by_step_time import ByStepTime
from shardplan.solvers.greedy import Greedy

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan
    from shardplan.problems.problem import Problem
    from shardplan.records.inputs import Inputs
    from shardplan.records.sharding import Target
    from shardplan.solvers.base import SolverResult

_SMALL = 10_000
"""Tables x ranks up to which plans are made: a tenth of a second each."""


def is_small(inputs: Inputs) -> bool:
    """Whether a quick plan is quick."""
    return len(inputs.workload.tables) * inputs.topology.world_size <= _SMALL


def quick_plan(plan: Plan, inputs: Inputs) -> Plan | None:
    """Make a plan for other inputs by `greedy`; None if it finds none."""
    problem = _problem(inputs, plan.target, plan.objective)
    found = _greedy(problem)
    if found.assignment is None:
        return None
    return assemble_unproven(
        inputs,
        placements(problem, found.assignment),
        solver="greedy",
        target=plan.target,
        objective=plan.objective,
    )


def quick_value(inputs: Inputs, target: Target, objective: Objective) -> float | None:
    """Return the value of `greedy`'s plan [s]; None if it finds none."""
    problem = _problem(inputs, target, objective)
    if (np.diff(problem.options.start) == 0).any():
        return None
    found = _greedy(problem)
    return None if found.assignment is None else problem.value(found.assignment)


def _problem(inputs: Inputs, target: Target, objective: Objective) -> Problem:
    return build_problem(**dict(inputs), target=target, objective=objective)


def _greedy(problem: Problem) -> SolverResult:
    is_step = problem.objective is Objective.TIME
    solver = ByStepTime(Greedy()) if is_step else Greedy()
    return solver.solve(problem, Stop(), 0, Silent())
