"""Which share of the lookups goes to how many of the hottest rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats
    from shardplan.statistics.sampling import RowSample

_PER_OCTAVE = 4
"""Points of a curve between a number of rows and twice as many."""


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


def access_curve(sample: RowSample, num_lookups: int) -> AccessCurve:
    """Return the access curve of a table.

    Parameters
    ----------
    sample : RowSample
    num_lookups : int
        Of all rows.

    Notes
    -----
    Drawn rows stand for ``1 / rate`` rows each, and together for the lookups that hot
    ones leave. The error is that of a sum over the hottest rows (`RowSample.error`).
    """
    if num_lookups == 0:
        return AccessCurve(np.zeros(0), np.zeros(0), 0.0)
    order = np.argsort(-sample.counts, kind="stable")
    counts = sample.counts[order].astype(np.float64)
    is_hot = sample.is_hot[order]
    drawn = counts[~is_hot]
    left = num_lookups - float(counts[is_hot].sum())
    counts[~is_hot] = drawn * (left / max(float(drawn.sum()), 1.0))
    rows = np.cumsum(sample.weights[order])
    error = sample.error(sample.counts) / num_lookups
    return _thinned(rows, counts / num_lookups, min(1.0, error))


def _thinned(rows: Floats, shares: Floats, error: float) -> AccessCurve:
    """Keep a few points per doubling of the rows, and the last."""
    total = np.minimum(np.cumsum(shares), 1.0)
    octave = np.floor(np.log2(rows) * _PER_OCTAVE)
    kept = np.flatnonzero(np.append(np.diff(octave) > 0, True))
    return AccessCurve(rows[kept], total[kept], error)
