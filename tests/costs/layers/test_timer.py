"""Times of layers by closed forms, part by part."""

from __future__ import annotations

import pytest

from shardplan.costs.layers.device import DenseDevice
from shardplan.costs.layers.shapes import kernels_of
from shardplan.costs.layers.timer import LayerTimer
from shardplan.records.coefficient import PositiveCoefficient
from shardplan.records.workload import DenseModel

SEQUENCE = {"name": "s", "mean": 100, "mean_square": 12_000, "max": 200}
SLOW = DenseDevice(peak_flops=1e12, memory_bw=1e9, num_sms=0)
FAST = DenseDevice(peak_flops=1e12, memory_bw=1e15, num_sms=0)
BATCH = 8


def coefficient(value, unit="fraction"):
    """A number of the cost model."""
    return PositiveCoefficient(value=value, unit=unit, source="assumed: a test")


def timer(cost_model, *layers, recompute=(), device=SLOW, **coefficients):
    """Time one block on a device of 1 TFLOP/s."""
    block = {
        "name": "b",
        "rows": "s",
        "recompute": recompute,
        "layers": list(layers),
    }
    dense = DenseModel.model_validate({"sequences": [SEQUENCE], "blocks": [block]})
    model = cost_model.dense.replace(**coefficients)
    return LayerTimer(kernels_of(dense, 0, 0), dense.dtype, BATCH, device, model)


ATTENTION = {"kind": "attention", "heads": 2, "qk": 500, "v": 500, "mask": "full"}


def test_attention_is_the_sum_of_products_and_scores(cost_model):
    """Forward 2 products at one rate and scores at another; backward 5 products."""
    case = timer(
        cost_model,
        ATTENTION,
        device=FAST,
        attention_efficiency=coefficient(0.5),
        attention_backward_efficiency=coefficient(0.25),
        score_rate=coefficient(1e8, "1/s"),
        score_backward_rate=coefficient(5e7, "1/s"),
    )
    launch = cost_model.dense.gemm_launch_s.value
    scores = BATCH * 2 * 12_000
    flops = 2 * scores * 1000
    expected = flops / 0.5e12 + scores / 1e8 + launch
    assert case.forward(1.0).top == pytest.approx(expected)
    back = 2.5 * flops / 0.25e12 + scores / 5e7 + launch
    assert case.input_gradients(1.0).top == pytest.approx(back)
    assert case.weight_gradients().top == 0.0
    assert case.forward(1.0).bottom == case.forward(1.0).interaction == 0.0


def test_attention_without_numbers_of_its_own(cost_model):
    """Products at the rate of GEMMs, and scores hidden by them."""
    flops = 2 * BATCH * 2 * 12_000 * 1000
    launch = cost_model.dense.gemm_launch_s.value
    expected = flops / (1e12 * cost_model.dense.gemm_efficiency.value) + launch
    assert timer(cost_model, ATTENTION, device=FAST).forward(1.0).top == pytest.approx(
        expected
    )


def test_attention_of_few_pairs_is_bound_by_memory(cost_model):
    """One pair per token moves its queries, keys, values and outputs."""
    narrow = {"kind": "attention", "qk": 1, "v": 1, "mask": "causal", "score": "none"}
    rate = 1e9 * cost_model.dense.memory_efficiency.value
    # 4 elements of 2 bytes for each of 8 * 100 tokens.
    expected = 4 * 2 * 8 * 100 / rate + cost_model.dense.gemm_launch_s.value
    assert timer(cost_model, narrow).forward(1.0).top == pytest.approx(expected)


def test_elements_of_their_own_kernels_are_slower(cost_model):
    """Norms and gates at the rate of element-wise kernels, fused ones at memory's."""
    gate = {"kind": "elementwise", "reads": 30, "writes": 10, "backward": 90}
    half = {"elementwise_efficiency": coefficient(0.25)}
    launch = cost_model.dense.gemm_launch_s.value
    moved = 40 * 2 * 8 * 100
    own = timer(cost_model, gate, **half)
    assert own.forward(1.0).top == pytest.approx(moved / 0.25e9 + launch)
    back = own.input_gradients(1.0).top
    assert back == pytest.approx(moved * 9 / 4 / 0.25e9 + launch)
    fused = timer(cost_model, {**gate, "fused": True}, **half)
    rate = 1e9 * cost_model.dense.memory_efficiency.value
    assert fused.forward(1.0).top == pytest.approx(moved / rate)
    assert fused.forward(3.0).top == pytest.approx(3 * moved / rate)
    norm = timer(cost_model, {"kind": "norm", "width": 20}, **half)
    assert norm.forward(1.0).top == pytest.approx(moved / 0.25e9 + launch)


def test_recomputed_layers_run_again_in_the_backward_pass(cost_model):
    """The backward pass takes the forward pass of those layers more."""
    up = {"kind": "linear", "name": "up", "inputs": 64, "outputs": 512}
    down = {"kind": "linear", "inputs": 512, "outputs": 64}
    whole = timer(cost_model, up, down)
    some = timer(cost_model, up, down, recompute=["up"])
    assert some.forward(1.0).top == whole.forward(1.0).top
    again = timer(cost_model, up).forward(1.0).top
    more = some.input_gradients(1.0).top - whole.input_gradients(1.0).top
    assert more == pytest.approx(float(again))
    assert some.weight_gradients().top == whole.weight_gradients().top


def test_products_of_two_computed_factors_go_back_twice(cost_model):
    """A gradient for each factor, and none of weights."""
    product = {"kind": "product", "m": 64, "k": 64, "n": 64, "reads": 0}
    one = timer(cost_model, {**product, "symmetric": True}).input_gradients(1.0).top
    two = timer(cost_model, product)
    assert two.input_gradients(1.0).top == pytest.approx(2 * float(one))
    assert two.weight_gradients().top == 0.0


def test_a_runtime_may_have_slower_attention(cost_model):
    """Twice the products and the scores; a model without numbers of its own too."""
    given = {
        "attention_efficiency": coefficient(0.5),
        "attention_backward_efficiency": coefficient(0.25),
        "score_rate": coefficient(1e8, "1/s"),
    }
    block = {"name": "b", "rows": "s", "layers": [ATTENTION]}
    dense = DenseModel.model_validate({"sequences": [SEQUENCE], "blocks": [block]})
    launch = cost_model.dense.gemm_launch_s.value

    def seconds(model, way):
        kernels = kernels_of(dense, 0, 0)
        timer = LayerTimer(kernels, dense.dtype, BATCH, FAST, model)
        return float(getattr(timer, way)(1.0).top) - launch

    for model in (cost_model.dense, cost_model.dense.replace(**given)):
        slower = model.with_attention_in(2.0)
        assert slower.gemm_efficiency == model.gemm_efficiency
        for way in ("forward", "input_gradients"):
            assert seconds(slower, way) == pytest.approx(2 * seconds(model, way))
