"""Step times of workers that do not all wait for each other, and of their servers.

Closed forms for studies: how an earlier parameter-server system compares with
synchronous training, and what bounded staleness can and cannot hide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shardplan.records.arrays import Floats


def synchronous_step_time(worker_s: ArrayLike, noise_s: float = 0.0) -> float:
    """Return the mean step of workers that all wait for the slowest [s].

    Parameters
    ----------
    worker_s : float array (N,)
        Mean time of each worker [s].
    noise_s : float
        Standard deviation of a worker's time from step to step [s].

    Notes
    -----
    ``max(max_i mean_i, mean + sigma sqrt(2 ln N))``: the expected maximum of N
    normal times, and never less than the slowest worker's mean.

    References
    ----------
    Dean, Barroso 2013, The tail at scale, CACM 56(2).
    """
    return bounded_staleness_step_time(worker_s, noise_s, staleness=0)


def bounded_staleness_step_time(
    worker_s: ArrayLike, noise_s: float, staleness: int
) -> float:
    """Return the mean step where a worker may be `staleness` steps ahead [s].

    Parameters
    ----------
    worker_s : float array (N,)
        Mean time of each worker [s].
    noise_s : float
        Standard deviation of a worker's time from step to step [s].
    staleness : int
        Steps s that the fastest worker may be ahead of the slowest; 0 is
        synchronous.

    Notes
    -----
    ``max(max_i mean_i, mean + sigma sqrt(2 ln N / (s + 1)))``: over s + 1 steps
    independent noise averages out; a worker that is always slow holds up all.

    References
    ----------
    Ho et al. 2013, More effective distributed ML via a stale synchronous parallel
    parameter server, NIPS 26.
    """
    times = np.asarray(worker_s, dtype=float)
    spread = np.sqrt(2.0 * np.log(len(times)) / (staleness + 1.0))
    return float(max(times.max(), times.mean() + noise_s * spread))


def asynchronous_step_time(worker_s: ArrayLike) -> float:
    """Return the time per N worker steps where nobody waits [s].

    Parameters
    ----------
    worker_s : float array (N,)
        Mean time of each worker [s].

    Notes
    -----
    Workers do ``sum_i 1 / t_i`` steps per second, so N of them take the harmonic
    mean. Gradients are late by N - 1 steps on average.

    References
    ----------
    Recht et al. 2011, Hogwild!, arXiv:1106.5730.
    """
    times = np.asarray(worker_s, dtype=float)
    return float(len(times) / (1.0 / times).sum())


def parameter_server_worker_time(
    compute_s: ArrayLike,
    exchanged_bytes: ArrayLike,
    *,
    worker_bw: float,
    server_bw: float,
    num_servers: int,
    server_memory_s: float = 0.0,
    overlaps: bool = False,
) -> Floats:
    """Return the time of each worker's step with parameters on servers [s].

    Parameters
    ----------
    compute_s : float array (N,)
        Computation of a step [s].
    exchanged_bytes : float array (N,)
        Rows and weights pulled, and as many gradients pushed; one direction of the
        busier kind [bytes].
    worker_bw, server_bw : float
        NIC of a worker and of a server, one direction [bytes/s].
    num_servers : int
        Servers that the parameters are spread over evenly.
    server_memory_s : float
        What lookups and updates of all workers take in the servers' memory [s].
    overlaps : bool
        Whether the next batch is pulled while this one is computed.

    Returns
    -------
    float array (N,)
        [s].

    Notes
    -----
    The exchange takes ``max(bytes_i / worker_bw, sum_j bytes_j / (S server_bw))``:
    its own NIC, or the servers that all workers share, or their memory. It adds to
    the computation, or hides it.

    References
    ----------
    Li et al. 2014, Scaling distributed machine learning with the parameter server,
    OSDI.
    """
    compute = np.asarray(compute_s, dtype=float)
    sent = np.asarray(exchanged_bytes, dtype=float)
    servers = max(sent.sum() / (num_servers * server_bw), server_memory_s)
    exchange = np.maximum(sent / worker_bw, servers)
    return np.asarray(np.maximum(compute, exchange) if overlaps else compute + exchange)
