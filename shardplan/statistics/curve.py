"""Which share of the lookups goes to how many of the hottest rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.statistics.sampling import spread

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats
    from shardplan.statistics.hot_rows import HotRows
    from shardplan.statistics.sampling import RowSample

_PER_OCTAVE = 4
"""Points of a curve between a number of rows and twice as many."""
_HOT_ERROR = 0.01
"""Relative error of the lookups of rows that are taken as they were counted."""


class AccessCurve(NamedTuple):
    """A measured access curve.

    Attributes
    ----------
    rows : float array of shape (K,)
        Numbers of hottest rows, increasing; the last is all rows seen.
    lookups : float array of shape (K,)
        Share of the lookups that they get, 0 to 1.
    error : float
        By how much a share may be off (95 %); 0 for exact counts.
    """

    rows: Floats
    lookups: Floats
    error: float


def access_curve(sample: RowSample, hot: HotRows, num_lookups: int) -> AccessCurve:
    """Return the access curve of a table.

    Parameters
    ----------
    sample : RowSample
    hot : HotRows
        Of the same lookups: where rows are sampled, the hottest are taken from here.
    num_lookups : int
        Of all rows.

    Notes
    -----
    Sampled rows stand for 1/rate rows each, and together for what the hottest leave.
    """
    if num_lookups == 0:
        return AccessCurve(np.zeros(0), np.zeros(0), 0.0)
    if sample.level == 0:
        rows = np.arange(1.0, len(sample.rows) + 1)
        return _thinned(rows, np.sort(sample.counts)[::-1] / num_lookups, 0.0)
    known, known_counts = hot.sure(_HOT_ERROR)
    rest = ~np.isin(sample.rows, known)
    tail = np.sort(sample.counts[rest])[::-1]
    left = num_lookups - int(known_counts.sum())
    error = hot.missed * len(known) + 2.0 * float(spread(tail, sample.rate)[-1:].sum())
    each = np.concatenate(
        (np.sort(known_counts)[::-1], tail * (left / max(int(tail.sum()), 1)))
    )
    rows = np.concatenate(
        (
            np.arange(1.0, len(known) + 1),
            len(known) + np.arange(1.0, len(tail) + 1) / sample.rate,
        )
    )
    return _thinned(rows, each / num_lookups, min(1.0, error / num_lookups))


def _thinned(rows: Floats, shares: Floats, error: float) -> AccessCurve:
    """Keep a few points per doubling of the rows, and the last."""
    total = np.minimum(np.cumsum(shares), 1.0)
    octave = np.floor(np.log2(rows) * _PER_OCTAVE)
    kept = np.flatnonzero(np.append(np.diff(octave) > 0, True))
    return AccessCurve(rows[kept], total[kept], error)
