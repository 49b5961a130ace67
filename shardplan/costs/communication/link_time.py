"""How long an operation takes on its fullest link: a measured curve, or a formula."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.communication.message_time import curve_time, p_norm_time

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats
    from shardplan.records.network import LinkCurve, LinkModel


def efficiency(link: LinkModel, num_ranks: float) -> float:
    """Return the share of the line rate that bytes reach beyond a latency.

    Parameters
    ----------
    num_ranks : float
        Ranks of a domain that take part.

    Notes
    -----
    Between measured numbers of ranks, linear in log2 of the ranks and the logarithm
    of the share; beyond them, that of the nearest.
    """
    if not link.curves:
        return link.bw_efficiency.value
    below, above, weight = _around(link.curves, num_ranks)
    shares = np.log([below.bw_efficiency, above.bw_efficiency])
    return float(np.exp(shares @ [1.0 - weight, weight]))


def first_time(link: LinkModel, num_ranks: float) -> float:
    """Return the time of an operation of next to no bytes, as it was measured [s]."""
    if not link.curves:
        return link.latency_s.value
    below, above, weight = _around(link.curves, num_ranks)
    times = np.log([below.time_s[0], above.time_s[0]])
    return float(np.exp(times @ [1.0 - weight, weight]))


def measured_ranks(link: LinkModel, default: int) -> int:
    """Return the most ranks that an operation was measured on."""
    return link.curves[-1].num_ranks if link.curves else default


def link_time(
    seconds: Floats, link: LinkModel, num_ranks: float, latency: float
) -> Floats:
    """Return the time of an operation from that of its bytes on the fullest link.

    Parameters
    ----------
    seconds : float array
        Bytes over the rate that `efficiency` gives [s].
    num_ranks : float
        Ranks that take part.
    latency : float
        Of next to no bytes on this cluster [s]; what it differs by from the
        measured one is added to a curve.

    Notes
    -----
    With curves: the measured time of as many bytes on a link of the measured rate;
    between measured numbers of ranks interpolated as in `efficiency`. Otherwise
    ``(alpha^p + x^p)^(1/p)``. Never less than `seconds`.
    """
    if not link.curves:
        return p_norm_time(seconds, latency, 1.0, link.exponent.value)
    below, above, weight = _around(link.curves, num_ranks)
    first, second = np.log(_time(below, seconds)), np.log(_time(above, seconds))
    time = np.exp((1.0 - weight) * first + weight * second)
    more = latency - first_time(link, num_ranks)
    return np.asarray(np.maximum(time + more, seconds))


def _time(curve: LinkCurve, seconds: Floats) -> Floats:
    """Look up the time of bytes that take some seconds without a latency."""
    rate = curve.bw_efficiency * curve.line_bw
    return curve_time(np.asarray(seconds) * rate, curve.sent_bytes, curve.time_s)


def _around(
    curves: tuple[LinkCurve, ...], num_ranks: float
) -> tuple[LinkCurve, LinkCurve, float]:
    """Return the curves of the next fewer and more ranks, and the latter's weight."""
    known = np.log2([float(curve.num_ranks) for curve in curves])
    wanted = float(np.clip(np.log2(max(num_ranks, 1.0)), known[0], known[-1]))
    index = min(int(np.searchsorted(known, wanted, "right")), len(curves) - 1)
    before = max(index - 1, 0)
    span = known[index] - known[before]
    weight = (wanted - known[before]) / span if span > 0 else 0.0
    return curves[before], curves[index], float(weight)
