"""Tokens and pairs of tokens of a sample, from the moments of its length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.records.layers import TARGETS

if TYPE_CHECKING:
    from shardplan.records.layers import SequenceAxis


def tokens(rows: str, axis: SequenceAxis | None) -> float:
    """Return the mean rows of a sample on an axis: 1, tokens, or targets."""
    if axis is None:
        return 1.0
    return float(axis.targets) if rows.endswith(TARGETS) else axis.mean


def pairs(mask: str, axis: SequenceAxis) -> float:
    """Return the mean pairs of a token and one that it sees, per sample.

    Notes
    -----
    With h = L - c tokens before the c targets: ``causal`` h (h + 1) / 2 + c h + c,
    ``full`` L^2, ``cross`` c h; each is a sum of E[L^2], E[L] and constants, so that
    moments give it exactly, whatever the law of the lengths.
    """
    mean, square, c = axis.mean, axis.mean_square, axis.targets
    match mask:
        case "full":
            return square
        case "cross":
            return c * (mean - c)
    history_square = square - 2.0 * c * mean + c * c
    history = mean - c
    return (history_square + history) / 2.0 + c * history + c


def length_deviation(axis: SequenceAxis) -> float:
    """Return the standard deviation of a sample's tokens over their mean [-]."""
    return float(np.sqrt(max(axis.mean_square / axis.mean**2 - 1.0, 0.0)))


def square_deviation(axis: SequenceAxis) -> float:
    """Return the standard deviation of a sample's L^2 over its mean [-].

    Notes
    -----
    ``sqrt(E[L^4] / E[L^2]^2 - 1)``; without E[L^4], that of a normal law:
    m^4 + 6 m^2 v + 3 v^2 of mean m and variance v.
    """
    mean, square = axis.mean, axis.mean_square
    variance = max(square - mean**2, 0.0)
    normal = mean**4 + 6.0 * mean**2 * variance + 3.0 * variance**2
    fourth = normal if axis.mean_fourth is None else axis.mean_fourth
    return float(np.sqrt(max(fourth / square**2 - 1.0, 0.0)))
