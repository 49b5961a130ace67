"""Pieces of a curve: what an operation takes, for the integer program."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.solvers.tolerances import ROUNDOFF

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats
    from shardplan.steps.operation_loads import OperationLoad

_POINTS = 200
"""Amounts at which a curve is looked at."""
_LEAST = 1e-5
"""The least of them, as a share of the largest."""


class CurvePiece(NamedTuple):
    """From `low` to `high`, an operation takes `base` and `slope` times its amount."""

    low: float
    high: float
    base: float
    slope: float


def pieces_of(
    load: OperationLoad, here_s: float, most_s: float, error_s: float
) -> list[CurvePiece]:
    """Cut the curve of an operation into straight pieces.

    Parameters
    ----------
    load : OperationLoad
    here_s : float
        The amount where the curve is met exactly; 0 for none [s].
    most_s : float
        The largest amount [s].
    error_s : float
        By how much pieces may be off the curve [s].

    Returns
    -------
    list of CurvePiece
        From 0 to the largest amount, each with its ends on the curve; as few as that
        takes, each as long as it can be.
    """
    at = most_s * np.geomspace(_LEAST, 1.0, _POINTS)
    inner = [point for point in (here_s, load.kink_s) if 0.0 < point < most_s]
    at = np.unique([0.0, *inner, *at])
    seconds = load.curve(np.maximum(at, at[1] * ROUNDOFF))
    ends = [*np.searchsorted(at, inner).tolist(), len(at) - 1]
    found, first = [], 0
    for end in sorted(set(ends)):
        while first < end:
            last = _reach(at, seconds, first, end, error_s)
            slope = (seconds[last] - seconds[first]) / (at[last] - at[first])
            base = seconds[first] - slope * at[first]
            found.append(CurvePiece(*map(float, (at[first], at[last], base, slope))))
            first = last
    return found


def is_convex(pieces: list[CurvePiece]) -> bool:
    """Whether no piece is flatter than the one before: the curve is their maximum."""
    slopes = np.array([piece.slope for piece in pieces])
    return bool((np.diff(slopes) >= -ROUNDOFF * np.abs(slopes).max()).all())


def _reach(at: Floats, seconds: Floats, first: int, end: int, error_s: float) -> int:
    """Return the last point that a straight piece reaches, at most `end`."""
    for last in range(end, first + 1, -1):
        inside = slice(first, last + 1)
        line = np.interp(at[inside], at[[first, last]], seconds[[first, last]])
        if np.abs(line - seconds[inside]).max() <= error_s:
            return last
    return first + 1
