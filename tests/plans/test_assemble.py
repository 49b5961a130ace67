"""Plans put together from placements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.checking import check
from shardplan.plans.assemble import assemble, assemble_unproven
from shardplan.records.fingerprint import fingerprints
from shardplan.records.sharding import SUMS, Target
from shardplan.version import VERSION
from tests.helpers import COST_MODEL, ONE_HOST, Instance, workload

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan

TABLES = [{"num_embeddings": 20_000}, {"num_embeddings": 9_000}]


def solved() -> Plan:
    """A plan of the greedy solver."""
    return Instance(workload(*TABLES), ONE_HOST, COST_MODEL).solve(solver="greedy").plan


def test_the_parts_of_a_plan_make_it_again() -> None:
    """Nothing but inputs, placements, outcome and proof is in a plan."""
    plan = solved()
    again = assemble(
        plan.inputs,
        plan.tables,
        plan.outcome,
        target=plan.target,
        objective=plan.objective,
        certificate=plan.certificate,
    )
    assert again == plan
    assert again.fingerprints == fingerprints(plan.inputs)
    assert again.shardplan_version == VERSION


def test_a_plan_from_elsewhere_has_a_value_and_no_bound() -> None:
    """Under each objective the value is what its placements cost."""
    plan = solved()
    for objective in SUMS:
        made = assemble_unproven(
            plan.inputs,
            plan.tables,
            solver="hand",
            target=Target.ANY,
            objective=objective,
        )
        assert check(made) == ()
        assert made.outcome.solver == "hand"
        assert made.outcome.lower_bound_s == 0.0
        assert made.outcome.gap is None
        assert made.certificate is None
        if objective is plan.objective:
            assert made.outcome.objective_s == plan.outcome.objective_s
        else:
            assert 0.0 < made.outcome.objective_s <= plan.outcome.objective_s
