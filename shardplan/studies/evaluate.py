"""The results of one point: solve it, check it, simulate it, or say why not."""

from __future__ import annotations

import logging
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.costs.memory.checkpoint import checkpoint_bytes
from shardplan.costs.memory.storage import row_bytes, state_bytes
from shardplan.errors import (
    InfeasibleError,
    InputError,
    LimitError,
    ShardplanError,
)
from shardplan.planning.interrupts import Interrupts
from shardplan.planning.planner import solve
from shardplan.planning.refusal import no_advice
from shardplan.plans.plan_file import format_plan
from shardplan.printable import one_line
from shardplan.simulation import simulate
from shardplan.studies.columns import RESULTS
from shardplan.studies.parameter_servers import (
    ServerSetup,
    mean_step_time,
    worker_step,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shardplan.planning.result import PlanResult
    from shardplan.plans.plan import Plan
    from shardplan.records.arrays import Floats
    from shardplan.records.inputs import Inputs
    from shardplan.simulation import Simulation
    from shardplan.simulation.traffic import LinkLoads
    from shardplan.studies.resolve import ResolvedPoint

_MOST_TABLES = 5
"""Tables that a shortfall names."""
_LOG = logging.getLogger(__name__)


def evaluate_point(resolved: ResolvedPoint) -> dict[str, Any]:
    """Return the columns of a point, but for those of money and failures.

    Parameters
    ----------
    resolved : ResolvedPoint

    Returns
    -------
    dict
        Column to value, JSON-able and the same on every machine; None where there is
        nothing to say. That nothing fits is a result, and so is an input that the
        planner refuses.

    Raises
    ------
    Exception
        All others, such as of a plug-in or for want of memory: they say nothing of
        the point, and may not come the next time.
    """
    try:
        found = _evaluate(resolved)
    except InfeasibleError as error:
        found = _not_feasible(error)
    except LimitError as error:
        found = {"status": "not_found", "feasible": False, "message": str(error)}
    except InputError as error:
        found = error_values(error)
    return _table_row({**_cluster(resolved.inputs), **found})


def solve_point(resolved: ResolvedPoint) -> PlanResult:
    """Make the plan of a point again; see `shardplan.solve` for what is raised."""
    with no_advice():  # the axes of a study say what would help
        return solve(
            **dict(resolved.inputs),
            **resolved.options.arguments(),
            # A signal ends the point without a result: half a search is no result.
            interrupts=Interrupts(),
        )


def error_values(error: Exception) -> dict[str, Any]:
    """Return the columns of a point that went wrong, with the error's type if odd."""
    if isinstance(error, InputError) and len(error.problems) == 1:
        text = str(error.problems[0])
    elif isinstance(error, ShardplanError):
        text = str(error)
    else:
        _LOG.error("a point failed", exc_info=error)
        text = f"{type(error).__name__}: {error}"
    return _table_row({"status": "error", "message": text})


def _table_row(found: dict[str, Any]) -> dict[str, Any]:
    """Return all columns in their order; texts are one line, numbers finite."""
    row = {column.name: found.get(column.name) for column in RESULTS}
    for name, value in row.items():
        if isinstance(value, str):
            row[name] = one_line("; ".join(value.splitlines()))
        elif isinstance(value, float) and not np.isfinite(value):
            row[name] = None
    return row


def _evaluate(resolved: ResolvedPoint) -> dict[str, Any]:
    if resolved.kind == "parameter-servers":
        return _parameter_servers(resolved)
    result = solve_point(resolved)
    simulation = simulate(result.plan)
    return {**_plan_values(result), **_step_values(simulation)}


def _parameter_servers(resolved: ResolvedPoint) -> dict[str, Any]:
    """Return what is known of workers and servers: they have no plan."""
    asked = resolved.servers
    assert asked is not None
    setup = ServerSetup(
        num_workers=asked.workers,
        num_servers=asked.servers or asked.workers,
        batch_size=asked.batch_size,
        noise=asked.noise,
        overlaps=asked.overlaps,
    )
    worker = worker_step(resolved.inputs, setup)
    step_s = mean_step_time(worker, setup, asked.mode, asked.staleness)
    throughput = setup.num_workers * setup.batch_size / step_s
    return {
        "status": "feasible",
        "feasible": True,
        "hosts": setup.num_workers + setup.num_servers,
        "world_size": setup.num_workers,
        "step_time_s": step_s,
        "throughput_samples_per_s": throughput,
        "throughput_per_rank": throughput / setup.num_workers,
        "bottleneck": worker.bound_by,
    }


def _cluster(inputs: Inputs) -> dict[str, Any]:
    topology = inputs.topology
    return {"hosts": topology.num_hosts, "world_size": topology.world_size}


def _plan_values(result: PlanResult) -> dict[str, Any]:
    plan = result.plan
    return {
        "status": "feasible",
        "feasible": True,
        "objective_s": result.objective_s,
        "lower_bound_s": result.lower_bound_s,
        "gap": result.gap,
        "checkpoint_bytes": _checkpoint_bytes(plan),
        "plan_sha256": sha256(format_plan(plan).encode()).hexdigest(),
        "message": "; ".join(plan.outcome.warnings) or None,
    }


def _step_values(simulation: Simulation) -> dict[str, Any]:
    memory, throughput = simulation.memory, simulation.throughput_samples_per_s
    exposed = simulation.exposed_s_by_stage()
    link, busy = _busiest_link(simulation.links)
    return {
        "step_time_s": simulation.step_time_s,
        "throughput_samples_per_s": throughput,
        "throughput_per_rank": throughput / simulation.evaluation.cluster.world_size,
        "bottleneck": max(exposed, key=lambda stage: exposed[stage], default=None),
        "bottleneck_link": link,
        "link_busy": busy,
        "exposed_comm_s": sum(simulation.breakdown.exposed_communication_s.values()),
        "hbm_fill": _fill(memory.hbm_bytes, memory.hbm_capacity_bytes),
        "ddr_fill": _fill(memory.ddr_bytes, memory.ddr_capacity_bytes),
        "ssd_fill": _fill(memory.ssd_bytes, memory.ssd_capacity_bytes),
    }


def _busiest_link(links: LinkLoads) -> tuple[str | None, float | None]:
    """Return the kind of link that carries the greatest share of its line rate."""
    uses = {
        "scale_up": links.scale_up_use,
        "nic": links.nic_use,
        "uplink": links.uplink_use,
    }
    most = {name: float(use.max(initial=0.0)) for name, use in uses.items()}
    name = max(most, key=lambda kind: most[kind])
    return (name, most[name]) if most[name] > 0 else (None, None)


def _fill(used: Floats, capacity: Floats) -> float | None:
    """Return the share of its room that the fullest place uses; None without room."""
    there = capacity > 0
    return float((used[there] / capacity[there]).max()) if there.any() else None


def _checkpoint_bytes(plan: Plan) -> float:
    """Return the bytes of all tables of a plan and their states, rows once [bytes]."""
    workload = plan.inputs.workload
    rows = {table.name: float(table.num_embeddings) for table in workload.tables}
    blocks = [(p, float(block.num_columns)) for p in plan.tables for block in p.blocks]
    return checkpoint_bytes(
        np.array([rows[p.name] for p, _ in blocks]),
        np.array([float(row_bytes(p.dtype, columns)) for p, columns in blocks]),
        state_bytes(workload.optimizer, np.array([columns for _, columns in blocks])),
    )


def _not_feasible(error: InfeasibleError) -> dict[str, Any]:
    """Say why nothing fits: the tier that lacks the most, and the tables."""
    found: dict[str, Any] = {
        "status": "infeasible" if error.proven else "not_found",
        "feasible": False,
        "message": str(error),
    }
    lacks = [(s.needed_bytes - s.available_bytes, s) for s in error.shortfalls]
    if lacks:
        missing, worst = max(lacks, key=lambda lack: lack[0])
        found["shortfall_tier"] = worst.tier
        found["shortfall_bytes"] = missing
        found["shortfall_tables"] = _listed(worst.tables)
    return found


def _listed(names: Iterable[str]) -> str:
    names = tuple(names)
    more = len(names) - _MOST_TABLES
    shown = ", ".join(names[:_MOST_TABLES])
    return f"{shown} and {more} more" if more > 0 else shown
