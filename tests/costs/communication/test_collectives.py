"""Collectives: closed forms on tiny clusters, invariants and measured curves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardplan.costs.communication.collectives import (
    cross_group_all_to_all_s_per_byte,
    reduce_scatter_s_per_byte,
    uniform_all_to_all_s_per_byte,
)
from shardplan.costs.communication.message_time import curve_time, p_norm_time
from shardplan.costs.scopes import SCOPES, Scope
from tests.costs.communication.link_oracle import LinkCapacities

BYTES = st.floats(0, 1e15)
LATENCY = st.floats(0, 1)
BANDWIDTH = st.floats(1, 1e13)
EXPONENT = st.floats(0.3, 4)
SHAPES = [
    "switch",
    "one_host",
    "mesh",
    "pairs",
    "pcie",
    "wide",
    "leafs",
    "uneven_leafs",
    "cpu",
    "mixed",
]

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


def test_uniform_all_to_all_closed_forms(shapes, cost_model):
    """Seconds per byte sent, by hand, for each way to join ranks."""

    def cost(name):
        return uniform_all_to_all_s_per_byte(shapes[name], cost_model)

    # Four of eight ranks are on the other host; a rank's NIC gives 10 GB/s * 0.5.
    nic = 0.5 / (1e10 * 0.5)
    np.testing.assert_allclose(cost("switch"), nic)
    np.testing.assert_allclose(cost("mesh"), nic)
    # One host: 3 of 4 parts leave over 100 GB/s * 0.8.
    np.testing.assert_allclose(cost("one_host"), 0.75 / 0.8e11)
    # Two of eight ranks in the host's other pair: half of 20 GB/s * 0.8.
    np.testing.assert_allclose(cost("pairs"), max(nic, 0.25 / 0.8e10))
    np.testing.assert_allclose(cost("pcie"), max(nic, 0.375 / 0.8e10))
    # 20 ranks, domains of 8, 8 and 4: 16 are outside of the last, 0.8 of the bytes.
    np.testing.assert_allclose(cost("wide"), 0.8 / (1e10 * 0.5))
    # 16 ranks, 8 per leaf: half the bytes cross, at a quarter of the NICs.
    np.testing.assert_allclose(cost("leafs"), 0.5 * 4 / (1e10 * 0.5))
    # 400 GB/s of host memory for four ranks, three of them peers.
    np.testing.assert_allclose(cost("cpu"), max(nic, 0.375 / (1e11 * 0.8)))
    # 16 ranks, 12 on other hosts; the old host's NICs have 1 GB/s each.
    np.testing.assert_allclose(cost("mixed"), [0.75 / 0.5e10, 0.75 / 0.5e9])


@pytest.mark.parametrize("name", SHAPES)
def test_even_bytes_give_the_uniform_cost(shapes, cost_model, name):
    """Summing every pair's bytes per link gives the class formula's worst rank."""
    cluster = shapes[name]
    ranks = cluster.world_size
    even = np.full((ranks, ranks), 1.0 / ranks)
    by_link = LinkCapacities.of(cluster, cost_model).all_to_all_v_bottleneck(even)
    by_class = uniform_all_to_all_s_per_byte(cluster, cost_model).max()
    assert by_link == pytest.approx(by_class)


def test_reduce_scatter_closed_forms(shapes, cost_model):
    """Seconds per byte of the whole array, by hand."""

    def cost(name, scope):
        return reduce_scatter_s_per_byte(shapes[name], cost_model, scope)

    # In a host of 4: 3/4 over 100 GB/s * 0.9. Between 2 hosts: 1/8 over 6 GB/s.
    inside, across = 0.75 / 0.9e11, 0.125 / 0.6e10
    np.testing.assert_allclose(cost("switch", Scope.HOST), inside)
    np.testing.assert_allclose(cost("switch", Scope.DOMAIN), inside)
    np.testing.assert_allclose(cost("switch", Scope.ALL), across)
    np.testing.assert_allclose(cost("one_host", Scope.ALL), inside)
    # Pairs of NVLink: 1/2 in the pair, but PCIe (10 GB/s each) in the host.
    np.testing.assert_allclose(cost("pairs", Scope.DOMAIN), 0.5 / 0.9e11)
    np.testing.assert_allclose(cost("pairs", Scope.HOST), 0.75 / 0.9e10)
    np.testing.assert_allclose(cost("pcie", Scope.HOST), 0.75 / 0.9e10)
    np.testing.assert_allclose(cost("pcie", Scope.DOMAIN), 0.0)
    np.testing.assert_allclose(cost("cpu", Scope.HOST), 0.75 / 0.9e11)
    # A domain of two hosts: 7/8 inside it; 20 ranks: 1/8 - 1/20 across.
    np.testing.assert_allclose(cost("wide", Scope.DOMAIN), 0.875 / 0.9e11)
    np.testing.assert_allclose(cost("wide", Scope.HOST), inside)
    np.testing.assert_allclose(cost("wide", Scope.ALL), (1 / 8 - 1 / 20) / 0.6e10)
    # Four hosts, two per leaf: 3/16 across; one host's flow leaves a leaf whose
    # uplink has 2 hosts / 4 = half of that.
    np.testing.assert_allclose(cost("leafs", Scope.ALL), 2 * 3 / 16 / 0.6e10)
    # All classes wait for the old NICs; inside a host they do not.
    np.testing.assert_allclose(cost("mixed", Scope.ALL), 3 / 16 / 0.6e9)
    np.testing.assert_allclose(cost("mixed", Scope.HOST), [inside, inside])


def test_cross_group_closed_forms(shapes, cost_model):
    """After a reduce-scatter in a group of g, 1/g of the array is sent on."""

    def cost(name, scope):
        return cross_group_all_to_all_s_per_byte(shapes[name], cost_model, scope)

    # A quarter of the array, half of it to the other host at 5 GB/s.
    np.testing.assert_allclose(cost("switch", Scope.HOST), 0.25 * 0.5 / 0.5e10)
    np.testing.assert_allclose(cost("one_host", Scope.HOST), 0.0)
    np.testing.assert_allclose(cost("one_host", Scope.ALL), 0.0)
    # From a pair: half the array, 2/8 over PCIe (8 GB/s), 4/8 over NICs (5 GB/s).
    np.testing.assert_allclose(cost("pairs", Scope.DOMAIN), 0.5 * 0.5 / 0.5e10)
    # From a host without a partner to 16 of 20 ranks by NIC; from a domain to 12.
    np.testing.assert_allclose(cost("wide", Scope.HOST), 0.25 * (16 / 20) / 0.5e10)
    np.testing.assert_allclose(cost("wide", Scope.DOMAIN), 0.125 * (12 / 20) / 0.5e10)


def test_cross_group_in_one_wide_domain_uses_scale_up(make_cluster, cost_model):
    """Hosts that share a domain exchange over it, not over NICs."""
    wide = {"kind": "switch", "domain_size": 8, "bw": 1e11}
    cluster = make_cluster(scale_up=wide, scale_out={})
    # A quarter of the array, 4 of 8 ranks outside of the host, 80 GB/s.
    cost = cross_group_all_to_all_s_per_byte(cluster, cost_model, Scope.HOST)
    np.testing.assert_allclose(cost, 0.25 * 0.5 / 0.8e11)


def test_table_wise_equals_row_wise_at_one_rank(make_cluster, cost_model):
    """With one rank nothing crosses any link."""
    cluster = make_cluster(num_hosts=1, local_world_size=1, scale_up={"kind": "none"})
    assert uniform_all_to_all_s_per_byte(cluster, cost_model) == 0.0
    for scope in SCOPES:
        assert reduce_scatter_s_per_byte(cluster, cost_model, scope) == 0.0
        assert cross_group_all_to_all_s_per_byte(cluster, cost_model, scope) == 0.0
