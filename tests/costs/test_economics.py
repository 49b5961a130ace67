"""Money, energy and failures."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.costs.economics import (
    checkpoint_time,
    cluster_mtbf,
    cost_per_step,
    daly_interval,
    goodput,
    kwh_per_step,
    per_1e9_samples,
    young_interval,
)


def test_cost_and_energy() -> None:
    """An hour of steps costs what an hour costs; 1 kW for an hour is 1 kWh."""
    assert cost_per_step(36.0, 0.1) * 36_000 == pytest.approx(36.0)
    assert kwh_per_step(1_000.0, 0.1) * 36_000 == pytest.approx(1.0)
    # 10^9 / 50,000 = 20,000 steps.
    assert per_1e9_samples(2.0, 50_000) == pytest.approx(40_000.0)
    assert cost_per_step([1.0, 2.0], 3600.0).tolist() == [1.0, 2.0]


def test_checkpoints_and_hosts_in_series() -> None:
    """Bytes over bandwidth; ten hosts fail ten times as often as one."""
    assert checkpoint_time(10e9, 5e9) == pytest.approx(2.0)
    assert cluster_mtbf(1_000.0, [1, 10]).tolist() == [1_000.0, 100.0]


def test_daly_is_young_for_short_checkpoints() -> None:
    """Both orders meet where a checkpoint is far shorter than the MTBF."""
    young, daly = young_interval(1e-6, 1.0), daly_interval(1e-6, 1.0)
    assert daly == pytest.approx(young, rel=1e-3)
    # sqrt(2 * 0.02 * 1) * (1 + 0.1 / 3 + 0.01 / 9) - 0.02, by hand.
    assert daly_interval(0.02, 1.0) == pytest.approx(0.1868888889)


@pytest.mark.parametrize("ratio", np.geomspace(1e-4, 20.0, 60))
def test_interval_is_nearly_the_best(ratio: float) -> None:
    """No interval has a goodput of more than 0.2 % above Daly's."""
    intervals = np.geomspace(1e-3, 10.0, 1000)
    best = goodput(intervals, ratio, 1.0).max()
    assert goodput(daly_interval(ratio, 1.0), ratio, 1.0) >= best * 0.998


def test_interval_where_checkpoints_take_longer_than_the_mtbf() -> None:
    """The interval is the MTBF, and hardly anything is ever done."""
    assert daly_interval([2.0, 10.0], 1.0).tolist() == [1.0, 1.0]
    # 1 / (e^11 - 1)
    assert goodput(1.0, 10.0, 1.0) == pytest.approx(1.670_198e-5)
    assert goodput(1.0, 1e6, 1.0) == 0.0


def test_goodput_at_its_limits() -> None:
    """Without failures all is good, and free checkpoints leave only restarts."""
    assert daly_interval(5.0, np.inf) == np.inf
    assert goodput(np.inf, 5.0, np.inf, 300.0) == 1.0
    assert daly_interval(0.0, 1.0) == 0.0
    assert goodput(0.0, 0.0, 1.0, 0.5) == pytest.approx(np.exp(-0.5))
    shares = goodput(daly_interval(0.01, [1.0, 10.0, 100.0]), 0.01, [1.0, 10.0, 100.0])
    assert (np.diff(shares) > 0).all()


def simulated_goodput(
    interval_s: float, checkpoint_s: float, mtbf_s: float, restart_s: float
) -> float:
    """Live through 10,000 segments of training with failures drawn at random."""
    random = np.random.default_rng(1)
    now, done, segments = 0.0, 0, 10_000
    while done < segments:
        failure = random.exponential(mtbf_s)
        needed = interval_s + checkpoint_s
        whole = min(int(failure // needed), segments - done)
        done += whole
        if done == segments:
            now += whole * needed
            break
        now += failure
        while (failure := random.exponential(mtbf_s)) < restart_s:
            now += failure
        now += restart_s
    return segments * interval_s / now


@pytest.mark.parametrize(
    ("checkpoint_s", "restart_s"), [(0.001, 0.0), (0.02, 0.05), (0.3, 0.5), (1.5, 0.1)]
)
def test_goodput_is_that_of_a_simulation(checkpoint_s: float, restart_s: float) -> None:
    """Random failures lose what the formula says, up to noise."""
    interval = float(daly_interval(checkpoint_s, 1.0))
    expected = goodput(interval, checkpoint_s, 1.0, restart_s)
    found = simulated_goodput(interval, checkpoint_s, 1.0, restart_s)
    assert found == pytest.approx(float(expected), rel=0.03)
