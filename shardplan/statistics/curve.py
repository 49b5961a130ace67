"""Which share of the lookups goes to how many of the hottest rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.statistics.sampling import SIGMAS

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats, Ints
    from shardplan.statistics.hot_rows import HotRows
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


def access_curve(sample: RowSample, hot: HotRows, num_lookups: int) -> AccessCurve:
    """Return the access curve of a table.

    Parameters
    ----------
    sample : RowSample
    hot : HotRows
        Of the same lookups: where rows are sampled, the hottest are taken from here, as
        many as leave the least error.
    num_lookups : int
        Of all rows.

    Notes
    -----
    Sampled rows stand for 1/rate rows each, and together for what the hottest leave.
    The variance of their sum is that of independent draws, ``sum c^2 (1 - R) / R`` over
    all rows; of those that are kept as hot it is known, even if none was drawn.

    References
    ----------
    Horvitz, Thompson 1952, JASA 47(260).
    """
    if num_lookups == 0:
        return AccessCurve(np.zeros(0), np.zeros(0), 0.0)
    if sample.level == 0:
        rows = np.arange(1.0, len(sample.rows) + 1)
        return _thinned(rows, np.sort(sample.counts)[::-1] / num_lookups, 0.0)
    place = np.minimum(np.searchsorted(hot.rows, sample.rows), len(hot.rows) - 1)
    as_hot = np.where(hot.rows[place] == sample.rows, hot.counts[place], 0)
    known = min(
        (_split(sample, hot, as_hot, at_least) for at_least in _thresholds(hot)),
        key=lambda split: split.error,
    )
    left = num_lookups - known.hot.sum()
    tail = known.tail * (max(left, 0.0) / max(int(known.tail.sum()), 1))
    rows = np.concatenate(
        (
            np.arange(1.0, len(known.hot) + 1),
            len(known.hot) + np.arange(1.0, len(tail) + 1) / sample.rate,
        )
    )
    shares = np.concatenate((known.hot, tail)) / num_lookups
    return _thinned(rows, shares, min(1.0, known.error / num_lookups))


class _Split(NamedTuple):
    """Lookups of rows that are taken one by one, and of sampled ones of the rest.

    Attributes
    ----------
    hot, tail : float arrays of shape (H,), (U,)
        Descending.
    error : float
        Bound of the lookups by which a sum over the hottest rows may be off.
    """

    hot: Floats
    tail: Floats
    error: float


def _thresholds(hot: HotRows) -> Floats:
    """Return least lookups of the rows to take one by one: none, and each octave."""
    most = float(hot.counts.max(initial=1))
    return np.append(np.inf, most / 2.0 ** np.arange(np.log2(max(most, 1)) + 1))


def _split(sample: RowSample, hot: HotRows, as_hot: Ints, at_least: float) -> _Split:
    """Take hot rows of so many lookups as the middle of what they can have.

    Parameters
    ----------
    as_hot : int array of shape (U,)
        Lookups of sampled rows as those of hot ones, 0 of those that are not kept.
    """
    taken = hot.counts >= at_least
    tail = np.sort(sample.counts[as_hot < at_least].astype(float))[::-1]
    middle = np.sort(hot.counts[taken] + hot.missed / 2.0)[::-1]
    squares = float((hot.counts[~taken].astype(float) ** 2).sum())
    others = sample.counts[as_hot == 0].astype(float)
    squares += float(others @ others) / sample.rate
    luck = SIGMAS * np.sqrt(squares * (1 - sample.rate) / sample.rate)
    return _Split(middle, tail, float(luck) + hot.missed / 2.0 * len(middle))


def _thinned(rows: Floats, shares: Floats, error: float) -> AccessCurve:
    """Keep a few points per doubling of the rows, and the last."""
    total = np.minimum(np.cumsum(shares), 1.0)
    octave = np.floor(np.log2(rows) * _PER_OCTAVE)
    kept = np.flatnonzero(np.append(np.diff(octave) > 0, True))
    return AccessCurve(rows[kept], total[kept], error)
