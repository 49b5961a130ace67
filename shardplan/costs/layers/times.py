"""The time of the dense part of the model, forward and backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.layers.gemm import gemm_time
from shardplan.costs.layers.shapes import (
    Gemm,
    dense_layers,
    dense_parameters,
    interaction_elements,
)
from shardplan.costs.memory.storage import element_bytes
from shardplan.errors import InputError
from shardplan.records.tables import DType

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shardplan.records.arrays import Bools, Floats
    from shardplan.records.cost_model import DenseCostModel
    from shardplan.records.host_group import HostGroup
    from shardplan.records.workload import DenseModel


__all__ = [
    "DenseDevice",
    "DenseTime",
    "Gemm",
    "dense_backward_time",
    "dense_forward_time",
    "dense_input_gradient_time",
    "dense_layers",
    "dense_parameters",
    "dense_weight_gradient_time",
    "gemm_time",
    "interaction_elements",
]

_BACKWARD_OVER_FORWARD = 2  # a gradient for each factor of a product
# Types without a rate of their own in a topology compute at that of another.
_RATES = {
    DType.FP32: ("fp32",),
    DType.TF32: ("tf32", "fp32"),
    DType.FP16: ("fp16", "bf16", "fp32"),
    DType.BF16: ("bf16", "fp16", "fp32"),
}
_NARROW_RATES = ("fp8", "bf16", "fp16", "fp32")


class DenseTime(NamedTuple):
    """Seconds of the three parts of the dense model [s]."""

    bottom: Floats
    interaction: Floats
    top: Floats


@dataclass(frozen=True)
class DenseDevice:
    """Peak rates of one rank for the dense part.

    Attributes
    ----------
    peak_flops : float
        Arithmetic in the layers' type [FLOP/s].
    memory_bw : float
        Device memory, or a rank's share of a CPU host's memory [bytes/s].
    num_sms : int
        Multiprocessors that tiles are spread over; 0 for none to fill.
    """

    peak_flops: float
    memory_bw: float
    num_sms: int

    @classmethod
    def of(cls, group: HostGroup, dtype: DType) -> DenseDevice:
        """Take the rates of a host group's ranks.

        Raises
        ------
        InputError
            If the topology gives no arithmetic rate for the type or a wider one.
        """
        device, flops = group.device, group.device.peak_flops
        names = _RATES.get(dtype, _NARROW_RATES)
        rates = [getattr(flops, name) for name in names]
        if not any(rates):
            key = f"host_groups[{group.name}].device.peak_flops.{names[0]}"
            rule = (
                "must be > 0 to time the dense layers; objectives step and max-rank "
                "do without"
            )
            raise InputError.single("topology", key, rates[0], rule)
        shared_bw = group.host.ddr_bw / group.local_world_size
        return cls(
            peak_flops=next(rate for rate in rates if rate),
            memory_bw=device.hbm_bw or shared_bw,
            num_sms=device.num_sms,
        )


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
        As in :func:`dense_layers`.
    batch_size : int array
        Samples of the rank.
    device : DenseDevice
    model : DenseCostModel
    passes : float
        How often unfused layers move what fused ones move once: the elements of the
        interaction and, but for the first time, the activations of all layers.

    Returns
    -------
    DenseTime
        Bottom MLP, interaction and top MLP [s], each of the shape of `batch_size`.
        With one pass, activations are fused into the matrix products.

    See Also
    --------
    gemm_time, interaction_elements : The formulas.
    """
    work = _DenseWork(dense, sum_output_dim, num_outputs, batch_size, device, model)
    seconds = work.gemms("input", "n", "k") + work.activations(passes)
    return work.by_part(seconds, interaction=work.traffic(passes))


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
    weights = dense_weight_gradient_time(*shape)
    return DenseTime(*(i + w for i, w in zip(inputs, weights, strict=True)))


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
    One product per layer; the first layer needs no gradient of the dense features.
    Element-wise traffic is twice the forward pass's.
    """
    work = _DenseWork(dense, sum_output_dim, num_outputs, batch_size, device, model)
    seconds = work.gemms("input", "k", "n") * work.needs("bottom.0")
    seconds = seconds + work.activations(passes)
    again = work.traffic(_BACKWARD_OVER_FORWARD * passes)
    return work.by_part(seconds, interaction=again)


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
        [s], each of the shape of `batch_size`; dot products have no weights.
    """
    work = _DenseWork(dense, sum_output_dim, num_outputs, batch_size, device, model)
    seconds = work.gemms("k", "n", "input") * work.needs("interaction.dot")
    return work.by_part(seconds, interaction=0.0)


class _DenseWork:
    """The layers of a dense model as arrays; times have shape (..., layers)."""

    def __init__(
        self,
        dense: DenseModel,
        sum_output_dim: int,
        num_outputs: int,
        batch_size: ArrayLike,
        device: DenseDevice,
        model: DenseCostModel,
    ) -> None:
        layers = dense_layers(dense, sum_output_dim, num_outputs)
        self._names = [layer.name for layer in layers]
        self._batch = np.asarray(batch_size, dtype=float)
        self._sizes = {
            "input": self._batch[..., None],
            "k": np.array([layer.k for layer in layers], dtype=float),
            "n": np.array([layer.n for layer in layers], dtype=float),
        }
        self._moved = interaction_elements(dense, sum_output_dim, num_outputs)
        self._element_bytes = element_bytes(dense.dtype)
        self._device, self._model = device, model

    def gemms(self, m: str, n: str, k: str) -> Floats:
        """Seconds of one product per layer; sizes by name."""
        device, model = self._device, self._model
        return gemm_time(
            self._sizes[m],
            self._sizes[n],
            self._sizes[k],
            element_bytes=self._element_bytes,
            peak_flops=device.peak_flops,
            efficiency=model.gemm_efficiency.value,
            tile=model.gemm_tile.value,
            num_sms=device.num_sms,
            memory_bw=device.memory_bw,
            memory_efficiency=model.memory_efficiency.value,
            launch_s=model.gemm_launch_s.value,
        )

    def needs(self, exempt: str) -> Bools:
        """Which layers have a product: all but one."""
        return np.array([name != exempt for name in self._names], dtype=bool)

    def activations(self, passes: float) -> Floats:
        """Seconds to read and write outputs again in passes after the first."""
        outputs = self._sizes["input"] * self._sizes["n"]
        return self._seconds(2.0 * (passes - 1.0) * outputs)

    def traffic(self, passes: float) -> Floats:
        """Seconds to move the interaction's elements through memory."""
        return self._seconds(passes * self._batch * self._moved)

    def by_part(self, seconds: Floats, interaction: ArrayLike) -> DenseTime:
        """Add up layers, and other time of the interaction."""
        parts = np.array([name.split(".")[0] for name in self._names], dtype=object)
        sums = {
            part: seconds[..., parts == part].sum(axis=-1) for part in DenseTime._fields
        }
        sums["interaction"] = sums["interaction"] + np.asarray(interaction, np.float64)
        return DenseTime(**sums)

    def _seconds(self, elements: Floats) -> Floats:
        rate = self._device.memory_bw * self._model.memory_efficiency.value
        return np.asarray(elements * self._element_bytes / rate)
