"""The time of the dense part of the model, forward and backward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.costs.layers.device import DenseDevice
from shardplan.costs.layers.gemm import gemm_time
from shardplan.costs.layers.shapes import dense_parameters, kernels_of
from shardplan.costs.layers.timer import DenseTime, LayerTimer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shardplan.records.cost_model import DenseCostModel
    from shardplan.records.workload import DenseModel


__all__ = [
    "DenseDevice",
    "DenseTime",
    "dense_backward_time",
    "dense_forward_time",
    "dense_input_gradient_time",
    "dense_parameters",
    "dense_weight_gradient_time",
    "gemm_time",
    "kernels_of",
]


def dense_forward_time(
    dense: DenseModel,
    sum_output_dim: int,
    num_outputs: int,
    batch_size: ArrayLike,
    device: DenseDevice,
    model: DenseCostModel,
    *,
    passes: float = 1.0,
) -> DenseTime:
    """Return the time of the forward pass of one rank's batch.

    Parameters
    ----------
    dense : DenseModel
    sum_output_dim, num_outputs : int
        As in :func:`kernels_of`.
    batch_size : int array
        Samples of the rank.
    device : DenseDevice
    model : DenseCostModel
    passes : float
        How often unfused layers move what fused ones move once: the elements of
        layers that are no products and, but for the first time, the outputs of those.

    Returns
    -------
    DenseTime
        Bottom MLP, interaction and top MLP [s], each of the shape of `batch_size`.
        With one pass, activations are fused into the matrix products.

    See Also
    --------
    gemm_time, attention_time : The formulas.
    """
    kernels = kernels_of(dense, sum_output_dim, num_outputs)
    return LayerTimer(kernels, dense.dtype, batch_size, device, model).forward(passes)


def dense_backward_time(
    dense: DenseModel,
    sum_output_dim: int,
    num_outputs: int,
    batch_size: ArrayLike,
    device: DenseDevice,
    model: DenseCostModel,
) -> DenseTime:
    """Return the time of the backward pass of one rank's batch.

    Parameters
    ----------
    dense, sum_output_dim, num_outputs, batch_size, device, model
        As in :func:`dense_forward_time`.

    Returns
    -------
    DenseTime
        Bottom MLP, interaction and top MLP [s], each of the shape of `batch_size`.

    See Also
    --------
    dense_input_gradient_time, dense_weight_gradient_time : The two parts.
    """
    shape = (dense, sum_output_dim, num_outputs, batch_size, device, model)
    inputs = dense_input_gradient_time(*shape)
    return inputs.plus(dense_weight_gradient_time(*shape))


def dense_input_gradient_time(
    dense: DenseModel,
    sum_output_dim: int,
    num_outputs: int,
    batch_size: ArrayLike,
    device: DenseDevice,
    model: DenseCostModel,
    *,
    passes: float = 1.0,
) -> DenseTime:
    """Return the time of the gradients of all layers' inputs.

    Parameters
    ----------
    dense, sum_output_dim, num_outputs, batch_size, device, model, passes
        As in :func:`dense_forward_time`.

    Returns
    -------
    DenseTime
        [s], each of the shape of `batch_size`.

    Notes
    -----
    One product per layer, two where both factors are computed ones; the first layer
    needs no gradient of the dense features. Layers that are recomputed run forward
    once more before.
    """
    kernels = kernels_of(dense, sum_output_dim, num_outputs)
    timer = LayerTimer(kernels, dense.dtype, batch_size, device, model)
    return timer.input_gradients(passes)


def dense_weight_gradient_time(
    dense: DenseModel,
    sum_output_dim: int,
    num_outputs: int,
    batch_size: ArrayLike,
    device: DenseDevice,
    model: DenseCostModel,
) -> DenseTime:
    """Return the time of the gradients of all layers' weights.

    Parameters
    ----------
    dense, sum_output_dim, num_outputs, batch_size, device, model
        As in :func:`dense_forward_time`.

    Returns
    -------
    DenseTime
        [s], each of the shape of `batch_size`; products of two computed factors have
        no weights.
    """
    kernels = kernels_of(dense, sum_output_dim, num_outputs)
    timer = LayerTimer(kernels, dense.dtype, batch_size, device, model)
    return timer.weight_gradients()
