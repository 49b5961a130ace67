"""Distinct rows of a batch and misses of a cache, from how soon rows come again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.statistics.gaps import EDGES

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats
    from shardplan.statistics.gaps import Gaps


class ReuseCurves(NamedTuple):
    """What the gaps between lookups of a row say of a log.

    Attributes
    ----------
    lookups : float array of shape (K,)
        Lengths of windows of consecutive lookups, increasing, up to all.
    rows : float array of shape (K,)
        Mean distinct rows of all windows of that length.
    misses : float array of shape (K,)
        Share of the lookups that an LRU cache of `rows` rows misses, first ones of
        their row among them.
    """

    lookups: Floats
    rows: Floats
    misses: Floats


def reuse_curves(inner: Gaps, border: Gaps, num_lookups: int) -> ReuseCurves:
    """Return both curves.

    Parameters
    ----------
    inner : Gaps
        Between a lookup and the next one of its row.
    border : Gaps
        From the start of the log to the first lookup of each row, counted from 1, and
        from its last one to the end.
    num_lookups : int
        N, at least 1.

    Notes
    -----
    A row is missing in as many windows of w lookups as its gaps leave room for: a gap
    of t lookups has t - w of them. With all gaps of a row adding up to N + 1, the mean
    is ``rows(w) = (sum of t <= w + w (N - number of t <= w)) / (N - w + 1)``. A lookup
    whose row was used t lookups before is taken to find rows(t - 1) others in between.

    References
    ----------
    Xiang, Ding, Luo, Bao 2013, HOTL: a Higher Order Theory of Locality, ASPLOS '13
    (footprints, and when misses follow from them).
    """
    window = EDGES.astype(np.float64) - 1.0
    first = np.concatenate(([True], EDGES[1:] > EDGES[:-1]))
    kept = np.flatnonzero(first & (window < num_lookups))
    counts, sums = inner.counts + border.counts, inner.sums + border.sums
    shorter = np.concatenate(([0], np.cumsum(counts)))[kept]
    total = np.concatenate(([0], np.cumsum(sums)))[kept]
    window = window[kept]
    rows = (total + window * (num_lookups - shorter)) / (num_lookups - window + 1)
    again = np.concatenate(([0], np.cumsum(inner.counts)))[[*kept, -1]]
    misses = np.clip(1.0 - again / num_lookups, 0.0, 1.0)
    every = float(border.counts.sum()) / 2
    rows = np.append(np.minimum(np.maximum.accumulate(rows), every), every)
    return ReuseCurves(np.append(window, float(num_lookups)), rows, misses)
