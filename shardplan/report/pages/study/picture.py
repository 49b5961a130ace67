"""The figure of a front as a single picture, for documents and slides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError
from shardplan.printable import one_line
from shardplan.report.pages.palette import colour
from shardplan.report.pages.study.figures import front_figure
from shardplan.report.pages.study.scatter import bound
from shardplan.report.pages.study.subject import PageSubject
from shardplan.report.plot import drawn
from shardplan.report.study_values import tick_text, unit_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from shardplan.report.pages.study.scatter import DotKind, Scatter
    from shardplan.studies.columns import StudyColumn
    from shardplan.studies.constraints import Constraint
    from shardplan.studies.front import Front
    from shardplan.studies.study import Study, StudyRow

_HEIGHT = 5.0
_MARKS: dict[DotKind, dict[str, Any]] = {
    "plain": {"marker": "o", "facecolors": "none", "edgecolors": colour(0), "s": 18},
    "missed": {"marker": "x", "color": colour(1), "s": 18, "linewidths": 1},
    "front": {"marker": "D", "color": colour(2), "s": 30, "zorder": 3},
}
_LABELS: dict[DotKind, str] = {
    "front": "on the front",
    "plain": "dominated",
    "missed": "misses a constraint",
}


def picture_of(study: Study, front: Front[StudyRow], form: str) -> bytes:
    """Draw the front of a study.

    Parameters
    ----------
    form : str
        ``svg`` or ``png``.

    Raises
    ------
    InputError
        If there is nothing to draw.
    """
    scatter = front_figure(PageSubject(study, front, {}))
    if scatter is None:
        rule = "nothing to draw: no point has a value of two goals"
        raise InputError.single("--plot", "", None, rule)

    def draw(figure: Figure) -> None:
        _draw(figure, scatter)

    return drawn(scatter.title, draw, _HEIGHT, form)


def _draw(figure: Figure, scatter: Scatter) -> None:
    axes = figure.add_subplot()
    across, down = scatter.scales()
    axes.set_xscale("log" if across.is_log else "linear")
    axes.set_yscale("log" if down.is_log else "linear")
    axes.set_xlim(across.low, across.high)
    axes.set_ylim(down.low, down.high)
    axes.set_xticks(across.ticks(), [tick_text(scatter.x, t) for t in across.ticks()])
    axes.set_yticks(down.ticks(), [tick_text(scatter.y, t) for t in down.ticks()])
    axes.minorticks_off()
    axes.grid(visible=True, axis="both")
    axes.set_xlabel(_name(scatter.x))
    axes.set_ylabel(_name(scatter.y))
    _shade(scatter.on(scatter.x), axes.axvspan, axes.axvline, across.high)
    _shade(scatter.on(scatter.y), axes.axhspan, axes.axhline, down.high)
    _draw_dots(axes, scatter)
    figure.legend(loc="outside lower center", ncols=4)


def _name(column: StudyColumn) -> str:
    better = {"min": ", less is better", "max": ", more is better", None: ""}
    return f"{column.name}{unit_text(column)}{better[column.sense]}"


def _shade(bounds: Sequence[Constraint], span: Any, line: Any, high: float) -> None:
    """Shade what constraints forbid, and name them."""
    for constraint in bounds:
        is_most = constraint.op.startswith("<")
        value = bound(constraint)
        ends = (value, high) if is_most else (min(0.0, value), value)
        span(*ends, color=colour(1), alpha=0.1, linewidth=0)
        label = one_line(str(constraint))
        line(value, color=colour(1), linestyle="--", label=label)


def _draw_dots(axes: Any, scatter: Scatter) -> None:
    kinds: tuple[DotKind, ...] = ("missed", "plain", "front")
    for kind in kinds:
        chosen = [dot for dot in scatter.dots if dot.kind == kind]
        x, y = [dot.x for dot in chosen], [dot.y for dot in chosen]
        if kind == "front" and scatter.has_line:
            axes.step(x, y, where="post", color=colour(2), linewidth=1.2)
        if chosen:
            axes.scatter(x, y, label=_LABELS[kind], **_MARKS[kind])
    labels = scatter.labels()
    for dot in scatter.dots:
        if label := labels.get(dot.number):
            place = {"xytext": (5, 4), "textcoords": "offset points"}
            axes.annotate(label, (dot.x, dot.y), fontsize=7, **place)
