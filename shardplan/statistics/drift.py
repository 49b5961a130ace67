"""How the rows of a day differ from those of the day before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from shardplan.records.log_statistics import DayStatistics
from shardplan.statistics.lookups import union
from shardplan.statistics.sampling import SIGMAS

if TYPE_CHECKING:
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.statistics.days import Day, DayRows

HOT_SHARE = 0.01
"""Of a day's rows, those with most lookups are its hottest."""
_FEW_ROWS = 1.5
"""How much wider bounds are of sums in which a few hot rows weigh most: those that are
not in the sample are missed by its variance."""


def drift(found: DayRows) -> tuple[DayStatistics, ...]:
    """Compare every day that has lookups with the one before, in the order of labels.

    Numbers within labels count as such: ``day_2`` is before ``day_10``.

    Notes
    -----
    Sampled rows stand for ``1 / rate`` rows each. Errors are those of independent
    draws: of a sum, ``sum c^2 (1 - R) / R^2``; of a share p of n rows,
    ``p (1 - p) (1 - R) / n``, with one row more of either kind.

    References
    ----------
    Horvitz, Thompson 1952, JASA 47(260).
    """
    rate = 0.5**found.level
    days = [(n, d) for n, d in sorted(found.days.items(), key=_natural) if d.lookups]
    ever = np.zeros(0, dtype=np.int64)
    lines = []
    for index, (label, day) in enumerate(days):
        before = days[index - 1][1] if index else None
        lines.append(_line(label, day, before, ever, rate))
        ever = union(ever, day.rows)
    return tuple(lines)


def _natural(item: tuple[str, Day]) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", item[0])
    return [(int(p), "") if p.isdecimal() else (0, p) for p in parts]


def _line(
    label: str, day: Day, before: Day | None, ever: Ints, rate: float
) -> DayStatistics:
    size = len(day.rows)
    luck = SIGMAS * float(np.sqrt(size * (1 - rate))) / rate
    if before is None:
        return DayStatistics(
            day=label, lookups=day.lookups, rows_seen=size / rate, rows_seen_error=luck
        )
    moved, moved_error = _distance(day, before, rate)
    hot = _hottest(day)
    new_hot, hot_error = _share(~np.isin(hot, _hottest(before)), rate)
    new, new_error = _share(~np.isin(day.rows, ever), rate)
    return DayStatistics(
        day=label,
        lookups=day.lookups,
        rows_seen=size / rate,
        rows_seen_error=luck,
        moved=moved,
        moved_error=moved_error,
        new_hot=new_hot,
        new_hot_error=hot_error,
        new_rows=new,
        new_rows_error=new_error,
    )


def _distance(day: Day, before: Day, rate: float) -> tuple[float, float]:
    """Return the total variation of lookups by row, and a bound of its error."""
    rows = union(day.rows, before.rows)
    share: Floats = np.zeros(len(rows))
    for part, sign in ((day, 1.0), (before, -1.0)):
        share[np.searchsorted(rows, part.rows)] += sign * part.counts / part.lookups
    half = np.abs(share) / 2.0
    luck = _FEW_ROWS * SIGMAS * float(np.sqrt((half @ half) * (1 - rate))) / rate
    return min(1.0, float(half.sum()) / rate), min(1.0, luck)


def _hottest(day: Day) -> Ints:
    """Return the rows with most lookups; of equals the first."""
    number = max(1, round(HOT_SHARE * len(day.rows)))
    order: Ints = np.argsort(-day.counts, kind="stable")[:number]
    return day.rows[order]


def _share(is_new: Bools, rate: float) -> tuple[float, float]:
    size = max(len(is_new), 1)
    share = float(is_new.sum()) / size
    near = (float(is_new.sum()) + 1.0) / (size + 2.0)
    return share, SIGMAS * float(np.sqrt(near * (1 - near) * (1 - rate) / size))
