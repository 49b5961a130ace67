"""How much longer the rank with the longest samples takes: closed forms and draws."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.costs.layers.device import DenseDevice
from shardplan.costs.layers.shapes import kernels_of
from shardplan.costs.layers.stragglers import length_deviation_time, slowest_of
from shardplan.costs.layers.timer import LayerTimer
from shardplan.records.workload import DenseModel

DEVICE = DenseDevice(peak_flops=1e12, memory_bw=1e15, num_sms=0)
ATTENTION = {"kind": "attention", "qk": 64, "v": 64, "mask": "full", "score": "none"}
LINEAR = {"kind": "linear", "inputs": 64, "outputs": 64, "bias": False}


def axis(**changes):
    """Lengths of mean 100 and deviation 30."""
    return {"name": "s", "mean": 100, "mean_square": 10_900, "max": 400, **changes}


def model(*layers, **changes):
    """One block over the sequence."""
    block = {"name": "b", "rows": "s", "layers": list(layers)}
    return DenseModel.model_validate(
        {"sequences": [axis(**changes)], "blocks": [block]}
    )


def seconds(dense, batch, cost_model):
    """Forward and backward pass without launches [s]."""
    timer = LayerTimer(kernels_of(dense, 0, 0), dense.dtype, batch, DEVICE, cost_model)
    times = (timer.forward(1.0), timer.input_gradients(1.0), timer.weight_gradients())
    return float(sum(sum(time) for time in times))


@pytest.fixture
def no_launch(cost_model):
    """A cost model whose kernels are launched in no time."""
    launch = cost_model.dense.gemm_launch_s.replace(value=0.0)
    return cost_model.dense.replace(gemm_launch_s=launch)


@pytest.mark.parametrize("num_ranks", [2, 8, 16, 32, 1024])
def test_slowest_of_normal_numbers(num_ranks):
    """Within 2 % of the mean of drawn maxima."""
    drawn = np.random.default_rng(0).standard_normal((20_000, num_ranks)).max(axis=1)
    assert slowest_of(num_ranks) == pytest.approx(drawn.mean(), rel=0.02, abs=0.02)
    assert slowest_of(1) == 0.0


def test_linear_layers_differ_as_token_sums(no_launch):
    """A batch of 36 samples: 30 / 100 / 6 = 5 % of the time."""
    dense = model(LINEAR)
    found = length_deviation_time(dense, 0, 0, 36.0, DEVICE, no_launch)
    assert found == pytest.approx(0.05 * seconds(dense, 36.0, no_launch))


def test_attention_differs_as_sums_of_squares(no_launch):
    """sqrt(Var(L^2) / B) / E[L^2], from the fourth moment."""
    dense = model(ATTENTION, mean_fourth=2 * 10_900**2)
    found = length_deviation_time(dense, 0, 0, 25.0, DEVICE, no_launch)
    assert found == pytest.approx(0.2 * seconds(dense, 25.0, no_launch))
    alike = model(ATTENTION, mean_fourth=2 * 10_900**2, samples_alike=4)
    twice = length_deviation_time(alike, 0, 0, 25.0, DEVICE, no_launch)
    assert twice == pytest.approx(2 * found)
    # All samples of a rank are one history: no more than a sample deviates.
    for everything in (25, 1000):
        one = model(ATTENTION, mean_fourth=2 * 10_900**2, samples_alike=everything)
        most = length_deviation_time(one, 0, 0, 25.0, DEVICE, no_launch)
        assert most == pytest.approx(5 * found)


def test_ranks_of_drawn_samples(no_launch):
    """The mean slowest of 8 ranks with drawn lengths, within 3 % of its excess."""
    batch, ranks = 64, 8
    drawn = np.random.default_rng(5).normal(100, 30, (4000, ranks, batch)).clip(1, 400)
    dense = model(
        LINEAR,
        ATTENTION,
        mean=drawn.mean(),
        mean_square=(drawn**2).mean(),
        mean_fourth=(drawn**4).mean(),
    )
    one = model(LINEAR, mean=1, mean_square=1, max=1)
    pair = model(ATTENTION, mean=1, mean_square=1, max=1)
    linear = seconds(one, 1.0, no_launch)
    square = seconds(pair, 1.0, no_launch)
    work = (linear * drawn + square * drawn**2).sum(axis=2)
    excess = (work.max(axis=1) - work.mean(axis=1)).mean()
    found = length_deviation_time(dense, 0, 0, float(batch), DEVICE, no_launch)
    assert found * slowest_of(ranks) == pytest.approx(excess, rel=0.03)


def test_samples_of_one_length_wait_for_nobody(no_launch):
    """Without deviation there is no slowest rank."""
    dense = model(ATTENTION, LINEAR, mean_square=10_000)
    assert length_deviation_time(dense, 0, 0, 8.0, DEVICE, no_launch) == 0.0
