"""What a solve found, or why it found nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group

from shardplan.errors import InfeasibleError, InputError
from shardplan.evaluation import evaluate
from shardplan.report.evaluation import memory_data, memory_table
from shardplan.report.layout import facts, section
from shardplan.report.plan_view import decisions_data, summary_data, summary_facts
from shardplan.simulation import simulate
from shardplan.units import format_seconds

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shardplan.errors import LimitError
    from shardplan.plan import Plan
    from shardplan.planner import PlanResult


def solution_data(result: PlanResult, plan_file: str | None) -> dict[str, Any]:
    """Collect the summary of `shardplan solve`.

    Parameters
    ----------
    plan_file : str or None
        Where the plan was written.
    """
    return {
        **summary_data(result.plan, result.verdict),
        "runtime_s": result.runtime_s,
        **_step_data(result.plan),
        "memory": memory_data(evaluate(result.plan)),
        "decisions": decisions_data(result.plan),
        "plan_file": plan_file,
    }


def _step_data(plan: Plan) -> dict[str, float | None]:
    """Simulate the step; null where the topology does not suffice for that."""
    try:
        found = simulate(plan).to_dict()
    except InputError:
        found = {}
    return {key: found.get(key) for key in ("step_time_s", "throughput_samples_per_s")}


def failure_data(error: InfeasibleError | LimitError) -> dict[str, Any]:
    """Say why there is no plan, with the keys of `solution_data` as null."""
    shortfalls = error.shortfalls if isinstance(error, InfeasibleError) else ()
    is_proven = isinstance(error, InfeasibleError) and error.proven
    return {
        "status": "infeasible" if is_proven else "not_found",
        "message": str(error),
        "shortfalls": [
            {
                "tier": s.tier,
                "needed_bytes": float(s.needed_bytes),
                "available_bytes": float(s.available_bytes),
                "tables": list(s.tables),
            }
            for s in shortfalls
        ],
        "objective_s": None,
        "lower_bound_s": None,
        "gap": None,
        "bound": "none",
        "optimality": "none",
        "claimed_bound_s": None,
        "step_time_s": None,
        "throughput_samples_per_s": None,
        "plan_file": None,
    }


def render_solution(data: dict[str, Any]) -> RenderableType:
    """Lay out the summary of `shardplan solve`."""
    runs = "not simulated: the topology or the cost model does not suffice"
    if data["step_time_s"]:
        speed = f"{data['throughput_samples_per_s']:,.0f} samples/s"
        runs = f"{format_seconds(data['step_time_s'])} simulated, {speed}"
    top = {
        **summary_facts(data),
        "training step": runs,
        "runtime": format_seconds(data["runtime_s"]),
        "plan": data["plan_file"] or "not written; name a file with -o",
    }
    memory = memory_table(data["memory"])
    return Group(facts(top), section("Memory for embeddings", memory))
