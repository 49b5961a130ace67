"""How good a plan is, what is proven of it, and of which quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.checking.verdict import TOLERANCE
from shardplan.records.sharding import QUANTITY, Objective
from shardplan.report.layout import percent
from shardplan.units import format_seconds

if TYPE_CHECKING:
    from shardplan.checking import Verdict


_SMALL_GAP = 5e-4
"""A gap below this has too few digits as a percentage with one."""
_SCOPE = {
    Objective.TIME: "no plan of this menu has one below the bound by this cost model",
}
"""What a bound says besides; those on sums say nothing about the step."""


def quality_data(verdict: Verdict) -> dict[str, Any]:
    """Collect how good a plan is, and which of it is proven."""
    outcome = verdict.outcome
    return {
        "lower_bound_s": outcome.lower_bound_s,
        "gap": outcome.gap,
        "bound": verdict.bound,
        "optimality": verdict.optimality,
        "claimed_bound_s": outcome.claimed_bound_s,
    }


def is_by_time(data: dict[str, Any]) -> bool:
    """Whether a plan is one of objective `time`."""
    return bool(data["objective"] == Objective.TIME.value)


def objective_text(data: dict[str, Any]) -> str:
    """Format the value of the objective, and say what it is."""
    quantity = QUANTITY[Objective(data["objective"])]
    return f"{format_seconds(data['objective_s'])} ({data['objective']}: {quantity})"


def status_text(data: dict[str, Any]) -> str:
    """Name the status, and say if `optimal` is only somebody's word."""
    is_claim = data["optimality"] == "claimed"
    return f"{data['status']}, claimed without proof" if is_claim else data["status"]


def gap_text(gap: float) -> str:
    """Format a gap; one that is small, but not nothing, is not called 0."""
    if TOLERANCE < gap < _SMALL_GAP:
        return f"{max(100.0 * gap, 0.001):.1g} %"
    return percent(gap)


def bound_text(data: dict[str, Any]) -> str:
    """Say how near the best a plan is, in what, and whether that is proven."""
    objective = Objective(data["objective"])
    quantity = QUANTITY[objective]
    parts, gap = [], ""
    if data["gap"] is not None:
        bound, gap = format_seconds(data["lower_bound_s"]), gap_text(data["gap"])
        if data["bound"] == "proven":
            best = f"the best possible {quantity}"
            parts.append(f"{bound} proven: at most {gap} above {best}")
        else:
            parts.append(f"{bound} claimed without proof: gap {gap} of the {quantity}")
        parts.append(_SCOPE.get(objective, "says nothing about the step"))
    if data["claimed_bound_s"]:
        claimed = format_seconds(data["claimed_bound_s"])
        smaller = gap_text(data["objective_s"] / data["claimed_bound_s"] - 1.0)
        if smaller != gap:
            parts.append(f"the solver claims {claimed} without proof: gap {smaller}")
    return "; ".join(parts) or "none"


def bound_sentence(data: dict[str, Any]) -> str:
    """Say in words what the lower bound means; empty where there is none."""
    if not data["lower_bound_s"]:
        return ""
    quantity = QUANTITY[Objective(data["objective"])]
    proven = data["bound"] == "proven"
    claim = "No plan" if proven else "It is claimed, not proven, that no plan"
    bound = format_seconds(data["lower_bound_s"])
    return f"{claim} of this menu has a {quantity} below {bound} by this cost model."
