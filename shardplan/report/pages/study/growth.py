"""How the best value, or the hypervolume, of a co-design grew with its designs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.report.pages.study.scales import Scale
from shardplan.report.pages.svg import element, figure, percent, stretched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from markupsafe import Markup

_HEIGHT = 220
_BOX = 1000


def design_growth(codesign: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the figure and the table of a co-design's history; None without one.

    Parameters
    ----------
    codesign : mapping, optional
        ``measure``, ``reference`` and ``history`` of `front_data`.
    """
    if codesign is None or not codesign["history"]:
        return None
    reference = codesign["reference"]
    return {
        "measure": codesign["measure"],
        "corner": reference and ", ".join(f"{value:.6g}" for value in reference),
        "figure": _figure(codesign),
        "lines": [
            {
                "points": f"{step['points']:,}",
                "eligible": f"{step['eligible']:,}",
                "best": "none yet" if step["best"] is None else f"{step['best']:.6g}",
            }
            for step in codesign["history"]
        ],
    }


def _figure(codesign: Mapping[str, Any]) -> Markup | None:
    """Draw the measure over designs in steps: a batch is known at its end."""
    known = [step for step in codesign["history"] if step["best"] is not None]
    if len(known) < 2:
        return None
    across = Scale(0.0, float(known[-1]["points"]))
    down = Scale.over(step["best"] for step in known)
    places = [
        (
            round(_BOX * across.share(step["points"])),
            round(_BOX * (1.0 - down.share(step["best"]))),
        )
        for step in known
    ]
    path = f"M{places[0][0]} {places[0][1]}"
    path += "".join(f"H{x}V{y}" for x, y in places[1:])
    line = element("path", d=path, class_="frontline")
    measure = codesign["measure"]
    first, last = known[0], known[-1]
    said = f"From {first['best']:.6g} after {first['points']:,} designs to "
    said += f"{last['best']:.6g} after {last['points']:,}."
    body = [*_axes(across, down, measure), stretched(_BOX, _BOX, line)]
    return figure("growth-figure", f"The {measure} found", said, body, height=_HEIGHT)


def _axes(across: Scale, down: Scale, measure: str) -> Iterator[Markup]:
    for value in down.ticks():
        y = percent(1.0 - down.share(value))
        yield element("line", x1="0", x2="100%", y1=y, y2=y, class_="gridline")
        yield element("text", f"{value:g}", x="-8", y=y, dy=".32em", class_="tick end")
    for value in across.ticks():
        x = percent(across.share(value))
        place = {"x": x, "y": "100%", "dy": "1.4em"}
        yield element("text", f"{value:,.0f}", **place, class_="tick middle")
    place = {"x": "100%", "y": "100%", "dy": "2.9em"}
    yield element("text", "designs →", **place, class_="axisname end")
    yield element("text", f"↑ {measure}", x="0", y="-10", class_="axisname")
