"""The timeline of a rank: a lane per stream, with a bar for everything it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.records.sharding import PHASES
from shardplan.report.pages.svg import element, figure, percent, tick_word, ticks
from shardplan.report.timeline import streams_of
from shardplan.steps.operation import STAGES, Stage
from shardplan.units import format_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

_LANE = 30
_BAR = 26
_FINE = 8
"""Times as many ticks when the figure is made wide."""
_EDGE = 0.93
"""Share of the step from which words end at their tick, to stay inside."""
_DENSE = (Stage.DENSE_FORWARD, Stage.DENSE_BACKWARD, Stage.DENSE_SYNC)

STAGE_COLOURS = {
    **{stage.value: 7 for stage in STAGES},
    **{stage.value: 6 for stage in _DENSE},
    **{phase.value: index for index, phase in enumerate(PHASES)},
}
"""Number of each stage's colour: phases as in their figure, dense layers, the rest."""
STAGE_NAMES = {
    **{phase.value: index for index, phase in enumerate(PHASES)},
    "dense layers": 6,
    "overhead, copies": 7,
}
"""What a legend calls each colour, by its number."""


def lanes_svg(rank: dict[str, Any], step_s: float) -> Markup:
    """Draw what one rank does.

    Parameters
    ----------
    rank : dict
        Of `timeline_data`.
    step_s : float
        Seconds from the left to the right [s].
    """
    streams = streams_of(rank)
    height = _LANE * len(streams)
    key = f"lanes-{rank['rank']}"
    body = [*_times(step_s, height), *_bars(rank, streams, step_s)]
    words = (
        f"Bars from left to right over {format_seconds(step_s)}, in a lane each for "
    )
    return figure(
        key,
        f"What rank {rank['rank']} does during the step",
        f"{words}{', '.join(streams)}. The table of operations has their times.",
        body,
        height=height + 20,
    )


def _times(step_s: float, height: int) -> Iterator[Markup]:
    """Draw lines at round times; finer ones are shown when there is room."""
    coarse = set(ticks(step_s))
    for time in sorted({*coarse, *ticks(step_s, 5 * _FINE)}):
        x, fine = percent(time / step_s), "" if time in coarse else " fine"
        yield element("line", x1=x, x2=x, y1=0, y2=height, class_=f"gridline{fine}")
        anchor = "start" if time == 0 else "middle" if time < _EDGE * step_s else "end"
        yield element(
            "text",
            tick_word(format_seconds(time)),
            x=x,
            y=height + 15,
            class_=f"tick {anchor}{fine}",
        )


def _bars(rank: dict[str, Any], streams: list[str], step_s: float) -> Iterator[Markup]:
    """Draw a bar for each span, with its name as far as there is room."""
    for index, span in enumerate(rank["spans"]):
        seconds = span["end_s"] - span["start_s"]
        words = f"{span['operation']}: {format_seconds(seconds)}"
        yield element(
            "svg",
            element("title", words),
            element(
                "rect",
                width="100%",
                height="100%",
                class_=f"s{STAGE_COLOURS[span['stage']]}",
            ),
            element("text", span["operation"], x=4, y=17),
            x=percent(span["start_s"] / step_s),
            y=_LANE * streams.index(span["stream"]),
            width=percent(seconds / step_s),
            height=_BAR,
            class_="span",
            data_span=index,
        )
