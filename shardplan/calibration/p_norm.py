"""Fit the coefficients of an operation, with ranges, and say which cannot be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import least_squares
from scipy.special import stdtrit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shardplan.records.arrays import Floats

    Values = Mapping[str, float]

LIMITS = {
    "latency_s": (1e-8, 0.1),
    "hop_s": (1e-8, 0.1),
    "bw_efficiency": (1e-3, 2.0),
    "exponent": (0.2, 10.0),
}
"""The coefficients of an operation that are fitted, and between what."""
_MORE = {
    "latency_s": "small messages, from 1 KiB",
    "hop_s": "small messages on several numbers of hosts",
    "bw_efficiency": "large messages, up to 1 GiB or more",
    "exponent": "all sizes between 1 KiB and 1 GiB",
}
_LEAST_POINTS = 4
_REPEATS = 0.02
"""Runs repeat no better than this, however well a formula fits them."""
_WIDEST = 2.0
"""A coefficient that may be this many times larger or smaller cannot be told."""


@dataclass(frozen=True)
class PNorm:
    """A fit.

    Attributes
    ----------
    values : dict of str to float
        All coefficients.
    ranges : dict of str to (float, float)
        95 % of what was fitted, by name; the others were kept.
    """

    values: dict[str, float]
    ranges: dict[str, tuple[float, float]]


def fit_p_norm(
    predict: Callable[[Values], Floats], times: Floats, start: Values, kept: Values
) -> PNorm:
    """Fit the coefficients of an operation to measured times.

    Parameters
    ----------
    predict : callable
        From coefficients by name to times (P,) [s].
    times : float array of shape (P,)
        Measured [s].
    start : dict of str to float
        All that are fitted, and where to begin.
    kept : dict of str to float
        What a coefficient is where times do not tell it.

    Raises
    ------
    ValueError
        If times do not tell one, and nothing is there to keep.

    Notes
    -----
    Least squares of ``log(predicted / measured)`` in the logarithms of the
    coefficients. Ranges are ``t s sqrt(diag (J'J)^-1)``, with s the root mean square
    of the residuals, 2 % at least. A coefficient whose range is a factor of two each
    way is kept, the widest first, and the others are fitted again.

    References
    ----------
    Seber, Wild 1989, Nonlinear Regression, section 5.1.
    """
    if len(times) < _LEAST_POINTS:
        raise ValueError(f"has {len(times)} usable points, and needs {_LEAST_POINTS}")
    values, free = dict(start), list(start)
    while free:
        widths = _fit(predict, times, values, free)
        widest = max(free, key=lambda name: widths[name])
        if widths[widest] <= np.log(_WIDEST):
            break
        if widest not in kept:
            raise ValueError(f"does not tell {widest}: measure {_MORE[widest]}")
        values[widest] = kept[widest]
        free.remove(widest)
    ranges = {
        name: (
            values[name] * float(np.exp(-widths[name])),
            values[name] * float(np.exp(widths[name])),
        )
        for name in free
    }
    return PNorm(values, ranges)


def _fit(
    predict: Callable[[Values], Floats],
    times: Floats,
    values: dict[str, float],
    free: list[str],
) -> dict[str, float]:
    """Change the free values, and return the half widths of their ranges (logs)."""

    def residuals(x: Floats) -> Floats:
        trial = values | dict(zip(free, np.exp(x).tolist(), strict=True))
        return np.asarray(np.log(predict(trial) / times))

    low, high = np.log([LIMITS[name] for name in free]).T
    inside = np.clip(np.log([values[name] for name in free]), low + 0.01, high - 0.01)
    found = least_squares(residuals, inside, bounds=(low, high), diff_step=1e-5)
    values.update(zip(free, np.exp(found.x).tolist(), strict=True))
    spare = max(len(times) - len(free), 1)
    spread = max(float(np.sqrt(2.0 * found.cost / spare)), _REPEATS)
    # What does not change the times at all gets a wide range, not a singular matrix.
    ridge = 1e-9 * np.eye(len(free))
    inverse = np.linalg.inv(found.jac.T @ found.jac + ridge)
    widths = stdtrit(spare, 0.975) * spread * np.sqrt(np.diag(inverse))
    at_an_end = found.active_mask != 0
    return dict(zip(free, np.where(at_an_end, np.inf, widths).tolist(), strict=True))
