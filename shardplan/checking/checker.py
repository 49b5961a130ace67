"""All checks of a plan, in order; later ones need what earlier ones prove."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from shardplan.certify.menus import InvalidCertificateError
from shardplan.certify.step.verify import verify_step
from shardplan.certify.verify import verify
from shardplan.checking.constraints import check_constraints, check_groups
from shardplan.checking.geometry import check_geometry
from shardplan.checking.pools import check_capacity
from shardplan.checking.replicas import check_replicas
from shardplan.checking.target import (
    check_optimizer,
    check_rowless_ranks,
    check_target,
)
from shardplan.checking.verdict import TOLERANCE, Verdict
from shardplan.checking.violation import Violation
from shardplan.costs.cluster import Cluster
from shardplan.plans.evaluation import evaluate
from shardplan.problems.problem import build_problem
from shardplan.records.fingerprint import fingerprints
from shardplan.records.sharding import Objective
from shardplan.records.targets import RUNTIMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.plans.evaluation import Evaluation
    from shardplan.plans.plan import Plan
    from shardplan.problems.problem import Problem
    from shardplan.records.sharding import Target


def check(
    plan: Plan,
    target: Target | None = None,
    *,
    menu: Problem | None = None,
    proven_s: float | None = None,
) -> tuple[Violation, ...]:
    """Prove a plan, or say everything that is wrong with it.

    Every cell of every table is placed exactly once; constraints and the target's
    shapes are kept; ranks and hosts hold what they get; the inputs are the ones of
    the fingerprints; objective and gap are recomputed, and the bound is, from the
    menu and the plan's certificate.

    Parameters
    ----------
    plan : Plan
        With the inputs that it was made for.
    target : Target, optional
        Check what this framework runs, and its bytes, instead of the plan's own target.
    menu : Problem, optional
        The problem of the plan's inputs, if it has been built already.
    proven_s : float, optional
        What the plan's certificate proves on that menu, if that has been verified [s].

    Returns
    -------
    tuple of Violation
        Empty for a valid plan; `examine` also says what is proven about it.
    """
    return examine(plan, target, menu=menu, proven_s=proven_s).violations


def examine(
    plan: Plan,
    target: Target | None = None,
    *,
    menu: Problem | None = None,
    proven_s: float | None = None,
) -> Verdict:
    """Check a plan and say whether its bound is proven or only claimed.

    Parameters are those of `check`.
    """
    runs_on = target or plan.target
    found = [*_check_inputs(plan), *_check_tables(plan)]
    found += check_optimizer(plan, runs_on)
    found += check_replicas(plan, runs_on)
    cluster = Cluster.of(plan.inputs.topology)
    tables = {table.name: table for table in plan.inputs.workload.tables}
    for placement in plan.tables:
        if placement.name in tables:
            table = tables[placement.name]
            found += check_geometry(placement, table, cluster, RUNTIMES[runs_on])
            found += check_constraints(placement, table, plan.inputs.workload, cluster)
            found += check_target(placement, table, runs_on, cluster)
    if not found:
        found += check_groups(plan)
        found += check_rowless_ranks(plan, runs_on)
        evaluation = evaluate(plan)
        found += check_capacity(_evaluated_on(runs_on, evaluation))
        found += _check_outcome(plan, evaluation)
        proven_s, wrong = _check_certificate(plan, menu, proven_s)
        found += wrong
        return Verdict(plan.outcome, tuple(found), proven_s)
    return Verdict(plan.outcome, tuple(found), None)


def _evaluated_on(target: Target, evaluation: Evaluation) -> Evaluation:
    """Return what a plan takes on a framework, which may not be its own target."""
    plan = evaluation.plan
    if target is plan.target:
        return evaluation
    return evaluate(plan.model_copy(update={"target": target}))


def proven_bound(plan: Plan, menu: Problem | None = None) -> float:
    """Recompute the lower bound from the menu and the plan's certificate [s].

    Parameters
    ----------
    menu : Problem, optional
        The problem of the plan's inputs, if it has been built already.

    Raises
    ------
    InvalidCertificateError
        If the certificate proves nothing; 0 if there is none.
    """
    certificate = plan.certificate
    if certificate is None:
        return 0.0
    inputs = plan.inputs
    problem = menu or build_problem(
        inputs.workload,
        inputs.topology,
        inputs.cost_model,
        target=plan.target,
        objective=plan.objective,
        all_tiers=certificate.all_tiers,
    )
    if plan.objective is Objective.TIME:
        return verify_step(problem, certificate)
    return verify(problem, certificate)


def _check_certificate(
    plan: Plan, menu: Problem | None, proven_s: float | None
) -> tuple[float | None, list[Violation]]:
    """Return the bound that the certificate proves, if any, and what is wrong."""
    if plan.certificate is None:
        return None, []
    try:
        proven = proven_bound(plan, menu) if proven_s is None else proven_s
    except InvalidCertificateError as error:
        rule = f"the certificate proves nothing: {error}"
        return None, [Violation("certificate", "", rule)]
    claimed = plan.outcome.lower_bound_s
    if claimed <= proven:
        return proven, []
    rule = (
        f"the plan claims the bound {claimed!r} s, its certificate proves {proven!r} s"
    )
    return proven, [Violation("certificate", "", rule)]


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
    claimed = max(outcome.lower_bound_s, outcome.claimed_bound_s or 0.0)
    if claimed > outcome.objective_s * (1.0 + TOLERANCE):
        yield Violation(
            "bound", "", f"the lower bound {claimed!r} s is above the objective"
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
    if outcome.status == "optimal" and outcome.objective_s > claimed * (
        1.0 + TOLERANCE
    ):
        yield Violation(
            "status",
            "",
            f"the plan claims to be optimal, but its bound is {claimed!r} s",
        )
