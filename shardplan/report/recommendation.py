"""Which cluster to take: the smallest that reaches a rate, and what lies beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group

from shardplan.report.layout import (
    change,
    facts,
    number,
    percent,
    section,
    sentences,
    table,
    whole,
)
from shardplan.units import format_seconds, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

_RATE = "throughput_samples_per_s"
_SORTS = {"world_size": "fewest ranks", "cost_per_hour": "lowest price of an hour"}


def render_recommendation(data: dict[str, Any]) -> RenderableType:
    """Lay out the report of `shardplan recommend`."""
    batch = data["global_batch_size"]
    samples = (
        f"{batch:,} samples per step at every size" if batch else "grows with ranks"
    )
    reaching = [found for found in data["topologies"] if found["reached"]]
    top = facts(
        {
            "workload": data["workload"],
            "batch": samples,
            "conditions": ", ".join(data["conditions"]),
            "recommended": _named(data["topologies"], data["recommended"]),
            "runner-up": _named(data["topologies"], data["runner_up"]),
            "chosen by": _SORTS[data["sort"]] if len(reaching) > 1 else "",
        }
    )
    parts = [top]
    if reaching:
        parts.append(
            section("Fewest hosts that do", _sizes_table(reaching, "smallest"))
        )
        parts.append(section("One size smaller", _reasons(reaching)))
        parts.append(section("The next host", _next_table(reaching)))
    others = [found for found in data["topologies"] if not found["reached"]]
    if others:
        parts.append(section("Not reached", _nearest(others)))
    parts.append(section("How it was searched", sentences(_notes(data["topologies"]))))
    return Group(*parts)


def _named(topologies: list[dict[str, Any]], name: str | None) -> str:
    found = next((entry for entry in topologies if entry["topology"] == name), None)
    return "" if found is None else f"{name}: {_size(found['smallest'])}"


def _size(row: dict[str, Any]) -> str:
    return f"{plural(row['hosts'], 'host')}, {plural(row['world_size'], 'rank')}"


def _sizes_table(topologies: list[dict[str, Any]], size: str) -> RenderableType:
    priced = any(found[size]["cost_per_hour"] is not None for found in topologies)
    headings = [
        whole("topology"),
        number("hosts"),
        number("ranks"),
        number("samples/s"),
    ]
    headings += [number("step"), whole("most of the step"), whole("busiest link")]
    headings += [number("HBM")]
    headings += [number("per hour"), number("per 10^9 samples")] if priced else []
    rows = []
    for found in topologies:
        row = found[size]
        cells = [found["topology"], f"{row['hosts']:,}", f"{row['world_size']:,}"]
        cells += [f"{row[_RATE]:,.0f}", format_seconds(row["step_time_s"])]
        cells += [row["bottleneck"] or "-", _link(row), percent(row["hbm_fill"])]
        if priced:
            cells += [_money(row["cost_per_hour"]), _money(row["cost_per_1e9_samples"])]
        rows.append(cells)
    return table(headings, rows)


def _link(row: dict[str, Any]) -> str:
    name = row["bottleneck_link"]
    return f"{name} {percent(row['link_busy'])}" if name else "-"


def _money(amount: float | None) -> str:
    return "-" if amount is None else f"{amount:,.2f}"


def _reasons(topologies: list[dict[str, Any]]) -> RenderableType:
    texts = []
    for found in topologies:
        smaller = found["smaller"]
        text = "there is none"
        if smaller is not None:
            text = f"{plural(smaller['hosts'], 'host')}: {found['why_not_smaller']}"
        texts.append(f"{found['topology']}, {text}.")
    return sentences(texts)


def _next_table(topologies: list[dict[str, Any]]) -> RenderableType:
    headings = (
        *(whole("topology"), number("hosts"), number("samples/s"), number("change")),
        *(number("per host"), whole("most of the step"), whole("busiest link")),
    )
    rows = []
    for found in topologies:
        here, more = found["smallest"], found["larger"]
        if more is None or more[_RATE] is None:
            why = "not searched" if more is None else more["status"]
            rows.append((found["topology"], "-", why, "-", "-", "-", "-"))
            continue
        rows.append(
            (
                *(found["topology"], f"{more['hosts']:,}", f"{more[_RATE]:,.0f}"),
                change(here[_RATE], more[_RATE]),
                f"{found['gain_per_host']:+,.0f}",
                *(more["bottleneck"] or "-", _link(more)),
            )
        )
    return table(headings, rows)


def _nearest(topologies: list[dict[str, Any]]) -> RenderableType:
    return sentences(
        f"{found['topology']}, {plural(found['nearest']['hosts'], 'host')}: "
        f"{found['why_not_nearest']}."
        for found in topologies
    )


def _notes(topologies: list[dict[str, Any]]) -> Iterator[str]:
    for found in topologies:
        text = f"{found['topology']}: {plural(found['num_run'], 'size')} run, "
        yield f"{text}{found['num_implied']:,} implied by them."
        if found["num_impossible"]:
            sizes = plural(found["num_impossible"], "size")
            yield f"{found['topology']}: {sizes} left out: {found['why_impossible']}."
        if found["num_errors"]:
            sizes = plural(found["num_errors"], "size")
            yield f"{found['topology']}: {sizes} failed: {found['first_error']}."
        if found["warning"]:
            yield f"{found['topology']}: {found['warning']}."
