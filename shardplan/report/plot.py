"""Single figures as SVG or PNG: memory, phases, and the timeline of the step."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.errors import InputError
from shardplan.printable import one_line
from shardplan.report.pages.palette import colour, phase_colours

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from shardplan.records.arrays import Floats

_WIDTH = 9.0
_LETTER = 0.0068
"""Share of the step that a letter is wide."""
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "shardplan",
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#d9dee3",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "savefig.dpi": 160,
}
"""Text stays text, names are no formulas, and the same figure gives the same bytes."""


def require_matplotlib() -> None:
    """Refuse to draw without what figures are drawn with.

    Raises
    ------
    InputError
        If the extra ``report`` is not installed.
    """
    try:
        import matplotlib as _  # noqa: F401
    except ImportError as error:
        rule = "needs Matplotlib: pip install 'shardplan[report]'"
        raise InputError.single("--plot", "", None, rule) from error


def memory_plot(memory: dict[str, Any], title: str, form: str) -> bytes:
    """Draw what fills every place of each tier in use, item by item.

    Parameters
    ----------
    memory : dict
        Of `ranks_data`.
    title : str
        What the plan is for.
    form : str
        ``svg`` or ``png``.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots(len(memory), squeeze=False)[:, 0]
        for ax, (tier, pools) in zip(axes, memory.items(), strict=True):
            items = {k: np.array(v) / 1e9 for k, v in pools["items_bytes"].items()}
            room = np.array(pools["capacity_bytes"]) / 1e9
            _stack(ax, items, len(room))
            edges = np.arange(len(room) + 1) - 0.5
            ax.stairs(room, edges, baseline=None, color="k", ls="--", label="usable")
            ax.set_title(f"{tier.upper()} of every {pools['place']}")
            ax.set_xlabel(pools["place"])
            ax.set_ylabel("GB")
            _legend(ax)

    return drawn(title, draw, 2.8 * len(memory) + 0.4, form)


def phases_plot(phases_s: Mapping[str, list[float]], title: str, form: str) -> bytes:
    """Draw the seconds of every rank by phase, and mark the slowest.

    Parameters
    ----------
    phases_s : dict
        Of `ranks_data` [s].
    """

    def draw(figure: Figure) -> None:
        ax = figure.subplots()
        phases = {k: np.array(v) * 1e3 for k, v in phases_s.items()}
        total = np.sum(list(phases.values()), axis=0)
        _stack(ax, phases, len(total), phase_colours(phases))
        slowest = int(total.argmax())
        at = (slowest, total[slowest] + 0.02 * total.max())
        ax.text(*at, f"▼ slowest: rank {slowest}", ha=_anchor(slowest, len(total)))
        ax.set_title("Seconds of every rank, by phase")
        ax.set_xlabel("rank")
        ax.set_ylabel("ms")
        ax.margins(y=0.12)
        _legend(ax)

    return drawn(title, draw, 3.4, form)


def timeline_plot(timeline: dict[str, Any], title: str, form: str) -> bytes:
    """Draw what a few ranks do during the step, in a lane per stream.

    Parameters
    ----------
    timeline : dict
        Of `timeline_data`.
    """
    from shardplan.report.timeline import streams_of

    ranks = timeline["ranks"]
    lanes = [len(streams_of(rank)) for rank in ranks]

    def draw(figure: Figure) -> None:
        axes = figure.subplots(
            len(ranks), sharex=True, squeeze=False, height_ratios=lanes
        )[:, 0]
        for ax, rank in zip(axes, ranks, strict=True):
            _lanes(ax, rank, streams_of(rank), timeline["step_s"])
        axes[-1].set_xlabel("ms")
        axes[-1].set_xlim(0, timeline["step_s"] * 1e3)
        _stages(figure)

    return drawn(title, draw, 0.4 * sum(lanes) + 0.6 * len(ranks) + 0.7, form)


def _anchor(place: int, count: int) -> Any:
    """Choose on which side of a place its words are, so that they stay inside."""
    if place < 0.2 * count:
        return "left"
    return "right" if place > 0.8 * count else "center"


def _stack(
    ax: Axes,
    layers: Mapping[str, Floats],
    count: int,
    numbers: list[int] | None = None,
) -> None:
    """Put layers on each other, in one shape each; colours have numbers."""
    numbers = numbers or list(range(len(layers)))
    below, edges = np.zeros(count), np.arange(count + 1) - 0.5
    for index, (name, values) in enumerate(layers.items()):
        ax.stairs(
            below + values,
            edges,
            baseline=below,
            fill=True,
            color=colour(numbers[index]),
            label=one_line(name),
        )
        below = below + values
    ax.set_xlim(edges[0], edges[-1])


def _lanes(ax: Axes, rank: dict[str, Any], streams: list[str], step_s: float) -> None:
    """Draw the bars of one rank, with the names of those that have room."""
    from shardplan.report.pages.lanes import STAGE_COLOURS

    for span in rank["spans"]:
        start, length = span["start_s"] * 1e3, (span["end_s"] - span["start_s"]) * 1e3
        lane = streams.index(span["stream"])
        face = colour(STAGE_COLOURS[span["stage"]])
        ax.broken_barh([(start, length)], (lane - 0.42, 0.84), color=face, ec="white")
        words = span["operation"].replace("_", "\n", 1)
        if length * 1e-3 > _LETTER * step_s * max(map(len, words.split("\n"))):
            middle = start + length / 2
            text = ax.text(middle, lane, words, color="white", size=6)
            text.set(ha="center", va="center", linespacing=0.9)
    ax.set_yticks(range(len(streams)), streams)
    ax.invert_yaxis()
    ax.grid(visible=False)
    ax.set_title(f"Rank {rank['rank']}: {one_line(rank['why'])}")


def _stages(figure: Figure) -> None:
    """Name the colours of the bars below the lanes."""
    from matplotlib.patches import Patch

    from shardplan.report.pages.lanes import STAGE_NAMES

    keys = [Patch(color=colour(n), label=name) for name, n in STAGE_NAMES.items()]
    legend = figure.legend(handles=keys, loc="outside lower center", ncols=len(keys))
    for text in legend.get_texts():
        text.set_fontsize(6.5)


def _legend(ax: Axes) -> None:
    """List the layers beside the axes, the topmost first."""
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1, 1))


def drawn(title: str, draw: Any, height: float, form: str) -> bytes:
    """Make a figure and return its file; the same figure gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    target, nothing = io.BytesIO(), {"svg": ("Creator", "Date"), "png": ("Software",)}
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # A name may have letters that the font lacks; they are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        figure.suptitle(one_line(title), x=0.01, ha="left", fontweight="bold")
        draw(figure)
        metadata = dict.fromkeys(nothing[form])
        figure.savefig(target, format=form, metadata=metadata)
    return target.getvalue()
