"""Pictures of a log's curves, beside what independent lookups would give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.memory import access
from shardplan.printable import one_line
from shardplan.report.layout import count
from shardplan.report.pages.palette import colour
from shardplan.report.plot import drawn
from shardplan.statistics.workload import access_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from shardplan.records.arrays import Floats
    from shardplan.records.log_statistics import TableStatistics

MOST_TABLES = 8
"""Tables in one picture."""


def statistics_plot(tables: Sequence[TableStatistics], title: str, form: str) -> bytes:
    """Draw access, unique rows and misses of tables that have lookups, a row for each.

    Where days were compared, also how far each is from the one before.

    Parameters
    ----------
    title : str
        What the log is called.
    form : str
        ``svg`` or ``png``.
    """

    def draw(figure: Figure) -> None:
        columns = 4 if any(len(found.days) > 1 for found in tables) else 3
        axes = figure.subplots(len(tables), columns, squeeze=False)
        for row, found in zip(axes, tables, strict=True):
            _access(row[0], found)
            _against_model(row[1], row[2], found)
            if columns > 3:
                _drift(row[3], found)
        figure.legend(
            *axes[0][1].get_legend_handles_labels(), loc="outside lower center", ncols=2
        )

    return drawn(title, draw, 2.6 * len(tables) + 0.7, form)


def _access(ax: Axes, found: TableStatistics) -> None:
    rows, share = np.array(found.access).T
    _measured(ax, rows, share, found.access_error)
    ax.set_title(one_line(found.name))
    ax.set_xlabel("hottest rows")
    ax.set_ylabel("share of lookups")
    ax.set_ylim(0, 1.02)


def _against_model(unique: Axes, misses: Axes, found: TableStatistics) -> None:
    """Draw what depends on the order of the log, and what would not.

    First lookups of rows are misses in the log; the model, which never ends, has none.
    """
    bins = access.row_bins(np.array([float(found.num_embeddings)]), [access_of(found)])
    lookups, rows = np.array(found.unique_rows).T
    _measured(unique, lookups, rows, found.unique_rows_error * rows)
    model = [float(access.unique_rows(bins, np.array([n]))[0]) for n in lookups]
    _modelled(unique, lookups, np.array(model))
    _logarithmic(unique, "y")
    unique.set_xlabel("lookups in a row")
    unique.set_ylabel("unique rows")
    sizes, ratio = np.array(found.miss_ratio).T
    _measured(misses, sizes, ratio, found.miss_ratio_error)
    hits = access.lru_hit_rate(bins, sizes[np.newaxis])[0]
    cold = found.cold_ratio
    _modelled(misses, sizes, cold + (1 - cold) * (1 - hits))
    misses.set_xlabel("rows of an LRU cache")
    misses.set_ylabel("share of lookups missed")
    misses.set_ylim(0, 1.02)


def _drift(ax: Axes, found: TableStatistics) -> None:
    """Draw which share of the lookups of each day but the first moved."""
    days = found.days[1:]
    moved, error = np.array([(d.moved, d.moved_error) for d in days]).reshape(-1, 2).T
    ax.plot(moved, color=colour(0), marker=".")
    ends = (moved - error, moved + error)
    ax.fill_between(range(len(days)), *ends, color=colour(0), alpha=0.2)
    ticks = sorted({0, len(days) - 1}) if days else []
    ax.set_xticks(ticks, [one_line(days[tick].day) for tick in ticks])
    ax.set_xlabel("day")
    ax.set_ylabel("share of lookups moved")
    ax.set_ylim(0, 1.02)


def _measured(ax: Axes, x: Floats, y: Floats, error: float | Floats) -> None:
    """Draw a curve with its bounds, over a logarithm."""
    ax.plot(x, y, color=colour(0), label="measured")
    if np.any(error):
        ax.fill_between(x, y - error, y + error, color=colour(0), alpha=0.2)
    _logarithmic(ax, "x")
    ax.grid(visible=True, axis="both")


def _logarithmic(ax: Axes, which: str) -> None:
    """Count in words, for powers are formulas, which names must not be taken for."""
    ax.set(**{f"{which}scale": "log"})
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_formatter(lambda value, _: count(value))
    axis.minorticks_off()


def _modelled(ax: Axes, x: Floats, y: Floats) -> None:
    """Draw a curve that colour is not needed to tell apart."""
    label = "if lookups were independent"
    ax.plot(x, y, color=colour(1), linestyle="--", label=label)
