"""Make a plan of placements: the one place that puts its parts together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.plans.evaluation import evaluate
from shardplan.plans.plan import Outcome, Plan
from shardplan.records.fingerprint import fingerprints
from shardplan.version import VERSION

if TYPE_CHECKING:
    from shardplan.records.certificate import Certificate
    from shardplan.records.inputs import Inputs
    from shardplan.records.placement import TablePlacement
    from shardplan.records.sharding import Objective, Target


def assemble(
    inputs: Inputs,
    tables: tuple[TablePlacement, ...],
    outcome: Outcome,
    *,
    target: Target,
    objective: Objective,
    certificate: Certificate | None = None,
) -> Plan:
    """Return a plan of this release, with the fingerprints of its inputs.

    Parameters
    ----------
    tables : tuple of TablePlacement
        In the workload's order.
    outcome : Outcome
        What is claimed of it; see `assemble_unproven` where nothing is known.
    certificate : Certificate, optional
        Proves the outcome's lower bound.
    """
    return Plan(
        schema_version=1,
        shardplan_version=VERSION,
        target=target,
        objective=objective,
        outcome=outcome,
        fingerprints=fingerprints(inputs),
        tables=tables,
        inputs=inputs,
        certificate=certificate,
    )


def assemble_unproven(
    inputs: Inputs,
    tables: tuple[TablePlacement, ...],
    *,
    solver: str,
    target: Target,
    objective: Objective,
) -> Plan:
    """Return a plan with the value that its placements have, and no bound.

    Parameters
    ----------
    tables : tuple of TablePlacement
        Taken as they are: `check` says what is wrong with them.
    solver : str
        Who placed the tables.
    """
    nothing = Outcome(
        solver=solver,
        seed=0,
        status="feasible",
        objective_s=0.0,
        lower_bound_s=0.0,
        gap=None,
    )
    plan = assemble(inputs, tables, nothing, target=target, objective=objective)
    value = {"objective_s": evaluate(plan).value(objective)}
    outcome = nothing.model_copy(update=value)
    return plan.model_copy(update={"outcome": outcome})
