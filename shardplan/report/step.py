"""The simulated training step: its time, its parts, and who holds it up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group

from shardplan.errors import InputError
from shardplan.report.layout import (
    bar,
    bars,
    facts,
    number,
    percent,
    section,
    sentences,
    table,
    whole,
)
from shardplan.report.predicted_view import (
    prediction_data,
    prediction_facts,
    simulation_sentences,
)
from shardplan.report.replicas import replication_data, replication_facts
from shardplan.simulation import simulate, step_range
from shardplan.units import format_seconds

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shardplan.checking import Verdict
    from shardplan.plans.plan import Plan
    from shardplan.simulation import Simulation
    from shardplan.simulation.slopes import Explanation

_PARTS = {
    "compute_s": "compute",
    "exposed_communication_s": "exposed communication",
    "exposed_copy_s": "exposed copy",
}


def simulated(plan: Plan) -> Simulation | None:
    """Simulate the step; None where topology or cost model do not suffice for that."""
    try:
        return simulate(plan)
    except InputError:
        return None


def speed_data(simulation: Simulation | None) -> dict[str, float | None]:
    """Collect step and throughput; null where there is no simulation."""
    if simulation is None:
        return {"step_time_s": None, "throughput_samples_per_s": None}
    step_s, rate = simulation.step_time_s, simulation.throughput_samples_per_s
    return {"step_time_s": step_s, "throughput_samples_per_s": rate if step_s else None}


def step_data(
    simulation: Simulation,
    verdict: Verdict,
    trace_file: str | None = None,
    explanation: Explanation | None = None,
) -> dict[str, Any]:
    """Collect the report of `shardplan simulate`.

    Parameters
    ----------
    trace_file : str, optional
        Where the trace was written.
    explanation : Explanation, optional
        What bounds the step.
    """
    plan = simulation.evaluation.plan
    return {
        "workload": plan.inputs.workload.name,
        "topology": plan.inputs.topology.name,
        "cost_model": plan.inputs.cost_model.name,
        "objective": plan.objective.value,
        "objective_s": plan.outcome.objective_s,
        "bound": verdict.bound,
        **simulation.to_dict(),
        "replication": replication_data(plan.inputs.topology),
        "step_range_s": step_range(plan, simulation.settings),
        "prediction": None
        if simulation.settings.runtime
        else prediction_data(simulation.evaluation, simulation),
        "trace_file": trace_file,
        "explanation": None if explanation is None else explanation.to_dict(),
    }


def render_step(data: dict[str, Any]) -> RenderableType:
    """Lay out the report of `shardplan simulate`."""
    speed = data["throughput_samples_per_s"]
    top = facts(
        {
            "workload": f"{data['workload']}: {data['global_batch_size']:,} samples "
            "per step",
            "topology": f"{data['topology']}: {data['world_size']:,} ranks",
            **replication_facts(data["replication"]),
            "step time": format_seconds(data["step_time_s"]),
            "step range": _range(data["step_range_s"]),
            "throughput": "-" if speed is None else f"{speed:,.0f} samples/s",
            "time to target": _run(data.get("run")),
            "critical rank": f"{data['critical']['rank']}: "
            f"{data['critical']['reason']}",
            **prediction_facts(data["prediction"]),
            "trace": data["trace_file"] or "",
        }
    )
    parts = [
        top,
        sentences(simulation_sentences(data["prediction"])),
        section("Where the time goes, mean over ranks", _breakdown_table(data)),
        section("Operations of a step", _operations_table(data["phases"])),
    ]
    if data["explanation"] is not None:
        saved = _saved_table(data["explanation"], data["step_time_s"])
        bounds = _bounds_table(data["explanation"])
        parts.append(section("What 1 % more of each resource saves", saved))
        parts.append(section("What bounds each operation", bounds))
        fullest = data["explanation"]["fullest_link"]
        links = table(("operation", "fullest link"), fullest.items())
        parts.append(section("Where bytes meet", links))
    return Group(*parts)


def _range(ends: tuple[float, float] | None) -> str:
    """Say between what the step may lie; empty where nothing is open."""
    if ends is None:
        return ""
    fast, slow = map(format_seconds, ends)
    return f"{fast} to {slow}, as rates are open: measure them for less"


def _run(run: dict[str, Any] | None) -> str:
    """Say what a run to the target takes; empty where none is known."""
    if run is None:
        return ""
    total, start, steps, evaluations = (
        _long(run[key]) for key in ("total_s", "start_s", "steps_s", "evaluations_s")
    )
    return (
        f"{total}: start {start}, {run['steps']:,} steps {steps}, "
        f"{run['evaluations']:,} evaluations {evaluations}"
    )


def _long(seconds: float) -> str:
    """Hours; what would be less than 0.1 of one has finer units."""
    if 0 < seconds < 360:
        return format_seconds(seconds)
    return f"{seconds / 3600:,.2f} h"


def _saved_table(explanation: dict[str, Any], step_s: float) -> RenderableType:
    saved = explanation["saved_s_per_percent"]
    rows = [
        (name, format_seconds(seconds), percent(seconds / step_s if step_s else 0.0))
        for name, seconds in saved.items()
        if seconds > 0
    ]
    return table(("resource", number("saved"), number("of the step")), rows)


def _bounds_table(explanation: dict[str, Any]) -> RenderableType:
    """List resources with the operations that they bound."""
    bound = bound_operations(explanation)
    rows = [(resource, ", ".join(names)) for resource, names in bound.items()]
    return table(("bound by", "operations"), rows)


def bound_operations(explanation: dict[str, Any]) -> dict[str, list[str]]:
    """Group operations by the resource that bounds them, pieces as one."""
    bound: dict[str, dict[str, None]] = {}
    for operation, resource in explanation["bound_by"].items():
        bound.setdefault(resource, {})[operation.partition(".")[0]] = None
    return {resource: list(names) for resource, names in bound.items()}


def breakdown_parts(breakdown: dict[str, Any]) -> list[tuple[str, str, float]]:
    """List the parts of a step that add up to it: part, stage, seconds."""
    parts = [
        (title, stage, seconds)
        for key, title in _PARTS.items()
        for stage, seconds in breakdown[key].items()
    ]
    parts.append(("overhead", "", breakdown["overhead_s"]))
    parts.append(("idle", "", breakdown["idle_s"]))
    return parts


def _breakdown_table(data: dict[str, Any]) -> RenderableType:
    breakdown, total = data["breakdown"], data["step_time_s"]
    rows = [
        (
            title,
            stage,
            format_seconds(seconds),
            percent(seconds / total if total else 0.0),
            bar(seconds, total),
        )
        for title, stage, seconds in breakdown_parts(breakdown)
    ]
    hidden = format_seconds(breakdown["hidden_communication_s"])
    rows.append(("hidden communication", "", hidden, "-", ""))
    headings = ("part", "stage", number("time"), number("share"), bars())
    return table(headings, rows)


def operations_data(phases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List operations in order; the pieces of one (``.1``, ``.2``) as one.

    Returns
    -------
    list of dict
        ``name``, ``stage``, ``stream``, ``max_s``, ``mean_s`` and ``exposed_s`` of all
        pieces, and the ``critical_rank`` of the slowest.
    """
    merged: dict[str, list[dict[str, Any]]] = {}
    for phase in phases:
        merged.setdefault(phase["name"].partition(".")[0], []).append(phase)
    found = []
    for name, pieces in merged.items():
        slowest = max(pieces, key=lambda piece: float(piece["max_s"]))
        same = {key: pieces[0][key] for key in ("stage", "stream")}
        sums = {
            key: sum(piece[key] for piece in pieces)
            for key in ("max_s", "mean_s", "exposed_s")
        }
        rank = slowest["critical_rank"]
        found.append({"name": name, **same, **sums, "critical_rank": rank})
    return found


def _operations_table(phases: list[dict[str, Any]]) -> RenderableType:
    """Lay out operations in order."""
    rows = [
        (
            operation["name"],
            operation["stream"],
            format_seconds(operation["max_s"]),
            format_seconds(operation["mean_s"]),
            format_seconds(operation["exposed_s"]),
            str(operation["critical_rank"]),
        )
        for operation in operations_data(phases)
    ]
    headings = (
        *("operation", whole("stream"), number("slowest"), number("mean")),
        *(number("exposed"), number("slowest rank")),
    )
    return table(headings, rows)
