"""Dense parts of shipped workloads: parameters and FLOPs, published or counted."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import special

from shardplan.costs.layers.device import DenseDevice
from shardplan.costs.layers.shapes import Kernel, dense_parameters, kernels_of
from shardplan.costs.layers.stragglers import length_deviation_time, slowest_of
from shardplan.costs.layers.timer import LayerTimer
from shardplan.costs.usage import TableUsage
from shardplan.io.catalog import load_cost_model, load_topology, load_workload
from shardplan.records.tables import DType
from shardplan.records.torchrec_cost_model import measured
from shardplan.records.workload import DenseModel


def mlp(*widths: int) -> tuple[int, int]:
    """Parameters with biases, and FLOPs of a row, of layers between widths."""
    weights = sum(a * b for a, b in pairwise(widths))
    return weights + sum(widths[1:]), 2 * weights


def kernels(name: str, **lengths: float) -> tuple[Kernel, ...]:
    """Layers of a shipped workload, with other lengths if given."""
    workload = load_workload(name)
    dense: Any = workload.dense
    if lengths:
        sequences = tuple(axis.replace(**lengths) for axis in dense.sequences)
        dense = dense.replace(sequences=sequences)
    return kernels_of(dense, *TableUsage.of(workload, 8).sample_shape)


def product_flops(name: str) -> float:
    """Forward FLOPs of products and attention of a sample."""
    return sum(k.flops for k in kernels(name) if k.n or k.pairs)


def wukong() -> tuple[int, int]:
    """Vectors of 128: 27 of them, then 32; 16 + 16 come out, of 24 compressed ones."""
    layers = []
    for vectors, residual in ((27, 27 * 32), (32, 0)):
        weights = vectors * 16 + vectors * 24 + residual
        machine = vectors * 24
        hidden = mlp(machine, 512, 2048)
        parameters = weights + 2 * machine + hidden[0] + 2 * 128
        layers.append((parameters, 2 * 128 * weights + 2 * 128 * machine + hidden[1]))
    ends = [mlp(13, 512, 256, 128), mlp(4096, 512, 64, 1)]
    parameters, flops = zip(*layers, *ends, strict=True)
    return sum(parameters), sum(flops)


def mmoe() -> tuple[int, int]:
    """Three experts; two gates, mixtures and towers."""
    expert, gate = mlp(256, 512, 256, 128), mlp(256, 3)
    tower, mixture = mlp(128, 256, 128, 64, 1), 2 * 3 * 128
    return (
        3 * expert[0] + 2 * (gate[0] + tower[0]),
        3 * expert[1] + 2 * (gate[1] + mixture + tower[1]),
    )


def din() -> tuple[int, int]:
    """A tower, a unit for each of 100 clicks, and the end."""
    tower, unit, end = mlp(256, 512, 256, 128), mlp(192, 256, 64, 1), mlp(176, 64, 1)
    return tower[0] + unit[0] + end[0], tower[1] + 100 * unit[1] + end[1]


def sasrec() -> tuple[int, int]:
    """Four blocks of width 256 over 200 tokens, of which each sees those before it."""
    qkv, square, norm = mlp(256, 768), mlp(256, 256), 2 * 256
    seen = 200 * 201 // 2
    block = qkv[0] + 3 * square[0] + 2 * norm
    flops = 200 * (qkv[1] + 3 * square[1]) + seen * 2 * 2 * 256
    return 4 * block + 200 * 256 + norm, 4 * flops


def hstu_large() -> tuple[int, int]:
    """Sixteen layers of width 256 over 200 tokens."""
    seen = 200 * 201 // 2
    block = 256 * 1024 + mlp(256, 256)[0]
    flops = 200 * 2 * (256 * 1024 + 256 * 256) + seen * 2 * 2 * 256
    return 16 * block + 200 * 256, 16 * flops


def dlrm() -> tuple[int, int]:
    """MLPerf's DLRM: 27 vectors of 128 make 351 pairs."""
    bottom, top = mlp(13, 512, 256, 128), mlp(128 + 351, 1024, 1024, 512, 256, 1)
    return bottom[0] + top[0], bottom[1] + top[1] + 2 * 27 * 27 * 128


def dcnv2() -> tuple[int, int]:
    """MLPerf's DLRM-DCNv2: three cross layers of rank 512 over 27 * 128 elements."""
    bottom, top = mlp(13, 512, 256, 128), mlp(3456, 1024, 1024, 512, 256, 1)
    cross = 2 * 3456 * 512
    return bottom[0] + top[0] + 3 * (cross + 3456), bottom[1] + top[1] + 6 * cross


COUNTED = {
    "wukong": wukong,
    "mmoe": mmoe,
    "din": din,
    "sasrec": sasrec,
    "hstu-large": hstu_large,
    "dlrm-v1": dlrm,
    "dlrm-dcnv2": dcnv2,
}


@pytest.mark.parametrize("name", COUNTED)
def test_size_is_what_its_layers_count(name: str) -> None:
    """Parameters exactly, and FLOPs of a forward pass, counted from the shapes."""
    parameters, flops = COUNTED[name]()
    workload = load_workload(name)
    shape = TableUsage.of(workload, 8).sample_shape
    assert dense_parameters(workload.dense, *shape) == parameters
    assert product_flops(name) == pytest.approx(flops, rel=1e-12)


@pytest.mark.parametrize("name", ["dlrm-v4", "dlrm-v4-last-row"])
def test_dlrm_v4_has_15_million_parameters(name: str) -> None:
    """Context 2.10 M, preprocessor 0.80, positions 5.24, layers 5.52, head 1.58."""
    context = 8 * (512 * 512 + 512)
    branches = [mlp(512, 256, 512), mlp(1024, 256, 512), mlp(24, 256, 512)]
    before = sum(branch[0] + 2 * (256 + 512) for branch in branches)
    layer = 2 * 512 + mlp(512, 2048)[0] + 2 * 512 + 1536 * 512
    head = mlp(516, 512)[0] + 2 * 512 + mlp(1536, 512, 512)[0] + mlp(512, 512, 1)[0]
    expected = context + before + (8192 + 2048) * 512 + 3 * layer + head
    assert expected == pytest.approx(15.24e6, rel=1e-3)
    found = sum(kernel.parameters for kernel in kernels(name))
    assert found == expected


def test_dlrm_v4_work_of_a_full_sample_is_published() -> None:
    """The README's yardstick: 315.7 GFLOP for 4,096 tokens, forward and backward."""
    layers = kernels("dlrm-v4", mean=4096, mean_square=4096**2, max=4096, tables=())
    own = [k for k in layers if k.block == "stu" and (k.n or k.pairs)]
    gflops = sum(k.flops + k.flops_back for k in own) / 1e9
    assert gflops == pytest.approx(315.7, rel=1e-3)


def test_last_row_saves_a_layer_but_for_its_keys() -> None:
    """Of the third layer, half of one product is left for every token."""
    whole, short = product_flops("dlrm-v4"), product_flops("dlrm-v4-last-row")
    stu = [k for k in kernels("dlrm-v4") if k.block == "stu"]
    layer = sum(k.flops for k in stu if k.n or k.pairs) / 3
    keys = 2663 * 2 * 512 * 1024
    row = 2 * (512 * 1024 + 1536 * 512) + 2 * 4 * 2662 * 256
    assert short == pytest.approx(whole - layer + keys + row, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "mflops"), [("neo-a", 638), ("neo-f", 5), ("neo-i", 60)]
)
def test_neo_work_is_published(name: str, mflops: int) -> None:
    """Neo, arXiv 2104.05158: 638, 5 and 60 MFLOP per sample, within 1 %."""
    assert product_flops(name) / 1e6 == pytest.approx(mflops, rel=0.01)


def kernel_ms(
    layers: tuple[Kernel, ...], topology: str, batch_size: int, dtype: str
) -> tuple[float, float, float]:
    """Matrix products, and attention forward and backward, on one rank [ms]."""
    cluster = load_topology(topology)
    device = DenseDevice.of(cluster.host_groups[0], DType(dtype))
    model = measured(load_cost_model(str(cluster.cost_model))).dense

    def timer(some: list[Kernel]) -> LayerTimer:
        return LayerTimer(some, DType(dtype), batch_size, device, model)

    products = timer([kernel for kernel in layers if kernel.n])
    attention = timer([kernel for kernel in layers if kernel.pairs])
    again = sum(products.input_gradients(1.0)) + sum(products.weight_gradients())
    return (
        1e3 * float(sum(products.forward(1.0)) + again),
        1e3 * float(sum(attention.forward(1.0))),
        1e3 * float(sum(attention.input_gradients(1.0))),
    )


def test_kernels_of_dlrm_v4_on_mi350x() -> None:
    """A trace of 2,229,337 tokens: GEMMs 132.3 ms, attention 43.2 and 87.6 ms.

    AMD-AGI/Primus@65073b82, examples/project_dlrm.py; rates are fitted to them.
    """
    mean = 2_229_337 / 1024
    layers = kernels("dlrm-v4", mean=mean, mean_square=1.0147 * mean**2, tables=())
    found = kernel_ms(layers, "mi350x", 1024, "bf16")
    assert found == pytest.approx((132.3, 43.2, 87.6), rel=0.03)


def nvidia_hstu(**lengths: float) -> DenseModel:
    """NVIDIA's HSTU: 8 layers, 1,024 wide, 4 heads."""
    layers = [
        {"kind": "linear", "inputs": 1024, "outputs": 4096},
        {"kind": "attention", "heads": 4, "qk": 256, "v": 256, "score": "silu"},
        {"kind": "linear", "inputs": 1024, "outputs": 1024},
    ]
    block = {"name": "hstu", "rows": "s", "repeat": 8, "layers": layers}
    return DenseModel.model_validate(
        {"sequences": [{"name": "s", **lengths}], "blocks": [block]}
    )


def test_kernels_of_another_hstu_on_h100() -> None:
    """32 samples of 4,099 tokens: 43.9, 15.7 and 65.6 ms.

    NVIDIA/recsys-examples@43465aeabf61, examples/hstu/training/benchmark,
    PERF_ANALYSIS.md; only attention is fitted to them.
    """
    dense = nvidia_hstu(mean=4099, mean_square=4099**2, max=4099)
    gemm, *attention = kernel_ms(kernels_of(dense, 0, 0), "dgx-h100", 32, "bf16")
    assert gemm == pytest.approx(43.9, rel=0.15)
    assert attention == pytest.approx([15.7, 65.6], rel=0.02)


def test_waiting_for_the_longest_samples_was_measured() -> None:
    """Equal work on 16 ranks was 1.53 times as fast as samples as they come.

    NVIDIA/recsys-examples@3e658c1d2132, examples/hstu/training/benchmark: 32 samples a
    rank, of 2 n + 3 tokens, n by Zipf's law of 1.2 up to 4,095; E2E_BENCHMARK.md of 28
    May 2026: 75.6 and 115.8 TFLOP/s. Nothing is fitted to them.
    """
    items = np.arange(1, 4096.0)
    share = items**-1.2 / special.zeta(1.2)
    share[-1] += 1.0 - share.sum()  # longer ones are cut off
    tokens = 2 * items + 3
    mean, square, fourth = ((share * tokens**power).sum() for power in (1, 2, 4))
    dense = nvidia_hstu(mean=mean, mean_square=square, mean_fourth=fourth, max=8193)
    cluster = load_topology("dgx-h100", 2)
    device = DenseDevice.of(cluster.host_groups[0], DType.BF16)
    model = measured(load_cost_model("h100")).dense
    step = 1e-3 * sum(kernel_ms(kernels_of(dense, 0, 0), "dgx-h100", 32, "bf16"))
    deviation = length_deviation_time(dense, 0, 0, 32, device, model)
    assert 1 + slowest_of(16) * deviation / step == pytest.approx(1.53, rel=0.1)
