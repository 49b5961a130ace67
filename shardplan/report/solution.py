"""What a solve found, or why it found nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group

from shardplan.errors import InfeasibleError
from shardplan.planning.notices import notices
from shardplan.plans.evaluation import evaluate
from shardplan.report.evaluation import memory_data, memory_table
from shardplan.report.layout import facts, section, sentences
from shardplan.report.plan_view import decisions_data, summary_data, summary_facts
from shardplan.report.predicted_view import prediction_data, prediction_facts
from shardplan.report.quality import is_by_time
from shardplan.report.step import simulated, speed_data
from shardplan.units import format_seconds

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shardplan.errors import LimitError
    from shardplan.planning.result import PlanResult


def solution_data(result: PlanResult, plan_file: str | None) -> dict[str, Any]:
    """Collect the summary of `shardplan solve`.

    Parameters
    ----------
    plan_file : str or None
        Where the plan was written.
    """
    evaluation, simulation = evaluate(result.plan), simulated(result.plan)
    return {
        **summary_data(result.plan, result.verdict),
        "runtime_s": result.runtime_s,
        **speed_data(simulation),
        "prediction": prediction_data(evaluation, simulation),
        "memory": memory_data(evaluation),
        "decisions": decisions_data(result.plan),
        "notices": list(notices(result)),
        "plan_file": plan_file,
    }


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
        "prediction": None,
        "notices": [],
        "warnings": list(error.warnings),
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
        **(prediction_facts(data["prediction"]) if is_by_time(data) else {}),
        "training step": runs,
        "runtime": format_seconds(data["runtime_s"]),
        "plan": data["plan_file"] or "not written; name a file with -o",
    }
    memory = memory_table(data["memory"])
    parts = [facts(top)]
    if data["notices"]:
        parts.append(section("Notices", sentences(data["notices"])))
    return Group(*parts, section("Memory for embeddings", memory))
