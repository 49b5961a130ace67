"""Refuse plans that a framework cannot run, or would silently train wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.checking import check
from shardplan.errors import Fault, InputError

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan
    from shardplan.records.sharding import Target


def require_runnable(plan: Plan, target: Target) -> None:
    """Check a plan for a framework, all but the proof of its bound.

    Parameters
    ----------
    plan : Plan
        With the inputs that it was made for.
    target : Target
        The framework.

    Raises
    ------
    InputError
        With every violation: the table and the rule.
    """
    bare = plan.model_copy(update={"certificate": None})
    violations = check(bare, target)
    if violations:
        raise InputError(
            Fault("plan", v.table, "", f"{v.rule}: {v.message}") for v in violations
        )
