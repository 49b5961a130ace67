"""How two plans differ: objective, phases, memory, tables, bytes that move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group

from shardplan.costs.memory import storage
from shardplan.plans.frames import shard_frame
from shardplan.records.targets import RUNTIMES
from shardplan.report.evaluation import memory_data, phases_data
from shardplan.report.layout import (
    change,
    facts,
    left_out,
    named,
    number,
    section,
    sentences,
    table,
    whole,
)
from shardplan.report.plan_view import decision, decision_text, summary_data
from shardplan.report.predicted_view import part_rows, prediction_data
from shardplan.report.quality import objective_text
from shardplan.report.step import simulated
from shardplan.units import format_bytes, format_bytes_both, format_seconds, plural

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from shardplan.checking import Verdict
    from shardplan.plans.evaluation import Evaluation
    from shardplan.plans.plan import Plan
    from shardplan.records.placement import TablePlacement

_DECISION = ("sharding_type", "compute_kernel", "dtype")
_SHARES = ("hbm_share", "ddr_share", "ssd_share")


def diff_data(
    before: Evaluation,
    before_verdict: Verdict,
    after: Evaluation,
    after_verdict: Verdict,
    *,
    limit: int | None = None,
) -> dict[str, Any]:
    """Collect the report of `shardplan diff`.

    Parameters
    ----------
    before_verdict, after_verdict : Verdict
        What is proven about each plan.
    limit : int, optional
        Most changed tables to list; None lists all.
    """
    moved = moved_bytes(before.plan, after.plan)
    changed = _changed_tables(before.plan, after.plan, moved)
    return {
        "before": summary_data(before.plan, before_verdict),
        "after": summary_data(after.plan, after_verdict),
        "same_inputs": _same_inputs(before.plan, after.plan),
        "predictions": {
            "before": prediction_data(before, simulated(before.plan)),
            "after": prediction_data(after, simulated(after.plan)),
        },
        "phases": _phases(before, after),
        "memory": _memory(before, after),
        "moved_bytes": float(sum(moved.values())),
        "num_changed_tables": len(changed),
        "tables": changed[:limit],
    }


def moved_bytes(before: Plan, after: Plan) -> dict[str, float]:
    """Bytes of every table's rows that a rank must receive to go to a new plan.

    Notes
    -----
    A cell (row, column) moves if the rank that holds it after did not hold it
    before. Bytes are those of the new type and include optimizer state and keys.
    """
    held, wanted = shard_frame(before), shard_frame(after)
    kept = _overlap(held, wanted)
    cells = (wanted["num_rows"] * wanted["num_columns"]).astype(np.float64)
    total = cells.groupby(wanted["table"]).sum()
    asked = after.inputs.workload.optimizer
    optimizer = RUNTIMES[after.target].optimizer(asked) or asked
    tables = {t.name: t for t in after.inputs.workload.tables}
    moved = {}
    for placement in after.tables:
        dim = tables[placement.name].embedding_dim
        state = storage.state_bytes(optimizer, dim)
        row = float(storage.row_bytes(placement.dtype, dim) + state)
        row += tables[placement.name].key_bytes
        new = float(total[placement.name]) - kept.get(placement.name, 0.0)
        moved[placement.name] = max(0.0, new) * row / dim
    return moved


def _overlap(held: pd.DataFrame, wanted: pd.DataFrame) -> dict[str, float]:
    """Cells of every table that stay on their rank."""
    pairs = wanted.merge(held, on=["table", "rank"], suffixes=("", "_before"))
    cells = np.ones(len(pairs))
    for start, size in (("row_offset", "num_rows"), ("column_offset", "num_columns")):
        first = np.maximum(pairs[start], pairs[f"{start}_before"])
        end = np.minimum(
            pairs[start] + pairs[size],
            pairs[f"{start}_before"] + pairs[f"{size}_before"],
        )
        cells = cells * np.maximum(end - first, 0).to_numpy(dtype=np.float64)
    kept = pairs.assign(cells=cells).groupby("table")["cells"].sum()
    return {str(name): float(value) for name, value in kept.items()}


def _same_inputs(before: Plan, after: Plan) -> dict[str, bool]:
    names = type(before.fingerprints).model_fields
    return {
        name: getattr(before.fingerprints, name) == getattr(after.fingerprints, name)
        for name in names
    }


def _phases(before: Evaluation, after: Evaluation) -> list[dict[str, Any]]:
    old = {entry["phase"]: entry["max_s"] for entry in phases_data(before)}
    new = {entry["phase"]: entry["max_s"] for entry in phases_data(after)}
    return [
        {"phase": name, "before_s": old.get(name, 0.0), "after_s": new.get(name, 0.0)}
        for name in dict.fromkeys([*old, *new])
    ]


def _memory(before: Evaluation, after: Evaluation) -> list[dict[str, Any]]:
    pairs = zip(memory_data(before), memory_data(after), strict=True)
    return [
        {
            "tier": a["tier"],
            "place": a["place"],
            "before_bytes": a["used_bytes"],
            "after_bytes": b["used_bytes"],
        }
        for a, b in pairs
    ]


def _changed_tables(
    before: Plan, after: Plan, moved: dict[str, float]
) -> list[dict[str, Any]]:
    """List tables that differ, those that move most bytes first."""
    old = {placement.name: placement for placement in before.tables}
    new = {placement.name: placement for placement in after.tables}
    found = []
    for name in sorted(set(old) | set(new)):
        kind = _kind_of_change(old.get(name), new.get(name))
        if kind:
            found.append(
                {
                    "table": name,
                    "change": kind,
                    "before": decision(old[name]) if name in old else None,
                    "after": decision(new[name]) if name in new else None,
                    "moved_bytes": moved.get(name, 0.0),
                }
            )
    return sorted(found, key=lambda entry: (-entry["moved_bytes"], entry["table"]))


def _kind_of_change(old: TablePlacement | None, new: TablePlacement | None) -> str:
    """Return ``added``, ``removed``, ``decision``, ``ranks`` or nothing."""
    if old is None or new is None:
        return "added" if old is None else "removed"
    if old == new:
        return ""
    a, b = decision(old), decision(new)
    keys = (*_DECISION, *_SHARES, "num_blocks")
    return "ranks" if all(a[key] == b[key] for key in keys) else "decision"


def render_diff(data: dict[str, Any]) -> RenderableType:
    """Lay out the report of `shardplan diff`."""
    a, b = data["before"], data["after"]
    other = [name for name, same in data["same_inputs"].items() if not same]
    top = facts(
        {
            "objective": _objectives(a, b),
            "lower bound": _bounds(a, b),
            **_steps(data["predictions"]),
            "inputs": f"differ: {', '.join(other)}" if other else "the same",
            "changed": plural(data["num_changed_tables"], "table"),
            "bytes that move": format_bytes_both(data["moved_bytes"]),
        }
    )
    return Group(
        top,
        section("Phases", _phases_table(data["phases"])),
        *_predicted_section(data["predictions"]),
        section("Memory for embeddings, fullest place", _memory_table(data["memory"])),
        section("Changed tables", *_tables_body(data)),
    )


def _times(before: float, after: float) -> str:
    return (
        f"{format_seconds(before)} -> {format_seconds(after)} ({change(before, after)})"
    )


def _objectives(a: dict[str, Any], b: dict[str, Any]) -> str:
    """Compare the objectives, if they are the same quantity."""
    if a["objective"] == b["objective"]:
        return f"{_times(a['objective_s'], b['objective_s'])}, {a['objective']}"
    return f"{objective_text(a)} -> {objective_text(b)}: not the same quantity"


def _bounds(a: dict[str, Any], b: dict[str, Any]) -> str:
    """Compare the lower bounds, where both plans have one for the same quantity."""
    proof = _proof(a["bound"], b["bound"])
    if a["objective"] == b["objective"] and a["lower_bound_s"] and b["lower_bound_s"]:
        return f"{_times(a['lower_bound_s'], b['lower_bound_s'])}, {proof}"
    shown = [
        format_seconds(x["lower_bound_s"]) if x["lower_bound_s"] else "none"
        for x in (a, b)
    ]
    return f"{' -> '.join(shown)}, {proof}" if {*shown} != {"none"} else "none"


def _steps(predictions: dict[str, Any]) -> dict[str, str]:
    """Compare the predicted and the simulated steps; nothing where one is missing."""
    a, b = predictions["before"], predictions["after"]
    if a is None or b is None:
        return {}
    return {
        "predicted step": _times(a["step_s"], b["step_s"]),
        "simulated step": _times(a["simulated"]["step_s"], b["simulated"]["step_s"]),
    }


def _proof(before: str, after: str) -> str:
    """Say of two bounds whether they are proven: ``proven``, ``claimed -> proven``."""
    return after if before == after else f"{before} -> {after}"


def _phases_table(phases: list[dict[str, Any]]) -> RenderableType:
    rows = [
        (
            phase["phase"],
            format_seconds(phase["before_s"]),
            format_seconds(phase["after_s"]),
            change(phase["before_s"], phase["after_s"]),
        )
        for phase in phases
    ]
    return table(
        (whole("phase"), number("before"), number("after"), number("change")), rows
    )


def _predicted_section(predictions: dict[str, Any]) -> list[RenderableType]:
    """Compare the parts of the predicted steps; nothing where one is missing."""
    a, b = predictions["before"], predictions["after"]
    if a is None or b is None:
        return []
    old, new = dict(part_rows(a)), dict(part_rows(b))
    rows = [
        (
            part,
            format_seconds(old.get(part, 0.0)),
            format_seconds(new.get(part, 0.0)),
            format_seconds(new.get(part, 0.0) - old.get(part, 0.0)),
        )
        for part in dict.fromkeys([*old, *new])
    ]
    headings = ("part", number("before"), number("after"), number("difference"))
    return [section("Predicted step", table(headings, rows))]


def _memory_table(pools: list[dict[str, Any]]) -> RenderableType:
    rows = [
        (
            f"{pool['tier'].upper()} per {pool['place']}",
            format_bytes_both(pool["before_bytes"]),
            format_bytes_both(pool["after_bytes"]),
            change(pool["before_bytes"], pool["after_bytes"]),
        )
        for pool in pools
        if pool["before_bytes"] or pool["after_bytes"]
    ]
    return table(("tier", number("before"), number("after"), number("change")), rows)


def _tables_body(data: dict[str, Any]) -> list[RenderableType]:
    if not data["num_changed_tables"]:
        return [sentences(["none"])]
    rows = [
        (
            entry["table"],
            entry["change"],
            _decided(entry["before"]),
            _decided(entry["after"]),
            format_bytes(entry["moved_bytes"]),
        )
        for entry in data["tables"]
    ]
    headings = (named("table"), "change", "before", "after", number("moves"))
    hidden = left_out(len(rows), data["num_changed_tables"])
    return [table(headings, rows), sentences(filter(None, [hidden]))]


def _decided(entry: dict[str, Any] | None) -> str:
    return f"{decision_text(entry)} on {entry['ranks']}" if entry else "-"
