"""Why a plan costs what it costs: slowest ranks, tables, memory, what would help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group

from shardplan.records.placement import format_ranks
from shardplan.records.sharding import Objective
from shardplan.report.evaluation import (
    is_almost_full,
    is_shown,
    memory_data,
    memory_table,
    phases_data,
)
from shardplan.report.layout import (
    bar,
    bars,
    change,
    facts,
    left_out,
    named,
    number,
    percent,
    section,
    sentences,
    table,
    whole,
)
from shardplan.report.pieces import pieces_data, pieces_sentences
from shardplan.report.plan_view import (
    decision,
    decision_text,
    summary_data,
    summary_facts,
)
from shardplan.report.predicted import predicted_step, step_without
from shardplan.report.predicted_view import (
    parts_table,
    path_sentences,
    path_table,
    prediction_data,
)
from shardplan.report.quality import is_by_time
from shardplan.report.step import simulated, speed_data
from shardplan.report.what_if import what_if_data
from shardplan.report.wrapping import shorten
from shardplan.units import format_bytes_both, format_seconds

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shardplan.checking import Verdict
    from shardplan.plans.evaluation import Evaluation
    from shardplan.records.arrays import Floats
    from shardplan.report.grid import Column


_SHORT = 24
"""Characters of a table's name within a text."""
_TOP = 3
"""Tables that are named for every phase."""
_LEFT_OUT = 20
"""Tables of which the step without them is predicted."""


def explain_data(
    evaluation: Evaluation, verdict: Verdict, *, limit: int | None = None
) -> dict[str, Any]:
    """Collect the report of `shardplan explain`.

    Parameters
    ----------
    limit : int, optional
        Most tables to list; None lists all.
    """
    plan, simulation = evaluation.plan, simulated(evaluation.plan)
    by_phase = binding_costs(evaluation)
    phases = _phases(evaluation, by_phase)
    ranks = {phase["binding_rank"] for phase in phases} - {None}
    cost, whole_s = _costs(evaluation, by_phase)
    return {
        **summary_data(plan, verdict),
        **speed_data(simulation),
        "prediction": prediction_data(evaluation, simulation),
        "pieces": pieces_data(evaluation),
        "counted_ranks": sorted(ranks),
        "phases": phases,
        "memory": memory_data(evaluation),
        "binding_memory": [
            pool["tier"] for pool in memory_data(evaluation) if is_almost_full(pool)
        ],
        "tables": _tables(evaluation, cost, whole_s)[:limit],
        "what_if": what_if_data(evaluation, cost),
    }


def _costs(evaluation: Evaluation, by_phase: Floats) -> tuple[Floats, float]:
    """Seconds of every table that count in the objective (T,), and the whole [s].

    Under `time` they are what tables add to the longest path, and the whole is the
    step: what is fixed belongs to no table.
    """
    if evaluation.plan.objective is Objective.TIME:
        step = predicted_step(evaluation)
        if step is not None:
            return step.tables_s, step.step_s
    return by_phase.sum(axis=1), float(by_phase.sum())


def binding_ranks(evaluation: Evaluation) -> list[int]:
    """Return the rank whose seconds count in each phase of the objective."""
    cost = evaluation.loads.cost
    if evaluation.plan.objective is not Objective.MAX_RANK:
        return [int(rank) for rank in cost.argmax(axis=0)]
    return [int(cost.sum(axis=1).argmax())] * cost.shape[1]


def binding_costs(evaluation: Evaluation) -> Floats:
    """Seconds of every table that count in the objective, by phase, (T, P).

    They are those on the slowest rank of each phase (`step`), or on the slowest
    rank (`max-rank`); all of them add up to the objective. For `time` they are those
    of `step`, hidden by other work or not; see `predicted_step` for what counts.
    """
    ranks = binding_ranks(evaluation)
    result = _no_costs(evaluation)
    for rank in set(ranks):
        phases = [p for p, r in enumerate(ranks) if r == rank]
        result[:, phases] = _costs_on(evaluation, rank)[:, phases]
    return result


def _no_costs(evaluation: Evaluation) -> Floats:
    phases = evaluation.pricer.phases
    return np.zeros((len(evaluation.usage.num_embeddings), len(phases)))


def _costs_on(evaluation: Evaluation, rank: int) -> Floats:
    """Seconds of every table on one rank, by phase, (T, P)."""
    kind = int(evaluation.cluster.rank_class[rank])
    here = np.array([s.ranks.count(rank) for s in evaluation.shards], dtype=np.float64)
    result = _no_costs(evaluation)
    cost = evaluation.prices.cost[:, kind] * here[:, None]
    np.add.at(result, evaluation.arrays.table, cost)
    return result


def _phases(evaluation: Evaluation, by_phase: Floats) -> list[dict[str, Any]]:
    """Phases with the rank that binds them and its dearest tables."""
    names = [table.name for table in evaluation.plan.inputs.workload.tables]
    total = float(by_phase.sum())
    found = phases_data(evaluation)
    for index, (phase, rank) in enumerate(
        zip(found, binding_ranks(evaluation), strict=True)
    ):
        seconds = by_phase[:, index]
        best = sorted(np.flatnonzero(seconds), key=lambda t: (-seconds[t], names[t]))
        phase["binding_rank"] = rank if seconds.any() else None
        phase["binding_s"] = float(seconds.sum())
        phase["share"] = float(seconds.sum()) / total if total else 0.0
        phase["top_tables"] = [
            {"table": names[t], "cost_s": float(seconds[t])} for t in best[:_TOP]
        ]
    return found


def _tables(
    evaluation: Evaluation, cost: Floats, whole_s: float
) -> list[dict[str, Any]]:
    """Tables by their part of the objective, the dearest first.

    Under `time` the dearest have what the step would be without them.
    """
    placed = {placement.name: placement for placement in evaluation.plan.tables}
    found = [
        {
            "table": record.name,
            "cost_s": float(seconds),
            "share": float(seconds) / whole_s if whole_s else 0.0,
            "step_without_s": None,
            **decision(placed[record.name]),
        }
        for record, seconds in zip(
            evaluation.plan.inputs.workload.tables, cost, strict=True
        )
        if record.name in placed
    ]
    found.sort(key=lambda entry: (-entry["cost_s"], entry["table"]))
    if evaluation.plan.objective is Objective.TIME:
        tables = evaluation.plan.inputs.workload.tables
        index = {record.name: i for i, record in enumerate(tables)}
        for entry in found[:_LEFT_OUT]:
            without_s = step_without(evaluation, index[entry["table"]])
            entry["step_without_s"] = without_s
    return found


def render_explain(data: dict[str, Any]) -> RenderableType:
    """Lay out the report of `shardplan explain`."""
    return Group(
        facts(summary_facts(data)),
        *(() if is_by_time(data) else (_phases_section(data),)),
        *_step_sections(data),
        section(
            "Which memory binds",
            memory_table(data["memory"]),
            sentences(binding_sentences(data)),
        ),
        section("What the tables cost", *_tables_body(data)),
        section("What would change it", _what_if_table(data["what_if"])),
    )


def _phases_section(data: dict[str, Any]) -> RenderableType:
    return section(
        "Which ranks hold the others up",
        _phases_table(data["phases"]),
        sentences(counted_sentences(data)),
    )


def _step_sections(data: dict[str, Any]) -> list[RenderableType]:
    """Lay out the predicted step, if there is one."""
    prediction = data["prediction"]
    if prediction is None:
        return []
    about = sentences(counted_sentences(data) if is_by_time(data) else ())
    return [
        section("What the predicted step consists of", parts_table(prediction), about),
        section(
            "What the predicted step hangs on",
            path_table(prediction),
            sentences([*path_sentences(prediction), *pieces_sentences(data["pieces"])]),
        ),
    ]


def _phases_table(phases: list[dict[str, Any]]) -> RenderableType:
    rows = [
        (
            phase["phase"],
            "-" if phase["binding_rank"] is None else str(phase["binding_rank"]),
            format_seconds(phase["binding_s"]),
            format_seconds(phase["mean_s"]),
            percent(phase["share"]),
            ", ".join(
                f"{shorten(top['table'], _SHORT)} {format_seconds(top['cost_s'])}"
                for top in phase["top_tables"]
            ),
        )
        for phase in phases
        if is_shown(phase)
    ]
    headings = (
        *(whole("phase"), number("rank"), number("its time"), number("mean")),
        *(number("of objective"), "dearest tables there"),
    )
    return table(headings, rows)


def counted_sentences(data: dict[str, Any]) -> list[str]:
    """Say whose seconds the objective counts, and what the simulated step adds."""
    ranks = format_ranks(tuple(data["counted_ranks"]))
    whose = f"the sum of all phases on the slowest rank, which is rank {ranks}"
    if data["objective"] == Objective.STEP.value:
        noun = "rank" if len(data["counted_ranks"]) == 1 else "ranks"
        whose = f"phase by phase the time of the slowest rank, here of {noun} {ranks}"
    found = [
        f"The objective '{data['objective']}' counts {whose}. A table costs what its "
        "shards take there; its shards on other ranks cost nothing."
    ]
    if data["objective"] == Objective.TIME.value:
        return [
            "The objective 'time' is the predicted step: the longest path through its "
            "operations. Fixed is what it takes without any work of tables. A table "
            "costs what it adds to the operations on that path, on the rank where they "
            "are on it; elsewhere it costs nothing."
        ]
    if data["step_time_s"]:
        step = format_seconds(data["step_time_s"])
        found.append(
            f"The simulated step takes {step}: latencies and the dense layers come on "
            "top, and what overlaps is hidden; `shardplan simulate` shows its parts."
        )
    return found


def binding_sentences(data: dict[str, Any]) -> list[str]:
    """Say in a sentence which pools limit the plan."""
    full = [p for p in data["memory"] if p["tier"] in data["binding_memory"]]
    if not full:
        return ["No pool is nearly full: time, not memory, shapes this plan."]
    return [
        f"{pool['tier'].upper()} of {pool['place']} {pool['fullest']} is "
        f"{percent(pool['fill'])} full: "
        f"{format_bytes_both(pool['capacity_bytes'] - pool['used_bytes'])} left."
        for pool in full
    ]


def _tables_body(data: dict[str, Any]) -> list[RenderableType]:
    headings: list[Column | str] = [named("table"), "decision", "ranks"]
    headings += [number("cost"), number("share")]
    rows = [
        [
            entry["table"],
            decision_text(entry),
            entry["ranks"],
            format_seconds(entry["cost_s"]),
            percent(entry["share"]),
        ]
        for entry in data["tables"]
    ]
    if is_by_time(data):
        headings.append(number("step without it"))
        for row, entry in zip(rows, data["tables"], strict=True):
            row.append(_without(data["objective_s"], entry["step_without_s"]))
    for row, entry in zip(rows, data["tables"], strict=True):
        row.append(bar(entry["share"], 1.0))
    hidden = left_out(len(rows), data["num_tables"])
    return [
        table([*headings, bars()], rows),
        sentences(filter(None, [hidden])),
    ]


def _without(step_s: float, without_s: float | None) -> str:
    """Say by how much the step is shorter without a table."""
    return "-" if without_s is None else change(step_s, without_s)


def _what_if_table(what_if: list[dict[str, Any]]) -> RenderableType:
    rows = [
        (
            entry["change"],
            format_seconds(entry["objective_s"]),
            change(entry["before_s"], entry["objective_s"]),
        )
        for entry in what_if
    ]
    return table(("with this plan kept, but", number("objective"), number("")), rows)
