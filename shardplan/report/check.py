"""What `shardplan check` proved of a plan, or what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group

from shardplan.checking import Violation
from shardplan.report.layout import facts, lines
from shardplan.report.quality import (
    bound_text,
    objective_text,
    quality_data,
    status_text,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shardplan.checking import Verdict
    from shardplan.plans.plan import Plan


def check_data(
    plan: Plan, verdict: Verdict, *, require_proof: bool = False
) -> dict[str, Any]:
    """Collect the report of `shardplan check`.

    Parameters
    ----------
    require_proof : bool
        Whether what is only claimed counts as a violation, of rule ``proof``.
    """
    found = verdict.violations
    if require_proof and not found and verdict.unproven:
        found = (Violation("proof", "", verdict.unproven),)
    return {
        "status": "invalid" if found else "valid",
        "num_violations": len(found),
        "violations": [
            {"rule": v.rule, "table": v.table, "message": v.message} for v in found
        ],
        "plan_status": verdict.outcome.status,
        "objective": plan.objective.value,
        "objective_s": verdict.outcome.objective_s,
        **quality_data(verdict),
        "proven_bound_s": verdict.proven_s,
    }


def render_check(data: dict[str, Any]) -> RenderableType:
    """Lay out the report of `shardplan check`: violations, or what is proven."""
    if data["violations"]:
        return lines(str(Violation(**entry)) for entry in data["violations"])
    proven = facts(
        {
            "status": status_text({**data, "status": data["plan_status"]}),
            "objective": f"{objective_text(data)}, recomputed",
            "lower bound": bound_text(data),
        }
    )
    return Group(lines(["valid"]), proven)
