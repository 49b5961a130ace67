"""The dense part: hand-counted layers, GEMM closed forms and measured GEMMs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardplan.costs.layers.times import (
    DenseDevice,
    dense_backward_time,
    dense_forward_time,
    gemm_time,
)
from shardplan.errors import InputError
from shardplan.records.host_group import HostGroup
from shardplan.records.tables import DType
from shardplan.records.workload import DenseModel

# bf16 y = x(m, k) W(k, n), m = 512 ... 8192 per (n, k) [us]: ai-dynamo/aiconfigurator
# at 095f58a51c4c, systems/data/{a100_sxm,h100_sxm}/gemm/**/gemm_perf.parquet.
GEMM_M = (512, 1024, 2048, 4096, 8192)
GEMM_US = {
    "a100": {
        (128, 256): (4.51, 5.19, 5.5, 6.35, 9.93),
        (256, 512): (6.18, 6.42, 7.82, 12.25, 18.23),
        (512, 512): (6.49, 7.75, 12.19, 18.26, 34.99),
        (512, 1024): (8.64, 10.99, 17.92, 30.34, 60.25),
        (1024, 512): (7.78, 12.25, 18.19, 34.95, 52.12),
        (1024, 1024): (11.03, 17.92, 30.21, 60.14, 90.01),
        (1024, 3584): (27.44, 48.4, 80.83, 180.94, 270.17),
        (3584, 1024): (30.55, 59.46, 88.44, 130.59, 238.87),
        (512, 3584): (19.39, 27.24, 48.33, 82.47, 180.46),
        (3584, 512): (18.06, 35.09, 51.95, 74.24, 138.24),
        (4096, 4096): (90.56, 204.49, 307.03, 514.08, 1035.54),
        (2048, 2048): (30.21, 54.85, 108.48, 165.17, 270.37),
        (8192, 8192): (316.89, 532.24, 1008.4, 2115.89, 4188.5),
    },
    "h100": {
        (128, 256): (3.07, 3.16, 3.34, 3.5, 4.02),
        (256, 512): (3.57, 4.51, 4.4, 5.08, 8.38),
        (512, 512): (3.88, 4.01, 4.77, 6.74, 10.3),
        (512, 1024): (4.69, 4.92, 6.64, 11.12, 16.06),
        (1024, 512): (3.95, 4.68, 6.2, 12.09, 16.57),
        (1024, 1024): (4.79, 6.14, 9.12, 14.7, 26.7),
        (1024, 3584): (10.44, 13.99, 21.67, 39.74, 78.66),
        (3584, 1024): (8.62, 15.11, 26.41, 49.06, 86.37),
        (512, 3584): (9.3, 10.54, 15.53, 26.42, 46.83),
        (3584, 512): (5.88, 8.36, 16.27, 31.04, 54.4),
        (4096, 4096): (24.6, 53.79, 90.73, 179.04, 353.55),
        (2048, 2048): (11.1, 13.95, 29.01, 46.12, 92.3),
        (8192, 8192): (88.68, 172.07, 347.81, 737.9, 1593.57),
    },
}
# Data sheets (bf16 FLOP/s, SMs, bytes/s); fitted: efficiency and launch [s].
GEMM_DEVICES = {
    "a100": (312e12, 108, 2.039e12, 0.72, 2.5e-6),
    "h100": (989.4e12, 132, 3.35e12, 0.76, 2.0e-6),
}


def gemm(m, n, k, **changes):
    """A device of 10 multiprocessors, 1 GFLOP/s and 1 GB/s, all fully used."""
    device = {
        "element_bytes": 2.0,
        "peak_flops": 1e9,
        "efficiency": 1.0,
        "tile": 128,
        "num_sms": 10,
        "memory_bw": 1e9,
        "memory_efficiency": 1.0,
        "launch_s": 0.0,
    }
    return gemm_time(m, n, k, **{**device, **changes})


def test_gemm_waves():
    """Twelve tiles on ten multiprocessors take two waves."""
    # 12 tiles of 128 x 128 with k = 64 (too short to cut): fill 12 / 20.
    one_wave = 2 * 10 * 128 * 128 * 64 / 1e9
    assert gemm(1280, 128, 64, memory_bw=1e12) == pytest.approx(one_wave)
    assert gemm(1536, 128, 64, memory_bw=1e12) == pytest.approx(2 * one_wave)
    # Without multiprocessors to fill, time follows the work: 1.2 waves.
    on_cpu = gemm(1536, 128, 64, memory_bw=1e12, num_sms=0)
    assert on_cpu == pytest.approx(1.2 * one_wave)


def test_gemm_tiles_are_whole():
    """A row or a column more than ten tiles is a tile more, and a second wave."""
    tiles = gemm(1280, 128, 64, memory_bw=1e12)
    for m, n in ((1281, 128), (128, 1281)):
        work = m * n / (1280 * 128)
        assert gemm(m, n, 64, memory_bw=1e12) == pytest.approx(work * tiles * 20 / 11)


def test_gemm_of_few_tiles_cuts_k():
    """One tile with a long k uses eight of ten multiprocessors, not one."""
    # k = 1280: cut in 8 parts of 160 >= 128; 8 tiles of 10 slots at fill 0.8.
    work = 2 * 128 * 128 * 1280 / 1e9
    assert gemm(128, 128, 1280, memory_bw=1e12) == pytest.approx(work / 0.8)


def test_gemm_bound_by_memory():
    """A thin product moves its factors and its result."""
    # 2 bytes of 1000 * 8 + 8 * 4 + 1000 * 4 elements at 1 MB/s * 0.5, plus launch.
    time = gemm(1000, 4, 8, memory_bw=1e6, memory_efficiency=0.5, launch_s=1.0)
    assert time == pytest.approx(2 * (8000 + 32 + 4000) / 0.5e6 + 1.0)


@given(st.integers(1, 10**5), st.integers(1, 10**4), st.integers(1, 10**5))
def test_gemm_bounds(m, n, k):
    """Never faster than the peak, and slower on slower devices."""
    time = gemm(m, n, k)
    assert time >= 2.0 * m * n * k / 1e9 * (1 - 1e-12)
    assert gemm(m, n, k, peak_flops=5e8) >= time
    assert gemm(m, n, k, memory_bw=5e8) >= time
    assert gemm(m, n, k, launch_s=1e-3) == pytest.approx(time + 1e-3)


@pytest.mark.parametrize("name", list(GEMM_US))
def test_measured_gemms(name):
    """DLRM-sized GEMMs: 12 % median error, 36 % at worst, hardly any bias."""
    peak, num_sms, bandwidth, efficiency, launch = GEMM_DEVICES[name]
    n, k = np.array(list(GEMM_US[name])).T[:, :, None]
    times = np.array(list(GEMM_US[name].values())) * 1e-6
    model = gemm_time(
        np.array(GEMM_M),
        n,
        k,
        element_bytes=2.0,
        peak_flops=peak,
        efficiency=efficiency,
        tile=128,
        num_sms=num_sms,
        memory_bw=bandwidth,
        memory_efficiency=0.88,
        launch_s=launch,
    )
    error = model / times - 1
    assert np.median(np.abs(error)) < 0.12
    assert np.abs(error).max() < 0.36
    assert abs(np.median(error)) < 0.08


def test_forward_and_backward_time_by_hand(cost_model):
    """One layer: forward one product, backward one for the weights only."""
    dense = DenseModel(num_dense=128, bottom_mlp=(128,), interaction="none")
    device = DenseDevice(peak_flops=1e12, memory_bw=1e15, num_sms=4)
    forward = dense_forward_time(dense, 0, 0, 512, device, cost_model.dense)
    # 4 tiles fill 4 multiprocessors: 2 * 512 * 128 * 128 / 5e11 + 1 us.
    assert forward.bottom == pytest.approx(2 * 512 * 128 * 128 / 5e11 + 1e-6)
    assert forward.interaction == forward.top == 0.0
    backward = dense_backward_time(dense, 0, 0, 512, device, cost_model.dense)
    # 1 tile with k = 512 cut in 4 parts fills them as well: the same time.
    np.testing.assert_allclose(backward.bottom, forward.bottom)


@pytest.mark.parametrize("interaction", ["dot", "cat", "dcn_v2", "avg_pool", "none"])
def test_times_grow_with_the_batch(cost_model, interaction):
    """Larger batches take longer, and backward longer than forward."""
    cross = {"dcn_num_layers": 2, "dcn_low_rank_dim": 64}
    dense = DenseModel(
        num_dense=13,
        bottom_mlp=(512, 64),
        top_mlp=(512, 1),
        interaction=interaction,
        **(cross if interaction == "dcn_v2" else {}),
    )
    device = DenseDevice(peak_flops=1e14, memory_bw=2e12, num_sms=100)
    batches = np.array([1, 1000, 10_000, 100_000])
    case = (dense, 26 * 64, 26, batches, device, cost_model.dense)
    forward, backward = dense_forward_time(*case), dense_backward_time(*case)
    for part in (*forward, *backward):
        assert part.shape == batches.shape
        assert (np.diff(part) >= 0).all()
    assert (sum(backward) > sum(forward)).all()


def test_device_rates(group):
    """A device computes in the layers' type, or in the next type it has."""
    gpu = HostGroup.model_validate(group())
    assert DenseDevice.of(gpu, DType.BF16) == DenseDevice(1e14, 2e12, 100)
    assert DenseDevice.of(gpu, DType.FP32).peak_flops == 1e13
    assert DenseDevice.of(gpu, DType.FP8).peak_flops == 1e14
    cpu = {"name": "cpu", "kind": "cpu", "peak_flops": {"fp32": 1e12}}
    host = HostGroup.model_validate(group(device=cpu, scale_up={"kind": "none"}))
    # Four ranks share 400 GB/s of host memory.
    assert DenseDevice.of(host, DType.BF16) == DenseDevice(1e12, 1e11, 0)


def test_unknown_rates_are_an_error(group):
    """Without any arithmetic rate the dense part cannot be timed."""
    device = {"name": "gpu", "hbm_bytes": 10**9, "hbm_bw": 1e9}
    host = HostGroup.model_validate(group(device=device))
    with pytest.raises(InputError, match=r"peak_flops\.bf16"):
        DenseDevice.of(host, DType.BF16)
