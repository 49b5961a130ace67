"""Predictions against measurements: by group, by measurement, by system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group

from shardplan.report.layout import facts, number, section, table, whole
from shardplan.units import format_seconds

if TYPE_CHECKING:
    from rich.console import RenderableType


def render_validation(data: dict[str, Any]) -> RenderableType:
    """Lay out the report of `shardplan validate`."""
    failed = [m["id"] for m in data["measurements"] if not m["passed"]]
    count = len(data["measurements"])
    top = facts(
        {
            "measurements": f"{count - len(failed)} of {count} within tolerance",
            "outside": ", ".join(failed),
        }
    )
    parts = [
        top,
        section("Groups: absolute relative errors", _groups(data["groups"])),
        section("Measurements", _measurements(data["measurements"])),
    ]
    for name, systems in data["scaling"].items():
        left_out = data["leave_one_out"].get(name)
        title = f"{name}: throughput, relative to the slowest system"
        parts.append(section(title, _scaling(systems, left_out)))
        tau = f"Kendall tau of the ranking {data['kendall_tau'][name]:.2f}"
        parts.append(facts({"ranking": tau}))
        if shape := data["scaling_shape"][name]:
            title = f"{name}: throughput per doubling of ranks"
            parts.append(section(title, _shape(shape)))
    return Group(*parts)


def _groups(groups: dict[str, dict[str, Any]]) -> RenderableType:
    rows = [
        (
            name,
            f"{group['passed']}/{group['measurements']}",
            str(group["values"]),
            _percent(group["mean_error"]),
            _signed(group["bias"]),
            _signed(group["worst_error"]),
            group["worst"],
        )
        for name, group in groups.items()
    ]
    headings = (
        *("group", number("passed"), number("values"), number("mean")),
        *(number("bias"), number("worst"), "worst value"),
    )
    return table(headings, rows)


def _measurements(measurements: list[dict[str, Any]]) -> RenderableType:
    rows = []
    for found in measurements:
        only = found["values"][0] if len(found["values"]) == 1 else None
        rows.append(
            (
                found["id"],
                "-" if only is None else _amount(found["kind"], only["predicted"]),
                "-" if only is None else _amount(found["kind"], only["measured"]),
                _percent(found["mean_error"]),
                _signed(found["worst_error"]),
                _tolerance(found["tolerance"]),
                "yes" if found["passed"] else "NO",
            )
        )
    headings = (
        *("measurement", number("predicted"), number("measured")),
        *(number("mean"), number("worst"), "tolerance", whole("passed")),
    )
    return table(headings, rows)


def _scaling(
    systems: list[dict[str, Any]], left_out: dict[str, Any] | None
) -> RenderableType:
    rows = [
        (
            one["id"],
            f"{one['predicted']:.2f}",
            f"{one['measured']:.2f}",
            "-" if left_out is None else _signed(left_out["errors"][one["id"]]),
        )
        for one in systems
    ]
    headings = (
        *("system", number("predicted"), number("measured")),
        number("error, left out of the fit"),
    )
    return table(headings, rows)


def _shape(pairs: list[dict[str, Any]]) -> RenderableType:
    rows = [
        (
            f"{one['from']} to {one['to']}",
            " to ".join(map(str, one["ranks"])),
            " to ".join(map(str, one["hosts"])),
            f"{one['predicted_per_doubling']:.2f}",
            f"{one['measured_per_doubling']:.2f}",
            _signed(one["error"]),
        )
        for one in pairs
    ]
    headings = (
        *("systems", number("ranks"), number("hosts"), number("predicted")),
        *(number("measured"), number("error")),
    )
    return table(headings, rows)


def _amount(kind: str, value: float) -> str:
    return f"{value / 1e9:,.0f} GB/s" if kind == "bandwidth" else format_seconds(value)


def _tolerance(limits: dict[str, float]) -> str:
    """Format limits: of each value without a name, of means with it."""
    texts = {"each": "{:.0%}", "mean": "mean {:.0%}", "median": "median {:.0%}"}
    return ", ".join(texts[name].format(limit) for name, limit in limits.items())


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f} %"
