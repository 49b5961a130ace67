"""Money, energy and failures: what steps cost, and which share of the time trains.

No price and no failure rate is known here: all of them are arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shardplan.records.arrays import Floats

S_PER_HOUR = 3600.0
J_PER_KWH = 3.6e6
SAMPLES_PER_UNIT = 1e9
"""Samples that costs and energy are given per."""


def cost_per_step(cost_per_hour: ArrayLike, step_s: ArrayLike) -> Floats:
    """Return what a step costs [currency].

    Parameters
    ----------
    cost_per_hour : float array
        Of the whole cluster [currency/h].
    step_s : float array
        [s].
    """
    return _floats(cost_per_hour) * _floats(step_s) / S_PER_HOUR


def kwh_per_step(watts: ArrayLike, step_s: ArrayLike) -> Floats:
    """Return the energy of a step [kWh].

    Parameters
    ----------
    watts : float array
        Mean power of the whole cluster while it trains [W].
    step_s : float array
        [s].
    """
    return _floats(watts) * _floats(step_s) / J_PER_KWH


def per_1e9_samples(per_step: ArrayLike, batch_size: ArrayLike) -> Floats:
    """Return something of a step for 10^9 samples [unit of `per_step`].

    Parameters
    ----------
    per_step : float array
        Cost or energy of a step.
    batch_size : float array
        Samples of a step, over all ranks.
    """
    return _floats(per_step) * SAMPLES_PER_UNIT / _floats(batch_size)


def cluster_mtbf(host_mtbf_s: ArrayLike, num_hosts: ArrayLike) -> Floats:
    """Return the mean time between failures of a cluster that needs every host [s].

    Parameters
    ----------
    host_mtbf_s : float array
        Mean time between failures of one host [s].
    num_hosts : float array
        Hosts in series: the job stops when any of them fails.

    Notes
    -----
    ``M = M_host / N``: rates of independent exponential failures add up.

    References
    ----------
    Barlow, Proschan 1975, Statistical theory of reliability and life testing.
    """
    return _floats(host_mtbf_s) / _floats(num_hosts)


def checkpoint_time(num_bytes: ArrayLike, storage_bw: ArrayLike) -> Floats:
    """Return the time that training stands still for a checkpoint [s].

    Parameters
    ----------
    num_bytes : float array
        Rows and optimizer states, each once [bytes].
    storage_bw : float array
        To storage, of the whole cluster [bytes/s].

    Notes
    -----
    A blocking checkpoint; with one that is written beside training, give the
    bandwidth at which training is held up.
    """
    return _floats(num_bytes) / _floats(storage_bw)


def young_interval(checkpoint_s: ArrayLike, mtbf_s: ArrayLike) -> Floats:
    """Return the first-order optimal time of training between checkpoints [s].

    Parameters
    ----------
    checkpoint_s : float array
        Time d of a checkpoint [s].
    mtbf_s : float array
        Mean time M between failures of the cluster [s].

    Notes
    -----
    ``sqrt(2 d M)``, for d far below M.

    References
    ----------
    Young 1974, A first order approximation to the optimum checkpoint interval,
    CACM 17(9).
    """
    return np.sqrt(2.0 * _floats(checkpoint_s) * _floats(mtbf_s))


def daly_interval(checkpoint_s: ArrayLike, mtbf_s: ArrayLike) -> Floats:
    """Return the optimal time of training between checkpoints [s].

    Parameters
    ----------
    checkpoint_s : float array
        Time d of a checkpoint [s].
    mtbf_s : float array
        Mean time M between failures of the cluster [s].

    Notes
    -----
    With ``x = sqrt(d / (2 M))``: ``sqrt(2 d M) (1 + x / 3 + x^2 / 9) - d`` for
    ``d < 2 M``, else ``M``. It is 0 for d = 0 and infinite for infinite M. The
    goodput at this interval is at most 0.2 % below the best one for any d.

    References
    ----------
    Daly 2006, A higher order estimate of the optimum checkpoint interval for restart
    dumps, Future Generation Computer Systems 22(3).
    """
    checkpoint, mtbf = _floats(checkpoint_s), _floats(mtbf_s)
    ratio = np.minimum(checkpoint / (2.0 * mtbf), 1.0)
    root = np.sqrt(ratio)
    series = 1.0 + root / 3.0 + ratio / 9.0
    interval = young_interval(checkpoint, mtbf) * series - checkpoint
    return np.asarray(np.where(ratio < 1.0, interval, mtbf))


def goodput(
    interval_s: ArrayLike,
    checkpoint_s: ArrayLike,
    mtbf_s: ArrayLike,
    restart_s: ArrayLike = 0.0,
) -> Floats:
    """Return the share of the time that trains, and is not lost again [-].

    Parameters
    ----------
    interval_s : float array
        Training t between checkpoints [s].
    checkpoint_s : float array
        Time d of a checkpoint [s].
    mtbf_s : float array
        Mean time M between failures of the cluster [s].
    restart_s : float array
        From a failure to training again from the last checkpoint, R [s].

    Notes
    -----
    ``t / (M exp(R / M) (exp((t + d) / M) - 1))``: training t over the mean time until
    t and a checkpoint are done without a failure in between, each failure costing what
    was done since the last checkpoint and a restart, in which another may come.
    Exact for exponential times between failures. 1 for infinite M, and
    ``exp(-R / M)`` where checkpoints take no time and are always taken.

    References
    ----------
    Daly 2006, A higher order estimate of the optimum checkpoint interval for restart
    dumps, Future Generation Computer Systems 22(3).
    """
    parts = (interval_s, checkpoint_s, mtbf_s, restart_s)
    interval, checkpoint, mtbf, restart = np.broadcast_arrays(*map(_floats, parts))
    length = interval + checkpoint
    kept = np.ones_like(length)  # of what is done without a failure
    np.divide(interval, length, out=kept, where=(length > 0) & np.isfinite(length))
    expected = np.zeros_like(length)  # failures
    np.divide(length, mtbf, out=expected, where=np.isfinite(mtbf))
    # x / (e^x - 1), which is 1 at 0, written so that nothing overflows.
    survives = np.ones_like(length)
    product = expected * np.exp(-expected)
    np.divide(product, -np.expm1(-expected), out=survives, where=expected > 0)
    return np.asarray(kept * survives * np.exp(-restart / mtbf))


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)
