"""Gap over time as a drawing."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from shardplan.records.sharding import Objective
from tests.benchmarks.summary import gap, grouped, runs

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from tests.benchmarks.cases import Case
    from tests.benchmarks.summary import Result, Results

_LEAST_S, _LEAST_GAP = 0.02, 1e-5
_LEAST_LIMIT_S = 10.0
_POINTS = 120


def draw(results: Results, path: Path) -> None:
    """Draw the median gap of `auto` over time, one line per case with 10 s or more."""
    figure = Figure(figsize=(11, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    axes = {Objective.MAX_RANK: left, Objective.STEP: right}
    colors = mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]
    used = {Objective.MAX_RANK: 0, Objective.STEP: 0}
    for case, some in grouped(results).items():
        if case.limit_s < _LEAST_LIMIT_S or case.objective not in axes:
            continue
        color = colors[used[case.objective] % len(colors)]
        used[case.objective] += 1
        _line(axes[case.objective], case, some, color)
    for objective, axis in axes.items():
        axis.set(xscale="log", yscale="log", xlabel="time [s]", title=str(objective))
        axis.set_xlim(_LEAST_S, 60)
        axis.grid(visible=True, which="major", alpha=0.3)
        if axis.lines:
            axis.legend(fontsize=6, loc="lower left")
    left.set_ylabel("certified gap (median)")
    with mpl.rc_context({"svg.hashsalt": "shardplan", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None, "Creator": None})
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n")


def _line(axis: Axes, case: Case, some: list[Result], color: object) -> None:
    end = max(runs(result)["auto"]["solve_s"] for result in some)
    times = np.geomspace(_LEAST_S, max(end, 2 * _LEAST_S), _POINTS)
    gaps = [median(gap(r, t) for r in some) for t in times]
    shown = np.maximum(np.where(np.isfinite(gaps), gaps, np.nan), _LEAST_GAP)
    label = case.name.rsplit(" ", 1)[0]
    axis.plot(times, shown, drawstyle="steps-post", lw=1.2, color=color, label=label)
