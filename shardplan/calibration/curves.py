"""Measured curves of network models."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats


class MeasuredCurve(NamedTuple):
    """Bytes on the busiest link, times [s], and the share of the line rate reached."""

    sent_bytes: Floats
    time_s: Floats
    bw_efficiency: float


def measured_curve(
    sent_bytes: Floats, log_times: Floats, line_bw: float
) -> MeasuredCurve:
    """Return a curve whose times do not fall as bytes grow.

    Parameters
    ----------
    sent_bytes : float array of shape (P,), P at least 2
        Bytes on the busiest link, one direction, increasing.
    log_times : float array of shape (P,)
        Logarithms of times [s]; means, where there are several of a size.
    line_bw : float
        Of one rank and direction [bytes/s].

    Notes
    -----
    Isotonic regression in the logarithm. No point is faster than the bandwidth: it is
    that of the fastest point, or of the last segment.

    References
    ----------
    Barlow et al. 1972, Statistical Inference under Order Restrictions.
    """
    times = np.exp(isotonic_regression(log_times).x)
    fastest = float((sent_bytes / times).max())
    rise = float(times[-1] - times[-2])
    if rise > 0:
        fastest = max(fastest, float(sent_bytes[-1] - sent_bytes[-2]) / rise)
    return MeasuredCurve(sent_bytes, times, fastest / line_bw)
