"""Draw predicted against measured steps: ``python docs/plot_validation.py``.

Writes `images/validation.svg`, the same bytes for the same predictions; a test
compares them.
"""

from __future__ import annotations

from math import log10
from pathlib import Path
from typing import NamedTuple

from shardplan.validation import load_measurements, validate_model
from shardplan.validation.records import StepMeasurement

FILE = Path(__file__).resolve().parent / "images" / "validation.svg"
SIZE, MARGIN = 480, 60
LOW_MS, HIGH_MS = 1.0, 100.0
TICKS_MS = (1, 2, 5, 10, 20, 50, 100)
COLORS = {"mlperf-dcnv2": "#1f6feb", "tensorflow": "#d1602f"}
BAND = 0.3
"""Relative error of the grey lines."""


class Point(NamedTuple):
    """A step [ms]."""

    name: str
    group: str
    measured: float
    predicted: float


def points() -> list[Point]:
    """Predict all measured steps."""
    found = []
    for outcome in validate_model(load_measurements()).outcomes:
        if isinstance(outcome.measurement, StepMeasurement):
            value = outcome.values[0]
            found.append(
                Point(
                    outcome.measurement.id.removeprefix("mlperf.dcnv2."),
                    outcome.measurement.group,
                    value.measured * 1e3,
                    value.predicted * 1e3,
                )
            )
    return found


def position(milliseconds: float) -> float:
    """Return the distance from the origin in pixels, on a log scale."""
    share = log10(milliseconds / LOW_MS) / log10(HIGH_MS / LOW_MS)
    return share * (SIZE - 2 * MARGIN)


def place(measured: float, predicted: float) -> tuple[float, float]:
    """Return x and y in pixels."""
    return MARGIN + position(measured), SIZE - MARGIN - position(predicted)


def line(factor: float, color: str) -> str:
    """Draw predictions that are `factor` times the measurement."""
    low, high = LOW_MS * max(1.0, 1.0 / factor), HIGH_MS / max(1.0, factor)
    (x1, y1), (x2, y2) = place(low, low * factor), place(high, high * factor)
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{color}"/>'


def text(x: float, y: float, words: str, **attributes: str) -> str:
    """Write words."""
    extra = "".join(f' {k.replace("_", "-")}="{v}"' for k, v in attributes.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{extra}>{words}</text>'


def drawing() -> str:
    """Return the text of the SVG file."""
    low, high = place(LOW_MS, LOW_MS), place(HIGH_MS, HIGH_MS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE}" height="{SIZE}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{SIZE}" height="{SIZE}" fill="white"/>',
        f'<rect x="{low[0]}" y="{high[1]}" width="{high[0] - low[0]}" '
        f'height="{low[1] - high[1]}" fill="none" stroke="#999"/>',
        line(1.0, "#333"),
        line(1.0 + BAND, "#ccc"),
        line(1.0 - BAND, "#ccc"),
    ]
    for tick in TICKS_MS:
        x, y = place(tick, tick)
        parts.append(text(x, low[1] + 16, str(tick), text_anchor="middle"))
        parts.append(text(low[0] - 6, y + 4, str(tick), text_anchor="end"))
    for point in points():
        x, y = place(point.measured, point.predicted)
        title = f"{point.name}: {point.predicted:.2f} of {point.measured:.2f} ms"
        circle = (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{COLORS[point.group]}">'
        )
        parts.append(f"{circle}<title>{title}</title></circle>")
    middle = SIZE / 2
    parts.append(text(middle, SIZE - 16, "measured step [ms]", text_anchor="middle"))
    turned = f"rotate(-90 18 {middle})"
    label = "predicted step [ms]"
    parts.append(text(18, middle, label, text_anchor="middle", transform=turned))
    for row, (group, color) in enumerate(COLORS.items()):
        y = MARGIN + 20 + 18 * row
        parts.append(f'<circle cx="{MARGIN + 16}" cy="{y - 4}" r="5" fill="{color}"/>')
        parts.append(text(MARGIN + 28, y, group))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(drawing(), encoding="utf-8")
