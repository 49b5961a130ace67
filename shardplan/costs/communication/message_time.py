"""How long one message takes, from its bytes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shardplan.records.arrays import Floats


def p_norm_time(
    message_bytes: ArrayLike,
    latency_s: ArrayLike,
    bandwidth: ArrayLike,
    exponent: ArrayLike,
) -> Floats:
    """Return the time of a message: latency and bandwidth, blended smoothly.

    Parameters
    ----------
    message_bytes : float array
        Bytes V on the most loaded link [bytes].
    latency_s : float array
        Time alpha of an empty message [s].
    bandwidth : float array
        Rate beta of an endless one [bytes/s].
    exponent : float array
        Sharpness p of the blend [-]; 1 adds the two, infinity takes the larger.

    Returns
    -------
    float array of the broadcast shape
        Time [s].

    Notes
    -----
    ``t = (alpha^p + (V / beta)^p)^(1/p)``; below 1, p slows the messages of middle
    size, as real protocols do that change algorithm on the way.

    References
    ----------
    Hockney 1994, The communication challenge for MPP, Parallel Computing 20 (p = 1).
    """
    p = np.asarray(exponent, dtype=float)
    latency = np.asarray(latency_s, dtype=float)
    transfer = np.asarray(message_bytes, dtype=float) / np.asarray(bandwidth)
    larger = np.maximum(latency, transfer)
    # Scaled by the larger term, so that no power overflows or underflows.
    scale = np.where(larger > 0, larger, 1.0)
    total = (latency / scale) ** p + (transfer / scale) ** p
    return np.asarray(scale * total ** (1.0 / p) * (larger > 0))


def curve_time(
    message_bytes: ArrayLike, curve_sizes: ArrayLike, curve_times: ArrayLike
) -> Floats:
    """Interpolate a measured curve of times over message sizes.

    Parameters
    ----------
    message_bytes : float array
        Sizes to look up [bytes].
    curve_sizes, curve_times : float arrays of shape (P,), P at least 2
        Measured sizes [bytes], increasing, and times [s].

    Returns
    -------
    float array of the shape of `message_bytes`
        Time [s].

    Notes
    -----
    Linear in log size and log time. Below the curve the first time holds (latency);
    above it, bytes are added at the last segment's bandwidth.

    References
    ----------
    nccl-tests, doc/PERFORMANCE.md (how such curves are measured).
    """
    size = np.asarray(message_bytes, dtype=float)
    sizes, times = np.asarray(curve_sizes, float), np.asarray(curve_times, float)
    inside = np.log(np.clip(size, sizes[0], sizes[-1]))
    time = np.exp(np.interp(inside, np.log(sizes), np.log(times)))
    # A noisy curve may end falling; then its last point gives the bandwidth.
    rise = times[-1] - times[-2]
    slope = rise / (sizes[-1] - sizes[-2]) if rise > 0 else times[-1] / sizes[-1]
    return np.asarray(time + np.maximum(size - sizes[-1], 0.0) * slope)
