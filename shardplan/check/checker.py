"""All checks of a plan, in order; later ones need what earlier ones prove."""

from __future__ import annotations

from collections import Counter
from math import isfinite
from typing import TYPE_CHECKING

from shardplan.bounds import simple_lower_bound
from shardplan.check.constraints import check_constraints, check_groups
from shardplan.check.geometry import check_geometry
from shardplan.check.pools import check_capacity
from shardplan.check.target import check_target
from shardplan.check.violation import Violation
from shardplan.cluster import Cluster
from shardplan.evaluate import evaluate
from shardplan.fingerprint import fingerprints
from shardplan.problem import build_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.evaluate import Evaluation
    from shardplan.plan import Plan
    from shardplan.problem import Problem
    from shardplan.sharding import Target

TOLERANCE = 1e-9
"""Relative difference below which two sums of the same numbers are equal."""


def check(plan: Plan, target: Target | None = None) -> tuple[Violation, ...]:
    """Prove a plan, or say everything that is wrong with it.

    Every cell of every table is placed exactly once; constraints and the target's
    shapes are kept; ranks and hosts hold what they get; the inputs are the ones of
    the fingerprints; objective and gap are recomputed.

    Parameters
    ----------
    target : Target, optional
        Check the shapes of this framework instead of the plan's own target.

    Returns
    -------
    tuple of Violation
        Empty for a valid plan.
    """
    found = [*_check_inputs(plan), *_check_tables(plan)]
    cluster = Cluster.of(plan.inputs.topology)
    tables = {table.name: table for table in plan.inputs.workload.tables}
    for placement in plan.tables:
        if placement.name in tables:
            table = tables[placement.name]
            found += check_geometry(placement, table, cluster)
            found += check_constraints(placement, table, plan.inputs.workload, cluster)
            found += check_target(placement, table, target or plan.target, cluster)
    if not found:
        found += check_groups(plan)
        evaluation = evaluate(plan)
        found += check_capacity(evaluation)
        found += _check_outcome(plan, evaluation)
    return tuple(found)


def bound_is_proven(plan: Plan) -> bool:
    """Whether the plan's lower bound follows from the menu without the solver.

    A larger bound, such as that of the integer program, is the solver's claim.
    """
    proven = simple_lower_bound(_problem(plan, all_tiers=False))
    if not isfinite(proven):
        proven = simple_lower_bound(_problem(plan, all_tiers=True))
    return bool(plan.outcome.lower_bound_s <= proven * (1.0 + TOLERANCE))


def _problem(plan: Plan, *, all_tiers: bool) -> Problem:
    """Build the menu that the plan was chosen from."""
    inputs = plan.inputs
    return build_problem(
        inputs.workload,
        inputs.topology,
        inputs.cost_model,
        target=plan.target,
        objective=plan.objective,
        all_tiers=all_tiers,
    )


def _check_inputs(plan: Plan) -> Iterator[Violation]:
    actual, stored = fingerprints(plan.inputs), plan.fingerprints
    for name in type(stored).model_fields:
        if getattr(actual, name) != getattr(stored, name):
            yield Violation(
                "fingerprint",
                "",
                f"the plan's {name} is not the one it was made for: fingerprint is "
                f"{getattr(actual, name)[:12]}..., the plan says "
                f"{getattr(stored, name)[:12]}...",
            )


def _check_tables(plan: Plan) -> Iterator[Violation]:
    placed = Counter(placement.name for placement in plan.tables)
    known = {table.name for table in plan.inputs.workload.tables}
    for name in sorted(known - set(placed)):
        yield Violation("coverage", name, "the plan has no placement for this table")
    for name in sorted(set(placed) - known):
        yield Violation("coverage", name, "the workload has no such table")


def _check_outcome(plan: Plan, evaluation: Evaluation) -> Iterator[Violation]:
    outcome = plan.outcome
    value = evaluation.value(plan.objective)
    if abs(value - outcome.objective_s) > TOLERANCE * max(value, outcome.objective_s):
        yield Violation(
            "objective",
            "",
            f"the plan claims {outcome.objective_s!r} s, recomputed {value!r} s",
        )
    if outcome.lower_bound_s > outcome.objective_s * (1.0 + TOLERANCE):
        yield Violation(
            "bound",
            "",
            f"the lower bound {outcome.lower_bound_s!r} s is above the objective",
        )
    gap = (
        outcome.objective_s / outcome.lower_bound_s - 1
        if outcome.lower_bound_s
        else None
    )
    if (gap is None) != (outcome.gap is None) or (
        gap is not None and abs(gap - (outcome.gap or 0.0)) > TOLERANCE
    ):
        yield Violation(
            "gap", "", f"the plan claims gap {outcome.gap!r}, it is {gap!r}"
        )
    if outcome.status == "optimal" and (gap is None or gap > TOLERANCE):
        yield Violation(
            "status", "", f"the plan claims to be optimal, but its gap is {gap!r}"
        )
