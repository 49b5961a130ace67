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
    parts = [_front(data), section("Groups: absolute relative errors", *_groups(data))]
    single = [m for m in data["measurements"] if len(m["values"]) == 1]
    several = [m for m in data["measurements"] if len(m["values"]) > 1]
    if single:
        parts.append(section("Measurements of one value", _singles(single)))
    if several:
        parts.append(section("Measurements of several values", _curves(several)))
    for name in data["generations"]:
        parts += _steps(name, data)
    return Group(*parts)


def _front(data: dict[str, Any]) -> RenderableType:
    """Say how many are met, which are not, and what constants were fitted to."""
    required = [m for m in data["measurements"] if m["passed"] is not None]
    failed = [m["id"] for m in required if not m["passed"]]
    shown = len(data["measurements"]) - len(required)
    met = f"{len(required) - len(failed)} of {len(required)} within tolerance"
    return facts(
        {
            "measurements": met,
            "only shown": f"{shown} of low confidence" if shown else "",
            "outside": ", ".join(failed),
            "constants": data["fit"],
        }
    )


def _groups(data: dict[str, Any]) -> tuple[RenderableType, RenderableType]:
    """Lay out a row for each group, and below them their worst values by name."""
    groups = data["groups"]
    rows = [
        (
            name,
            f"{group['passed']}/{group['measurements']}",
            str(group["values"]),
            _percent(group["mean_error"]),
            _signed(group["bias"]),
            _signed(group["worst_error"]),
        )
        for name, group in groups.items()
    ]
    headings = (
        *("group", number("passed"), number("values"), number("mean")),
        *(number("bias"), number("worst")),
    )
    worst = {f"worst of {name}": group["worst"] for name, group in groups.items()}
    return table(headings, rows), facts(worst)


def _singles(measurements: list[dict[str, Any]]) -> RenderableType:
    rows = []
    for found in measurements:
        [value] = found["values"]
        rows.append(
            (
                found["id"],
                _predicted(found["kind"], value),
                _amount(found["kind"], value["measured"]),
                _error(value),
                _tolerance(found["tolerance"]),
                _passed(found),
            )
        )
    headings = (
        *("measurement", number("predicted"), number("measured"), number("error")),
        *(number("limit"), whole("met")),
    )
    return table(headings, rows)


def _curves(measurements: list[dict[str, Any]]) -> RenderableType:
    rows = [
        (
            found["id"],
            str(len(found["values"])),
            _percent(found["mean_error"]),
            _signed(found["worst_error"]),
            _tolerance(found["tolerance"]),
            _passed(found),
        )
        for found in measurements
    ]
    headings = (
        *("measurement", number("values"), number("mean"), number("worst")),
        *("limit", whole("met")),
    )
    return table(headings, rows)


def _steps(name: str, data: dict[str, Any]) -> list[RenderableType]:
    """Lay out what only steps have: generations, systems, ranking, scaling."""
    parts = [section(f"{name}: generations", _generations(name, data))]
    if name in data["scaling"]:
        title = f"{name}: throughput, relative to the slowest system"
        parts.append(section(title, _scaling(name, data)))
        parts.append(facts(_summary(name, data)))
    if shape := data["scaling_shape"][name]:
        title = f"{name}: throughput per doubling of ranks"
        parts.append(section(title, _shape(shape)))
    return parts


def _generations(name: str, data: dict[str, Any]) -> RenderableType:
    left_out = data["leave_one_out"]["generation"].get(name)
    columns = [number("steps"), number("bias"), number("mean")]
    rows = []
    for generation, found in data["generations"][name].items():
        row = [
            generation,
            str(found["steps"]),
            _signed(found["bias"]),
            _percent(found["mean_error"]),
        ]
        if left_out is not None:
            row.append(_percent(left_out["means"][generation]))
        rows.append(row)
    if left_out is not None:
        columns.append(number("mean, left out of the fit"))
    return table(("generation", *columns), rows)


def _scaling(name: str, data: dict[str, Any]) -> RenderableType:
    left_out = data["leave_one_out"]["system"].get(name)
    columns = [number("predicted"), number("measured")]
    rows = []
    for one in data["scaling"][name]:
        row = [one["id"], f"{one['predicted']:.2f}", f"{one['measured']:.2f}"]
        if left_out is not None:
            error = left_out["errors"].get(one["id"])
            row.append("-" if error is None else _signed(error))
        rows.append(row)
    if left_out is not None:
        columns.append(number("error, left out of the fit"))
    return table(("system", *columns), rows)


def _summary(name: str, data: dict[str, Any]) -> dict[str, str]:
    """Return the ranking, and the errors of systems that took no part in a fit."""
    tau = f"Kendall tau {data['kendall_tau'][name]:.2f}"
    found = {"ranking": tau}
    for what, fits in data["leave_one_out"].items():
        if (left := fits.get(name)) is not None:
            mean, worst = _percent(left["mean_error"]), _signed(left["worst_error"])
            found[f"one {what} left out"] = f"mean {mean}, worst {worst}"
    return found


def _shape(pairs: list[dict[str, Any]]) -> RenderableType:
    rows = [
        (
            f"{one['from']} to {one['to']}",
            " to ".join(map(str, one["ranks"])),
            f"{one['predicted_per_doubling']:.2f}",
            f"{one['measured_per_doubling']:.2f}",
            _signed(one["error"]),
        )
        for one in pairs
    ]
    headings = (
        *("systems", number("ranks"), number("predicted")),
        *(number("measured"), number("error")),
    )
    return table(headings, rows)


def _predicted(kind: str, value: dict[str, Any]) -> str:
    """Format a prediction, or the range of one."""
    if value["range"] is None:
        return _amount(kind, value["predicted"])
    low, high = (_amount(kind, end).split() for end in value["range"])
    unit = "" if low[1:] == high[1:] else f" {low[1]}"
    return f"{low[0]}{unit} to {' '.join(high)}"


def _amount(kind: str, value: float) -> str:
    if kind == "bandwidth":
        return f"{value / 1e9:,.0f} GB/s"
    return f"{value / 1e9:,.1f} GB" if kind == "capacity" else format_seconds(value)


def _error(value: dict[str, Any]) -> str:
    inside = value["range"] is not None and value["error"] == 0.0
    return "in range" if inside else _signed(value["error"])


def _passed(found: dict[str, Any]) -> str:
    return {True: "yes", False: "NO", None: "-"}[found["passed"]]


def _tolerance(limits: dict[str, float]) -> str:
    """Format limits: of each value without a name, of means with it."""
    texts = {"each": "{:.3g} %", "mean": "mean {:.3g} %", "median": "median {:.3g} %"}
    found = (texts[name].format(100 * limit) for name, limit in limits.items())
    return ", ".join(found) or "-"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f} %"
