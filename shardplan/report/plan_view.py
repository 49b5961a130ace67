"""What a plan decides: its summary, the load of every rank, every table."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group

from shardplan.plans.frames import rank_frame
from shardplan.printable import one_line
from shardplan.records.placement import format_ranks
from shardplan.records.sharding import SHORT_NAMES, ShardingType
from shardplan.report.evaluation import imbalance, memory_data, memory_table
from shardplan.report.layout import (
    bar,
    bars,
    count,
    facts,
    left_out,
    named,
    number,
    percent,
    section,
    sentences,
    table,
)
from shardplan.report.predicted_view import prediction_data, prediction_facts
from shardplan.report.quality import (
    bound_text,
    is_by_time,
    objective_text,
    quality_data,
    status_text,
)
from shardplan.report.replicas import replication_data, replication_facts
from shardplan.report.step import simulated
from shardplan.units import format_bytes, format_bytes_both, format_seconds, plural

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shardplan.checking import Verdict
    from shardplan.plans.evaluation import Evaluation
    from shardplan.plans.plan import Plan
    from shardplan.records.placement import TablePlacement


def summary_data(plan: Plan, verdict: Verdict) -> dict[str, Any]:
    """Collect what identifies a plan, how good it is, and whether that is proven."""
    inputs, outcome = plan.inputs, plan.outcome
    whole = inputs.topology.whole
    return {
        "status": outcome.status,
        "objective": plan.objective.value,
        "objective_s": outcome.objective_s,
        **quality_data(verdict),
        "workload": inputs.workload.name,
        "topology": inputs.topology.name,
        "cost_model": inputs.cost_model.name,
        "num_tables": len(plan.tables),
        "num_hosts": inputs.topology.num_hosts,
        "world_size": plan.world_size,
        "replication": replication_data(inputs.topology),
        "global_batch_size": inputs.workload.batch_over(whole.world_size),
        "target": plan.target.value,
        "solver": outcome.solver,
        "seed": outcome.seed,
        "params": dict(outcome.params),
        "warnings": list(outcome.warnings),
        "plan_version": plan.shardplan_version,
    }


def plan_data(
    evaluation: Evaluation,
    verdict: Verdict,
    *,
    ranks: bool = True,
    tables: bool = True,
    limit: int | None = None,
) -> dict[str, Any]:
    """Collect the report of `shardplan show`.

    Parameters
    ----------
    ranks, tables : bool
        Whether to list them.
    limit : int, optional
        Most ranks and tables to list; None lists all.
    """
    plan = evaluation.plan
    data = summary_data(plan, verdict)
    data["memory"] = memory_data(evaluation)
    data["imbalance"] = imbalance(evaluation.loads.cost.sum(axis=1))
    data["prediction"] = prediction_data(evaluation, simulated(plan))
    data["decisions"] = decisions_data(plan)
    if ranks:
        frame = rank_frame(plan, evaluation)[slice(limit)]
        data["ranks"] = frame.to_dict(orient="records")
    if tables:
        data["tables"] = tables_data(evaluation)[:limit]
    return data


def decisions_data(plan: Plan) -> list[dict[str, Any]]:
    """Count the tables of every sharding type and kernel."""
    counts = Counter(
        (p.sharding_type.value, p.compute_kernel.value) for p in plan.tables
    )
    return [
        {"sharding_type": kind, "compute_kernel": kernel, "num_tables": total}
        for (kind, kernel), total in sorted(counts.items())
    ]


def tables_data(evaluation: Evaluation) -> list[dict[str, Any]]:
    """List what is decided for every table, the largest first."""
    plan = evaluation.plan
    sizes = _table_bytes(evaluation)
    index = {t.name: i for i, t in enumerate(plan.inputs.workload.tables)}
    found = []
    for placement in plan.tables:
        record = plan.inputs.workload.tables[index[placement.name]]
        entry = {
            "table": placement.name,
            "num_embeddings": record.num_embeddings,
            "embedding_dim": record.embedding_dim,
            **decision(placement),
            "num_bytes": float(sizes[index[placement.name]]),
        }
        found.append(entry)
    return sorted(found, key=lambda entry: (-entry["num_bytes"], entry["table"]))


def decision(placement: TablePlacement) -> dict[str, Any]:
    """Describe one table's placement."""
    ranks = sorted({rank for block in placement.blocks for rank in block.ranks})
    return {
        "sharding_type": placement.sharding_type.value,
        "compute_kernel": placement.compute_kernel.value,
        "dtype": placement.dtype.value,
        "hbm_share": placement.tiers.hbm,
        "ddr_share": placement.tiers.ddr,
        "ssd_share": placement.tiers.ssd,
        "num_blocks": len(placement.blocks),
        "num_shards": sum(len(block.ranks) for block in placement.blocks),
        "ranks": format_ranks(tuple(ranks)),
    }


def _table_bytes(evaluation: Evaluation) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Bytes of every table in all tiers, with all copies and buffers, (T,)."""
    copies = np.array([len(shard.ranks) for shard in evaluation.shards])
    size = np.zeros(len(evaluation.usage.num_embeddings))
    per_shard = evaluation.prices.tier_bytes.sum(axis=1)
    np.add.at(size, evaluation.arrays.table, per_shard * copies)
    return size


def summary_facts(data: dict[str, Any]) -> dict[str, str]:
    """Name what identifies a plan and how good it is."""
    tables = plural(data["num_tables"], "table")
    batch = f"{data['global_batch_size']:,} samples per step"
    hosts, ranks = plural(data["num_hosts"], "host"), plural(data["world_size"], "rank")
    changed = ", ".join(f"{k} = {json.dumps(v)}" for k, v in data["params"].items())
    return {
        "workload": f"{data['workload']}: {tables}, {batch}",
        "topology": f"{data['topology']}: {hosts}, {ranks}",
        **replication_facts(data["replication"]),
        "cost model": data["cost_model"],
        "status": f"{status_text(data)} (solver {data['solver']}, "
        f"seed {data['seed']}, target {data['target']})",
        "objective": objective_text(data),
        "lower bound": bound_text(data),
        **({"parameters": one_line(changed)} if changed else {}),
    }


def render_plan(data: dict[str, Any]) -> RenderableType:
    """Lay out the report of `shardplan show`."""
    predicted = prediction_facts(data["prediction"]) if is_by_time(data) else {}
    parts = [facts({**summary_facts(data), **predicted})]
    if data["warnings"]:
        parts.append(section("Warnings", sentences(data["warnings"])))
    parts.append(section("Decisions", _decisions_table(data["decisions"])))
    parts.append(section("Memory for embeddings", memory_table(data["memory"])))
    if "ranks" in data:
        total = data["world_size"]
        parts.append(section("Ranks", *_ranks_body(data["ranks"], total)))
    if "tables" in data:
        total = data["num_tables"]
        parts.append(section("Tables", *_tables_body(data["tables"], total)))
    return Group(*parts)


def _decisions_table(decisions: list[dict[str, Any]]) -> RenderableType:
    return table(
        ("sharding type", "kernel", number("tables")),
        [
            (d["sharding_type"], d["compute_kernel"], f"{d['num_tables']:,}")
            for d in decisions
        ],
    )


def _ranks_body(ranks: list[dict[str, Any]], total: int) -> list[RenderableType]:
    slowest = max((rank["total_s"] for rank in ranks), default=0.0)
    rows = [
        (
            str(rank["rank"]),
            str(rank["host"]),
            f"{rank['num_shards']:,}",
            format_seconds(rank["total_s"]),
            bar(rank["total_s"], slowest, 10),
            format_bytes_both(rank["hbm_bytes"]),
            bar(rank["hbm_bytes"], rank["hbm_capacity_bytes"], 10),
        )
        for rank in ranks
    ]
    headings = (
        *(number("rank"), number("host"), number("shards")),
        *(number("time"), bars("of slowest"), number("HBM"), bars("of usable")),
    )
    return [
        table(headings, rows),
        sentences(filter(None, [left_out(len(rows), total)])),
    ]


def _tables_body(tables: list[dict[str, Any]], total: int) -> list[RenderableType]:
    rows = [
        (
            entry["table"],
            count(entry["num_embeddings"]),
            str(entry["embedding_dim"]),
            decision_text(entry),
            f"{entry['num_shards']:,}",
            entry["ranks"],
            format_bytes(entry["num_bytes"]),
        )
        for entry in tables
    ]
    headings = (
        *(named("table"), number("rows"), number("columns"), "decision"),
        *(number("shards"), "ranks", number("bytes")),
    )
    return [
        table(headings, rows),
        sentences(filter(None, [left_out(len(rows), total)])),
    ]


def decision_text(entry: dict[str, Any]) -> str:
    """Describe a decision in short: ``TWRW fused fp32``."""
    short = SHORT_NAMES[ShardingType(entry["sharding_type"])]
    text = f"{short} {entry['compute_kernel']} {entry['dtype']}"
    cached = 0 < entry["hbm_share"] < 1 or entry["ssd_share"]
    return f"{text}, {percent(entry['hbm_share'])} in HBM" if cached else text
