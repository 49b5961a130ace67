"""Options that no other option of their bundle beats in every way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Bools, Floats, Ints

_MOST_PAIRS = 20_000_000
"""Pairs of options that are compared at most: a second's work."""


def undominated(values: Floats, start: Ints) -> Ints | None:
    """Return options that are below each other one of their bundle in some way.

    Of options that are the same in all ways the first is left.

    Parameters
    ----------
    values : float array (O, D)
        The less, the better.
    start : int array (B + 1,)
        Where the options of each bundle begin.

    Returns
    -------
    sorted int array or None
        At least one of each bundle; None if there are too many pairs to compare.
    """
    sizes = np.diff(start)
    if float((sizes.astype(float) ** 2).sum()) > _MOST_PAIRS:
        return None
    kept = np.ones(len(values), dtype=bool)
    for size in np.unique(sizes).tolist():
        own = start[:-1][sizes == size][:, None] + np.arange(size)
        kept[own] = ~_beaten(values[own])
    return np.flatnonzero(kept)


def _beaten(values: Floats) -> Bools:
    """Whether each of N options of B bundles is beaten (B, N); values are (B, N, D)."""
    size, ways = values.shape[1:]
    beats = np.ones((len(values), size, size), dtype=bool)
    for way in range(ways):
        one = values[:, :, way]
        beats &= one[:, :, None] <= one[:, None, :]
    same = beats & beats.transpose(0, 2, 1)
    first = np.triu(np.ones((size, size), dtype=bool), 1)
    return np.asarray((beats & (~same | first)).any(axis=1))
