"""What a plan costs: both objectives, the phases, the memory pools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.records.sharding import PHASES, TIERS, Objective
from shardplan.report.layout import (
    bar,
    bars,
    facts,
    number,
    percent,
    section,
    table,
    whole,
)
from shardplan.report.predicted_view import parts_table, prediction_data
from shardplan.units import format_bytes_both, format_seconds

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shardplan.checking import Verdict
    from shardplan.plans.evaluation import Evaluation
    from shardplan.records.arrays import Floats

_ALMOST_FULL = 0.9


def evaluation_data(evaluation: Evaluation, verdict: Verdict) -> dict[str, Any]:
    """Collect the report of `shardplan evaluate`."""
    total = evaluation.loads.cost.sum(axis=1)
    fullest = _fullest_rank(evaluation)
    prediction = prediction_data(evaluation, None)
    return {
        "objective": evaluation.plan.objective.value,
        "objective_s": evaluation.value(evaluation.plan.objective),
        "bound": verdict.bound,
        "objective_step_s": evaluation.value(Objective.STEP),
        "objective_max_rank_s": evaluation.value(Objective.MAX_RANK),
        "objective_time_s": None if prediction is None else prediction["step_s"],
        "imbalance": imbalance(total),
        "phases": phases_data(evaluation),
        "prediction": prediction,
        "memory": memory_data(evaluation),
        "fits": evaluation.loads.fits(evaluation.capacity),
        "fullest_rank": fullest,
        "items": evaluation.memory_items(fullest),
        "reserved_bytes": dict(evaluation.capacity.reserved),
    }


def _fullest_rank(evaluation: Evaluation) -> int:
    """Find the rank with the least room left, on CPUs in DDR."""
    cluster, loads, capacity = evaluation.cluster, evaluation.loads, evaluation.capacity
    if cluster.is_cpu:
        pool = int(_fill(loads.ddr, capacity.pool_ddr).argmax())
        return int(np.flatnonzero(capacity.rank_pool == pool)[0])
    return int(_fill(loads.hbm, capacity.rank_hbm).argmax())


def phases_data(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Find the slowest rank and the mean of every phase."""
    found = []
    for phase, cost in zip(
        evaluation.pricer.phases, evaluation.loads.cost.T, strict=True
    ):
        found.append(
            {
                "phase": phase,
                "max_s": float(cost.max()),
                "mean_s": float(cost.mean()),
                "imbalance": imbalance(cost),
                "slowest_rank": int(cost.argmax()) if cost.any() else None,
            }
        )
    return found


def imbalance(values: Floats) -> float:
    """Maximum over mean; 1 if all are 0."""
    mean = float(values.mean())
    return float(values.max()) / mean if mean > 0 else 1.0


def memory_data(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Find the fullest place of every tier, and add up all places of the tier."""
    found = []
    used = (evaluation.loads.hbm, evaluation.loads.ddr, evaluation.loads.ssd)
    pool_place = evaluation.capacity.pool_place
    places = ("rank", pool_place, pool_place)
    for index, (tier, place) in enumerate(zip(TIERS, places, strict=True)):
        room, held = evaluation.capacity.of_tier(index), used[index]
        fill = _fill(held, room)
        fullest = int(fill.argmax())
        found.append(
            {
                "tier": tier.value,
                "place": place,
                "fullest": fullest,
                "used_bytes": float(held[fullest]),
                "capacity_bytes": float(room[fullest]),
                "fill": float(fill[fullest]) if np.isfinite(fill[fullest]) else None,
                "total_used_bytes": float(held.sum()),
                "total_capacity_bytes": float(room.sum()),
            }
        )
    return found


def _fill(used: Floats, room: Floats) -> Floats:
    """Share of every pool that is used; infinite where there is no pool at all."""
    empty = np.where(used > 0, np.inf, 0.0)
    return np.where(room > 0, used / np.where(room > 0, room, 1.0), empty)


def render_evaluation(data: dict[str, Any]) -> RenderableType:
    """Lay out the report of `shardplan evaluate`."""
    step_s = data["objective_time_s"]
    top = facts(
        {
            "objective 'step'": format_seconds(data["objective_step_s"]),
            "objective 'max-rank'": format_seconds(data["objective_max_rank_s"]),
            "objective 'time'": "none: a step cannot be timed"
            if step_s is None
            else f"{format_seconds(step_s)} (predicted step)",
            "imbalance": f"{data['imbalance']:.3f} (slowest rank over mean)",
            "memory": "fits" if data["fits"] else "DOES NOT FIT",
        }
    )
    reserved = {
        item: format_bytes_both(size) for item, size in data["reserved_bytes"].items()
    }
    items = facts(
        {
            f"{tier.upper()} {item}": format_bytes_both(size)
            for tier, found in data["items"].items()
            for item, size in found.items()
        }
    )
    prediction = data["prediction"]
    predicted = () if prediction is None else (parts_table(prediction),)
    return section(
        "Objective",
        top,
        section("Phases", phases_table(data["phases"])),
        *(section("What the predicted step consists of", rows) for rows in predicted),
        section("Memory for embeddings", memory_table(data["memory"])),
        section(f"What fills rank {data['fullest_rank']} and its host", items),
        section("Taken off every rank before", facts(reserved)),
    )


def phases_table(phases: list[dict[str, Any]]) -> RenderableType:
    """Lay out the phases with a bar for their share of the sum."""
    total = sum(phase["max_s"] for phase in phases)
    return table(
        (
            whole("phase"),
            number("slowest rank"),
            number("max"),
            number("mean"),
            number("max/mean"),
            number("share"),
            bars(),
        ),
        [
            (
                phase["phase"],
                "-" if phase["slowest_rank"] is None else str(phase["slowest_rank"]),
                format_seconds(phase["max_s"]),
                format_seconds(phase["mean_s"]),
                f"{phase['imbalance']:.3f}",
                percent(phase["max_s"] / total if total else 0.0),
                bar(phase["max_s"], total),
            )
            for phase in phases
            if is_shown(phase)
        ],
    )


def is_shown(phase: dict[str, Any]) -> bool:
    """Whether a text report lists a phase: our own, or one that takes time."""
    return phase["max_s"] > 0 or phase["phase"] in PHASES


def memory_table(pools: list[dict[str, Any]]) -> RenderableType:
    """Lay out the fullest place of each tier that exists or is used."""
    rows = []
    for pool in pools:
        if not (pool["total_capacity_bytes"] or pool["total_used_bytes"]):
            continue
        rows.append(
            (
                pool["tier"].upper(),
                f"{pool['place']} {pool['fullest']}",
                format_bytes_both(pool["used_bytes"]),
                format_bytes_both(pool["capacity_bytes"]),
                percent(pool["fill"]),
                bar(pool["used_bytes"], pool["capacity_bytes"]),
            )
        )
    headings = (
        "tier",
        "fullest",
        number("used"),
        number("usable"),
        number("fill"),
        bars(),
    )
    return table(headings, rows)


def is_almost_full(pool: dict[str, Any]) -> bool:
    """Whether a pool is so full that it limits what a plan can do."""
    return bool(pool["used_bytes"] > _ALMOST_FULL * pool["capacity_bytes"])
