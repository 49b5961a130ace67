"""The page of a plan: facts, memory, phases, places of tables, the step, the proof."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardplan.records.sharding import QUANTITY, Objective
from shardplan.report.explain import binding_sentences
from shardplan.report.layout import percent
from shardplan.report.pages.columns import Columns, rounded
from shardplan.report.pages.palette import phase_colours
from shardplan.report.pages.placement_map import TYPE_COLOURS, PlacementMap
from shardplan.report.pages.predicted_section import predicted_section
from shardplan.report.pages.proof_section import proof_facts
from shardplan.report.pages.step_page import lanes_for_script, step_sections
from shardplan.report.pages.template import render
from shardplan.report.plan_view import decision_text, summary_facts
from shardplan.report.quality import (
    gap_text,
    status_text,
)
from shardplan.units import format_bytes, format_bytes_both, format_seconds, plural
from shardplan.version import VERSION

SECTIONS = {
    "facts": "The plan",
    "fit": "Does it fit",
    "memory": "Memory",
    "phases": "Phases",
    "predicted": "The predicted step",
    "map": "Where tables lie",
    "tables": "Tables",
    "timeline": "The step",
    "links": "Links",
    "bounds": "What bounds it",
    "proof": "The proof",
}
STATIC_ROWS = 100
"""Tables that a page lists without JavaScript."""
_FEW = 60
"""Tables that the map names one by one."""
_NEAREST = 8
_ITEMS = 8
"""Items of memory that are told apart: as many as there are colours."""


def plan_page(data: dict[str, Any], origin: str = "") -> str:
    """Write the page of a plan.

    Parameters
    ----------
    data : dict
        Of `plan_data.plan_page_data`.
    origin : str
        What it is a plan of, if the page lies below the one of a study.

    Raises
    ------
    InputError
        If the libraries for pages are not installed.
    """
    phases, memory = phases_figure(data), memory_figures(data)
    step = step_sections(data)
    figures = (phases, *memory, *step["link_figures"])
    return render(
        "plan.html",
        data={
            "figures": {figure.key: figure.data() for figure in figures},
            "tables": _tables_for_script(data),
            "lanes": lanes_for_script(data),
            "step_s": data["step_time_s"],
        },
        version=VERSION,
        title=f"{data['workload']} on {data['topology']}",
        sections=SECTIONS,
        origin=origin,
        **_facts(data),
        **_fit(data),
        memory=memory,
        phases=phases,
        binding_phases=_binding_phases(data),
        **predicted_section(data),
        map=_map(data),
        tables=_static_tables(data),
        **step,
        proof=proof_facts(data),
    )


def _facts(data: dict[str, Any]) -> dict[str, Any]:
    """Say what the plan is for, and how good."""
    tables = plural(data["num_tables"], "table")
    ranks, hosts = plural(data["world_size"], "rank"), plural(data["num_hosts"], "host")
    facts = summary_facts(data)
    if data["step"] is not None:
        facts["critical rank"] = data["step"]["critical"]["reason"]
    else:
        facts["simulated step"] = f"none: {data['step_fault']}"
    return {
        "lead": f"A shard plan of {tables} for {ranks} on {hosts}.",
        "cards": _cards(data),
        "facts": facts,
        "warnings": [*data["violations"], *data["warnings"]],
    }


def _cards(data: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """List the figures of merit: what, value, more, tone."""
    step, speed = data["step_time_s"], data["throughput_samples_per_s"]
    fits, pool = data["evaluation"]["fits"], _fullest(data)
    place = f"{pool['tier'].upper()} of {pool['place']} {pool['fullest']}"
    gap = "-" if data["gap"] is None else gap_text(data["gap"])
    return [
        (
            "Simulated step",
            "-" if step is None else format_seconds(step),
            f"{data['global_batch_size']:,} samples",
            "",
        ),
        ("Samples per second", "-" if speed is None else f"{speed:,.0f}", "", ""),
        (
            f"Objective '{data['objective']}'",
            format_seconds(data["objective_s"]),
            status_text(data),
            "",
        ),
        ("Gap to the bound", gap, _bound_words(data), ""),
        (
            "Fullest memory",
            percent(pool["fill"]),
            f"{place}: {'fits' if fits else 'does not fit'}",
            "" if fits else "bad",
        ),
        ("Bounded by", *_bounded_by(data), ""),
    ]


def _bound_words(data: dict[str, Any]) -> str:
    """Say of what a gap is, and whether it is proven."""
    if data["gap"] is None:
        return f"bound {data['bound']}"
    return f"{data['bound']}, of the {QUANTITY[Objective(data['objective'])]}"


def _bounded_by(data: dict[str, Any]) -> tuple[str, str]:
    """Name the resource of which a little more saves most."""
    if data["step"] is not None:
        saved = data["step"]["explanation"]["saved_s_per_percent"]
        for name, seconds in saved.items():
            if seconds > 0:
                return name, f"1 % more saves {format_seconds(seconds)}"
    return "-", ""


def _fullest(data: dict[str, Any]) -> dict[str, Any]:
    """Find the pool with the highest fill; one that should not be used is overfull."""
    return max(
        data["memory"],
        key=lambda pool: float("inf") if pool["fill"] is None else pool["fill"],
    )


def _fit(data: dict[str, Any]) -> dict[str, Any]:
    used = [p for p in data["memory"] if p["total_capacity_bytes"] or p["used_bytes"]]
    reserved = data["evaluation"]["reserved_bytes"]
    return {
        "fits": data["evaluation"]["fits"],
        "binding": binding_sentences(data),
        "pools": [
            (
                pool["tier"].upper(),
                f"{pool['place']} {pool['fullest']}",
                *_room(pool["used_bytes"], pool["capacity_bytes"]),
            )
            for pool in used
        ],
        "nearest": _nearest(data),
        "reserved": [(k, (format_bytes_both(v), v)) for k, v in reserved.items()],
    }


def _room(used: float, usable: float) -> list[tuple[str, float]]:
    """Show used, usable, left and fill, with the values to sort by."""
    fill = used / usable if usable > 0 else None
    values = (used, usable, usable - used)
    shown = [(format_bytes_both(value), value) for value in values]
    return [*shown, (percent(fill), -1.0 if fill is None else fill)]


def _nearest(data: dict[str, Any]) -> list[tuple[Any, ...]]:
    """List the places of all tiers with the highest fill."""
    found = []
    for tier, pools in data["ranks"]["memory"].items():
        held, room = (np.array(pools[f"{k}_bytes"]) for k in ("used", "capacity"))
        fill = np.divide(held, room, out=np.zeros(len(room)), where=room > 0)
        for at in np.argsort(-fill, kind="stable")[:_NEAREST]:
            name = f"{tier.upper()} of {pools['place']} {at}"
            row = (name, *_room(float(held[at]), float(room[at])))
            found.append((float(fill[at]), row))
    found.sort(key=lambda item: -item[0])
    return [row for _, row in found[:_NEAREST]]


def memory_figures(data: dict[str, Any]) -> list[Columns]:
    """Draw what fills every place of each tier in use, item by item."""
    return [
        Columns(
            key=f"memory-{tier}",
            title=f"{tier.upper()} of every {pools['place']}",
            description=f"Stacked columns, one per {pools['place']}: bytes of "
            f"{', '.join(pools['items_bytes']) or 'nothing'}; a dashed line marks what "
            "is usable. The table below lists the highest.",
            place=pools["place"],
            layers=_largest(pools["items_bytes"], len(pools["capacity_bytes"])),
            form=format_bytes,
            unit="bytes",
            limit=np.array(pools["capacity_bytes"]),
            limit_name="usable",
            mark=_fullest_place(data, tier),
            mark_name=f"fullest: {pools['place']} {_fullest_place(data, tier)}",
        )
        for tier, pools in data["ranks"]["memory"].items()
    ]


def _fullest_place(data: dict[str, Any], tier: str) -> int:
    return next(int(p["fullest"]) for p in data["memory"] if p["tier"] == tier)


def _largest(items: dict[str, list[float]], places: int) -> dict[str, Any]:
    """Order items by size, and join the smallest if there are many."""
    arrays = {name: np.array(values) for name, values in items.items()}
    order = sorted(arrays, key=lambda name: (-arrays[name].sum(), name))
    if len(order) <= _ITEMS:
        return {name: arrays[name] for name in order} or {"nothing": np.zeros(places)}
    kept, rest = order[: _ITEMS - 1], order[_ITEMS - 1 :]
    others = np.sum([arrays[name] for name in rest], axis=0)
    return {**{name: arrays[name] for name in kept}, "other items": others}


def phases_figure(data: dict[str, Any]) -> Columns:
    """Draw what every rank does in each phase of the objective."""
    total = np.array(data["ranks"]["total_s"])
    slowest = int(total.argmax())
    phases = data["ranks"]["phases_s"] or {"nothing": [0.0] * len(total)}
    return Columns(
        key="phases",
        title="Seconds of every rank, by phase",
        description="Stacked columns, one per rank: its seconds in each phase that is "
        "priced. The table below lists the highest.",
        place="rank",
        layers={name: np.array(values) for name, values in phases.items()},
        form=format_seconds,
        unit="s",
        mark=slowest,
        mark_name=f"slowest: rank {slowest}",
        colours=phase_colours(phases),
    )


def _binding_phases(data: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (
            phase["phase"],
            str(phase["binding_rank"]),
            (format_seconds(phase["binding_s"]), phase["binding_s"]),
            (format_seconds(phase["mean_s"]), phase["mean_s"]),
            (percent(phase["share"]), phase["share"]),
            ", ".join(
                f"{top['table']} {format_seconds(top['cost_s'])}"
                for top in phase["top_tables"]
            ),
        )
        for phase in data["phases"]
        if phase["binding_rank"] is not None
    ]


def _map(data: dict[str, Any]) -> dict[str, Any]:
    tables, world = data["tables"], data["world_size"]
    picture = PlacementMap.of(tables, world)
    types = [name for name in TYPE_COLOURS if any(_is(t, name) for t in tables)]
    counts = (f"{sum(_is(t, name) for t in tables):,} {name}" for name in types)
    return {
        "url": picture.data_url(),
        "types": types,
        "colours": [TYPE_COLOURS[name] for name in types],
        "names": [t["table"] for t in tables] if len(tables) <= _FEW else [],
        "binned": picture.cells.shape != (len(tables), world),
        "last_rank": world - 1,
        "words": f"A map of {plural(len(tables), 'table')} and "
        f"{plural(world, 'rank')}: {', '.join(counts)}. The table of tables has the "
        "ranks of each.",
    }


def _is(table: dict[str, Any], sharding_type: str) -> bool:
    return bool(table["sharding_type"] == sharding_type)


TABLE_HEADINGS = (
    *("table", "#rows", "#columns", "#bytes", "sharding type", "kernel", "ranks"),
    *("#on all ranks", "#of objective"),
)


def _static_tables(data: dict[str, Any]) -> dict[str, Any]:
    """List the dearest tables as text."""
    tables = data["tables"]
    rows = [
        (
            table["table"],
            f"{table['num_embeddings']:,}",
            str(table["embedding_dim"]),
            format_bytes(table["num_bytes"]),
            table["sharding_type"],
            kernel_text(table),
            table["ranks"],
            format_seconds(table["all_ranks_s"]),
            percent(table["share"]),
        )
        for table in tables[:STATIC_ROWS]
    ]
    return {
        "headings": TABLE_HEADINGS,
        "rows": rows,
        "total": f"{len(tables):,}",
        "left": len(tables) > len(rows),
    }


def kernel_text(table: dict[str, Any]) -> str:
    """Describe kernel, type of the rows, and share in HBM."""
    return decision_text(table).partition(" ")[2]


def _tables_for_script(data: dict[str, Any]) -> dict[str, Any]:
    """Pack all tables: words once, numbers in four digits."""
    tables = data["tables"]
    types = list(TYPE_COLOURS)
    kernels = sorted({kernel_text(table) for table in tables})
    seconds = rounded(np.array([table["all_ranks_s"] for table in tables]))
    shares = rounded(np.array([table["share"] for table in tables]))
    sizes = rounded(np.array([table["num_bytes"] for table in tables]))
    return {
        "types": types,
        "kernels": kernels,
        "num_ranks": data["world_size"],
        "rows": [
            [
                table["table"],
                table["num_embeddings"],
                table["embedding_dim"],
                sizes[index],
                types.index(table["sharding_type"]),
                kernels.index(kernel_text(table)),
                table["ranks"],
                seconds[index],
                shares[index],
                [[p["ranks"], float(f"{p['share']:.4g}")] for p in table["places"]],
            ]
            for index, table in enumerate(tables)
        ],
    }
