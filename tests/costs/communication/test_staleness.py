"""Step times with bounded staleness and parameter servers."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.costs.communication.staleness import (
    asynchronous_step_time,
    bounded_staleness_step_time,
    parameter_server_worker_time,
    synchronous_step_time,
)


def test_equal_workers_without_noise() -> None:
    """Nobody waits: all three are the workers' time."""
    workers = np.full(8, 2.0)
    assert synchronous_step_time(workers) == 2.0
    assert bounded_staleness_step_time(workers, 0.0, 3) == 2.0
    assert asynchronous_step_time(workers) == 2.0


def test_noise_averages_out_with_staleness() -> None:
    """The wait shrinks with the root of the steps that workers may be apart."""
    workers = np.full(64, 1.0)
    waits = [bounded_staleness_step_time(workers, 0.1, s) - 1.0 for s in (0, 3)]
    assert waits[0] == pytest.approx(0.1 * np.sqrt(2 * np.log(64)))
    assert waits[1] == pytest.approx(waits[0] / 2)


def test_a_persistent_straggler_holds_up_all_but_asynchronous() -> None:
    """Staleness does not help against a worker that is always slow."""
    workers = np.array([1.0] * 7 + [4.0])
    assert bounded_staleness_step_time(workers, 0.0, 100) == 4.0
    assert asynchronous_step_time(workers) == pytest.approx(8 / 7.25)


def test_sampled_maximum() -> None:
    """The synchronous form is near the mean maximum of sampled normal times."""
    rng = np.random.default_rng(0)
    sampled = rng.normal(1.0, 0.1, size=(4000, 128)).max(axis=1).mean()
    assert synchronous_step_time(np.ones(128), 0.1) == pytest.approx(sampled, rel=0.05)


def test_servers_or_workers_bound_the_exchange() -> None:
    """8 workers of 1 GB at 1 GB/s: with 8 servers 1 s, with 2 servers 4 s."""
    common = {"worker_bw": 1e9, "server_bw": 1e9}
    compute, sent = np.full(8, 0.5), np.full(8, 1e9)
    many = parameter_server_worker_time(compute, sent, num_servers=8, **common)
    few = parameter_server_worker_time(compute, sent, num_servers=2, **common)
    np.testing.assert_allclose(many, 1.5)
    np.testing.assert_allclose(few, 4.5)
    hidden = parameter_server_worker_time(
        compute, sent, num_servers=2, overlaps=True, **common
    )
    np.testing.assert_allclose(hidden, 4.0)


def test_memory_of_servers_bounds_the_exchange() -> None:
    """An exchange of 0.2 s takes as long as the servers' memory: 0, 0.1 or 0.7 s."""
    for memory_s, step in ((None, 0.2), (0.1, 0.2), (0.7, 0.7)):
        options = {} if memory_s is None else {"server_memory_s": memory_s}
        time = parameter_server_worker_time(
            [0.0], [1.0], worker_bw=5.0, server_bw=5.0, num_servers=1, **options
        )
        np.testing.assert_allclose(time, [step])
