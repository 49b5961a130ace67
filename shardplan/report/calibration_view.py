"""What a fit of a network tells: points, residuals, ranges, what was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group

from shardplan.report.layout import (
    facts,
    lines,
    named,
    number,
    percent,
    section,
    table,
    whole,
)
from shardplan.units import format_bandwidth, format_bytes

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shardplan.calibration.nccl_tests import Benchmark
    from shardplan.calibration.network_fit import Calibration
    from shardplan.calibration.operations import Error, FittedOperation


def calibration_data(calibration: Calibration, file: str) -> dict[str, Any]:
    """Collect what a fit owes its reader, as JSON has it."""
    like = calibration.like
    return {
        "name": calibration.network.name,
        "file": file,
        "like": None if like is None else like.name,
        "line_bw": calibration.setting.line_bw,
        "inside": calibration.setting.inside.name,
        "benchmarks": [_benchmark(one) for one in calibration.benchmarks],
        "operations": [
            {
                "operation": name,
                "coefficients": _coefficients(one, None if like is None else like.name),
                "curves": [curve.num_ranks for curve in one.link.curves],
                **_errors(calibration.errors[name]),
            }
            for name, one in calibration.operations.items()
        ],
        "kept_operations": [
            name
            for name in ("all_to_all", "reduce", "all_reduce")
            if name not in calibration.operations
            and getattr(calibration.network, name) is not None
        ],
    }


def _benchmark(one: Benchmark) -> dict[str, Any]:
    return {
        "file": one.where,
        "collective": one.collective,
        "num_hosts": one.num_hosts,
        "num_ranks": one.num_ranks,
        "nccl_version": one.nccl_version or None,
        "date": one.date and one.date.isoformat(),
        "num_points": len(one.time_s),
        "left_out": one.left_out,
    }


def _coefficients(one: FittedOperation, like: str | None) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "value": getattr(one.link, name).value,
            "unit": getattr(one.link, name).unit,
            "range": list(one.ranges[name]) if name in one.ranges else None,
            "kept_from": None if name in one.ranges else like or "NCCL's formula",
        }
        for name in (*one.ranges, *one.kept)
    ]


def _errors(errors: list[Error]) -> dict[str, Any]:
    worst = max(errors, key=lambda error: abs(error.value))
    return {
        "num_points": len(errors),
        "mean_error": float(np.mean([abs(error.value) for error in errors])),
        "worst": {
            "error": worst.value,
            "file": worst.benchmark.where,
            "message_bytes": worst.message_bytes,
        },
    }


def render_calibration(data: dict[str, Any]) -> RenderableType:
    """Lay out a fit."""
    top = {
        "network": data["name"],
        "written": data["file"],
        "line rate": f"{format_bandwidth(data['line_bw'])} per rank and direction",
        "inside hosts": data["inside"] if _leaves_hosts(data) else "",
        "kept": _kept(data),
    }
    return Group(
        facts(top),
        section("Measurements", _benchmark_table(data), lines(_left_out(data))),
        section("Coefficients, with 95 % ranges", _coefficient_table(data)),
        section("Residuals", _error_table(data)),
    )


def _leaves_hosts(data: dict[str, Any]) -> bool:
    return any(one["num_hosts"] > 1 for one in data["benchmarks"])


def _kept(data: dict[str, Any]) -> str:
    kept = ", ".join(data["kept_operations"])
    return f"{kept} of {data['like']}, not measured" if kept else ""


def _left_out(data: dict[str, Any]) -> list[str]:
    return [
        f"left out of {one['file']}: {count} {reason}"
        for one in data["benchmarks"]
        for reason, count in one["left_out"].items()
    ]


def _benchmark_table(data: dict[str, Any]) -> RenderableType:
    rows = [
        (
            one["file"],
            one["collective"],
            str(one["num_hosts"]),
            str(one["num_ranks"]),
            one["nccl_version"] or "",
            str(one["num_points"]),
            str(sum(one["left_out"].values())),
        )
        for one in data["benchmarks"]
    ]
    headings = (
        *(named("file"), whole("collective"), number("hosts"), number("ranks")),
        *(whole("NCCL"), number("used"), number("left out")),
    )
    return table(headings, rows)


def _coefficient_table(data: dict[str, Any]) -> RenderableType:
    rows = [
        (
            one["operation"],
            entry["name"],
            f"{entry['value']:.4g}",
            entry["unit"],
            _range(entry),
        )
        for one in data["operations"]
        for entry in one["coefficients"]
    ]
    headings = (
        *(whole("operation"), "coefficient", number("value"), whole("unit")),
        "range",
    )
    return table(headings, rows, keys=2)


def _range(entry: dict[str, Any]) -> str:
    if entry["range"] is None:
        return f"not told by the measurements: kept from {entry['kept_from']}"
    low, high = entry["range"]
    return f"{low:.4g} to {high:.4g}"


def _error_table(data: dict[str, Any]) -> RenderableType:
    rows = [
        (
            one["operation"],
            str(one["num_points"]),
            ", ".join(map(str, one["curves"])),
            percent(one["mean_error"]),
            f"{one['worst']['error']:+.1%}",
            f"{format_bytes(one['worst']['message_bytes'])}, {one['worst']['file']}",
        )
        for one in data["operations"]
    ]
    headings = (
        *(whole("operation"), number("points"), "curves of ranks"),
        *(number("mean error"), number("worst"), "at"),
    )
    return table(headings, rows)
