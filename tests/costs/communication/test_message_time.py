"""Times of messages: closed forms, invariants and measured curves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardplan.costs.communication.message_time import curve_time, p_norm_time

BYTES = st.floats(0, 1e15)
LATENCY = st.floats(0, 1)
BANDWIDTH = st.floats(1, 1e13)
EXPONENT = st.floats(0.3, 4)

# Medians of nccl-tests, half precision, 8 ranks of one NVSwitch host, 512 B to 512
# MiB in powers of two [us]: ai-dynamo/aiconfigurator at 095f58a51c4c, systems/data/
# {a100,h100}_sxm/comm/nccl/2.27.3/nccl_perf.parquet.
NCCL_US = {
    ("all_to_all", "a100"): "15.82 12.83 12.79 15.64 15.93 12.57 13.27 14.22 16.56 "
    "18.4 18.98 25.81 38.57 64.34 67.84 114.3 191.3 347.6 640.5 1197.9 2313.5",
    ("all_reduce", "a100"): "22.57 21.77 21.53 21.43 21.27 22.55 25.96 28.06 27.41 "
    "27.5 30.08 38.85 53.7 77.31 128.0 216.5 367.0 595.3 1169.1 2182.5 4225.9",
    ("all_to_all", "h100"): "7.87 9.53 7.55 8.56 7.7 7.21 8.93 10.05 9.86 13.04 "
    "14.96 15.91 18.83 26.34 41.29 72.48 125.66 217.81 404.17 764.22 1480.44",
    ("all_reduce", "h100"): "15.51 15.64 15.84 15.96 16.39 16.63 18.72 18.66 19.01 "
    "19.29 19.55 25.41 38.62 50.41 79.23 122.29 198.66 322.93 579.03 1090.14 2111.72",
    ("reduce_scatter", "h100"): "10.29 10.45 10.54 10.61 10.76 11.06 12.38 11.71 "
    "11.99 12.03 12.56 14.65 18.01 29.58 43.96 71.11 112.84 200.5 381.24 721.28 "
    "1400.39",
}
# Latency [s], bus bandwidth [bytes/s] and exponent fitted to each, rounded.
NCCL_FITS = {
    ("all_to_all", "a100"): (12.8e-6, 216e9, 0.6),
    ("all_reduce", "a100"): (21.6e-6, 232e9, 0.65),
    ("all_to_all", "h100"): (7.9e-6, 345e9, 0.6),
    ("all_reduce", "h100"): (15.4e-6, 514e9, 0.55),
    ("reduce_scatter", "h100"): (10.5e-6, 351e9, 0.7),
}


def measured(key):
    times = np.array([float(word) for word in NCCL_US[key].split()]) * 1e-6
    return 512.0 * 2 ** np.arange(len(times)), times


def test_p_norm_closed_forms():
    """Exponent 1 adds, 2 is Pythagoras, a large one takes the larger."""
    # 3 s of latency, 8 bytes at 2 bytes/s = 4 s: 3 + 4, sqrt(9 + 16), max(3, 4).
    times = p_norm_time(8.0, 3.0, 2.0, [1.0, 2.0, 500.0])
    np.testing.assert_allclose(times, [7.0, 5.0, 4.0], rtol=1e-9)
    assert p_norm_time(0.0, 0.0, 1.0, 0.6) == 0.0


@given(BYTES, LATENCY, BANDWIDTH, EXPONENT, st.floats(1, 100))
def test_p_norm_is_monotone(num_bytes, latency, bandwidth, exponent, factor):
    """More bytes, more latency or less bandwidth never take less time."""
    time = p_norm_time(num_bytes, latency, bandwidth, exponent)
    assert time >= max(latency, num_bytes / bandwidth) * (1 - 1e-9)
    slack = time * (1 - 1e-9)
    assert p_norm_time(num_bytes * factor, latency, bandwidth, exponent) >= slack
    assert p_norm_time(num_bytes, latency * factor, bandwidth, exponent) >= slack
    assert p_norm_time(num_bytes, latency, bandwidth / factor, exponent) >= slack


@pytest.mark.parametrize("key", list(NCCL_US))
def test_p_norm_follows_nccl(key):
    """Three numbers describe a measured curve to 7 % on average, 30 % at worst."""
    sizes, times = measured(key)
    latency, bandwidth, exponent = NCCL_FITS[key]
    # 7/8 of a rank's array cross its link, twice that for an all-reduce.
    crossing = (2.0 if key[0] == "all_reduce" else 1.0) * 7 / 8 * sizes
    model = p_norm_time(crossing, latency, bandwidth, exponent)
    error = np.abs(model / times - 1)
    # The worst points are steps between NCCL's protocols, such as 4 MiB on A100.
    assert error.mean() < 0.07
    assert error.max() < 0.30


@pytest.mark.parametrize("key", list(NCCL_US))
def test_a_curve_returns_its_points_and_extrapolates(key):
    """At measured sizes the measured times; outside, latency and bandwidth."""
    sizes, times = measured(key)
    np.testing.assert_allclose(curve_time(sizes, sizes, times), times, rtol=1e-12)
    assert curve_time(1.0, sizes, times) == pytest.approx(times[0])
    # Twice the last size adds what the last doubling added per byte, times two.
    twice = times[-1] + 2 * (times[-1] - times[-2])
    assert curve_time(2 * sizes[-1], sizes, times) == pytest.approx(twice)


def test_a_curve_is_straight_in_logarithms():
    """The geometric mean of two sizes takes the geometric mean of their times."""
    # sqrt(100 * 400) = 200 and sqrt(1 * 9) = 3.
    assert curve_time([200.0], [100.0, 400.0], [1.0, 9.0])[0] == pytest.approx(3.0)


def test_a_curve_that_ends_falling_still_grows():
    """Behind a noisy last point the curve goes on at that point's bandwidth."""
    # 100 bytes in 1 s at the end: 200 bytes take 1 + 100 * (1 / 100) = 2 s.
    assert curve_time(200.0, [50.0, 100.0], [1.5, 1.0]) == pytest.approx(2.0)
