"""How long one message or collective takes, from its bytes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shardplan.records.arrays import Floats


Collective = Literal[
    "all_to_all", "all_gather", "reduce_scatter", "all_reduce", "broadcast"
]


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


def bus_factor(op: Collective, num_ranks: ArrayLike) -> Floats:
    """Return the share of a message that crosses a rank's link.

    Parameters
    ----------
    op : str
        The collective.
    num_ranks : int array
        Ranks n that take part.

    Returns
    -------
    float array of the shape of `num_ranks`
        Bus bandwidth over algorithm bandwidth [-].

    Notes
    -----
    ``(n - 1) / n`` for all-to-all, all-gather and reduce-scatter,
    ``2 (n - 1) / n`` for all-reduce, 1 for broadcast, 0 for one rank.

    References
    ----------
    nccl-tests, doc/PERFORMANCE.md, section "Bus bandwidth".
    """
    n = np.asarray(num_ranks, dtype=float)
    share = (n - 1.0) / n
    if op == "all_reduce":
        return np.asarray(2.0 * share)
    return np.asarray((n > 1).astype(float) if op == "broadcast" else share)


def all_to_all_time(
    message_bytes: ArrayLike,
    num_ranks: ArrayLike,
    latency: ArrayLike,
    bandwidth: ArrayLike,
    exponent: ArrayLike,
) -> Floats:
    """Return the time [s] of an all-to-all; `message_bytes` is a rank's send buffer.

    See Also
    --------
    collective_time : Parameters and formula.
    """
    return collective_time(
        "all_to_all", message_bytes, num_ranks, latency, bandwidth, exponent
    )


def reduce_scatter_time(
    message_bytes: ArrayLike,
    num_ranks: ArrayLike,
    latency: ArrayLike,
    bandwidth: ArrayLike,
    exponent: ArrayLike,
) -> Floats:
    """Return the time [s] of a reduce-scatter; `message_bytes` is the array before it.

    See Also
    --------
    collective_time : Parameters and formula.
    """
    return collective_time(
        "reduce_scatter", message_bytes, num_ranks, latency, bandwidth, exponent
    )


def all_gather_time(
    message_bytes: ArrayLike,
    num_ranks: ArrayLike,
    latency: ArrayLike,
    bandwidth: ArrayLike,
    exponent: ArrayLike,
) -> Floats:
    """Return the time [s] of an all-gather; `message_bytes` is the array after it.

    See Also
    --------
    collective_time : Parameters and formula.
    """
    return collective_time(
        "all_gather", message_bytes, num_ranks, latency, bandwidth, exponent
    )


def all_reduce_time(
    message_bytes: ArrayLike,
    num_ranks: ArrayLike,
    latency: ArrayLike,
    bandwidth: ArrayLike,
    exponent: ArrayLike,
) -> Floats:
    """Return the time [s] of an all-reduce of an array of `message_bytes`.

    See Also
    --------
    collective_time : Parameters and formula.
    """
    return collective_time(
        "all_reduce", message_bytes, num_ranks, latency, bandwidth, exponent
    )


def collective_time(
    op: Collective,
    message_bytes: ArrayLike,
    num_ranks: ArrayLike,
    latency: ArrayLike,
    bandwidth: ArrayLike,
    exponent: ArrayLike,
) -> Floats:
    """Return the time of a collective over equal links.

    Parameters
    ----------
    op : str
        The collective.
    message_bytes : float array
        S: the whole array, or a rank's send buffer for an all-to-all [bytes].
    num_ranks : int array
        Ranks n that take part.
    latency : float array
        Time of an empty collective [s].
    bandwidth : float array
        Bus bandwidth of a rank, one direction [bytes/s].
    exponent : float array
        Of the p-norm [-].

    Returns
    -------
    float array of the broadcast shape
        Time [s]; 0 for one rank.

    Notes
    -----
    :func:`p_norm_time` of ``V = bus_factor * S``.

    References
    ----------
    nccl-tests, doc/PERFORMANCE.md (message sizes and bus bandwidth).
    """
    load = np.asarray(message_bytes, dtype=float) * bus_factor(op, num_ranks)
    time = p_norm_time(load, latency, bandwidth, exponent)
    return np.asarray(np.where(np.asarray(num_ranks) > 1, time, 0.0))
