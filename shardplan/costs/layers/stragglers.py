"""What the rank with the longest samples computes more than the mean one."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.layers.lengths import length_deviation, square_deviation
from shardplan.costs.layers.shapes import kernels_of
from shardplan.costs.layers.timer import LayerTimer

if TYPE_CHECKING:
    from shardplan.costs.layers.device import DenseDevice
    from shardplan.records.cost_model import DenseCostModel
    from shardplan.records.dense import DenseModel


def slowest_of(num_ranks: int) -> float:
    """Return the expected largest of some standard normal numbers [-].

    Notes
    -----
    Quantile (n - 3/8) / (n + 1/4), 0 for one; within 1.5 % of the exact value.

    References
    ----------
    Blom 1958, Statistical Estimates and Transformed Beta-Variables.
    """
    if num_ranks == 1:
        return 0.0
    return NormalDist().inv_cdf((num_ranks - 0.375) / (num_ranks + 0.25))


@lru_cache(maxsize=256)
def length_deviation_time(
    dense: DenseModel,
    sum_output_dim: int,
    num_outputs: int,
    batch_size: float,
    device: DenseDevice,
    model: DenseCostModel,
    *,
    passes: float = 1.0,
) -> float:
    """Return the standard deviation between ranks of the time of dense layers [s].

    Parameters
    ----------
    dense, sum_output_dim, num_outputs, device, model, passes
        As in :func:`shardplan.costs.layers.times.dense_forward_time`.
    batch_size : float
        Samples of a rank.

    Notes
    -----
    A rank's batch is B / a independent draws of a samples that are alike, one at
    least: the sum of L varies by ``sqrt(Var(L) a / B) / E[L]`` of itself and the sum of
    L^2 by ``sqrt(Var(L^2) a / B) / E[L^2]``. Long samples are long in both, so the
    deviations of all layers of a sequence add up; those of several sequences are
    independent.
    """
    kernels = kernels_of(dense, sum_output_dim, num_outputs)
    variance = 0.0
    for axis in dense.sequences:
        deviations = {1: length_deviation(axis), 2: square_deviation(axis)}
        found = 0.0
        for power, deviation in deviations.items():
            own = [k for k in kernels if k.sequence == axis and k.power == power]
            timer = LayerTimer(own, dense.dtype, batch_size, device, model)
            found += deviation * _seconds(timer, passes)
        variance += found**2 / max(batch_size / axis.samples_alike, 1.0)
    return float(np.sqrt(variance))


def _seconds(timer: LayerTimer, passes: float) -> float:
    """Seconds of the whole forward and backward pass of some layers."""
    times = (*timer.forward(passes), *timer.input_gradients(passes))
    return float(sum((*times, *timer.weight_gradients())))
