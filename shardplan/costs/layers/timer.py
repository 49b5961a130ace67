"""Seconds of the layers of one rank's batch, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.layers.attention import attention_time
from shardplan.costs.layers.gemm import gemm_time
from shardplan.costs.memory.storage import element_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import ArrayLike

    from shardplan.costs.layers.device import DenseDevice
    from shardplan.costs.layers.shapes import Kernel
    from shardplan.records.arrays import Floats
    from shardplan.records.cost_model import DenseCostModel
    from shardplan.records.tables import DType

_ATTENTION_BACKWARD = 2.5  # five products for the forward pass's two
_BYTES_BACKWARD = 2.0  # gradients beside everything that the forward pass moves


class DenseTime(NamedTuple):
    """Seconds of the three parts of the dense model [s]."""

    bottom: Floats
    interaction: Floats
    top: Floats

    def plus(self, other: DenseTime) -> DenseTime:
        """Return the sum, part by part."""
        return DenseTime(*(a + b for a, b in zip(self, other, strict=True)))


class LayerTimer:
    """The layers of a dense model as arrays; times have shape (..., layers)."""

    def __init__(
        self,
        kernels: Iterable[Kernel],
        dtype: DType,
        batch_size: ArrayLike,
        device: DenseDevice,
        model: DenseCostModel,
    ) -> None:
        self._dtype, self._device, self._model = dtype, device, model
        self._element_bytes = element_bytes(dtype)
        self._batch = np.asarray(batch_size, dtype=float)
        self._kernels = tuple(kernels)
        self._products = [kernel for kernel in self._kernels if kernel.n]
        products = self._products
        self._count = _array(products, lambda kernel: kernel.repeat * kernel.matrices)
        rows = _array(products, lambda kernel: kernel.rows / kernel.matrices)
        self._sizes = {
            "input": self._batch[..., None] * rows,
            "k": _array(products, lambda kernel: kernel.k),
            "n": _array(products, lambda kernel: kernel.n),
        }

    def only(self, wanted: Callable[[Kernel], bool]) -> LayerTimer:
        """Return the timer of some of the layers."""
        kernels = filter(wanted, self._kernels)
        return LayerTimer(kernels, self._dtype, self._batch, self._device, self._model)

    def forward(self, passes: float) -> DenseTime:
        """Seconds of the forward pass; unfused layers move elements in `passes`."""
        seconds = self._gemms("input", "n", "k") + self._activations(passes)
        moved = self._elements(lambda kernel: kernel.elements, passes)
        return self._by_part(seconds, moved).plus(self._attention(1.0, 1.0))

    def input_gradients(self, passes: float) -> DenseTime:
        """Seconds of the gradients of inputs, and of what is computed again."""
        needs = _array(self._products, lambda kernel: kernel.products_back)
        first = next((k for k in self._products if k.is_trained), None)
        if first is not None and first.part == "bottom" and not first.sequence:
            needs[self._products.index(first)] = 0.0
        seconds = self._gemms("input", "k", "n") * needs + self._activations(passes)
        moved = self._elements(lambda kernel: kernel.elements_back, passes)
        found = self._by_part(seconds, moved)
        found = found.plus(self._attention(_ATTENTION_BACKWARD, _BYTES_BACKWARD))
        again = self.only(lambda kernel: kernel.recomputed)
        return found.plus(again.forward(passes))

    def weight_gradients(self) -> DenseTime:
        """Seconds of the gradients of weights."""
        needs = _array(self._products, lambda kernel: kernel.is_trained)
        seconds = self._gemms("k", "n", "input") * needs
        return self._by_part(seconds, dict.fromkeys(DenseTime._fields, np.zeros(())))

    def _gemms(self, m: str, n: str, k: str) -> Floats:
        """Seconds of one product per layer; sizes by name."""
        device, model = self._device, self._model
        seconds = gemm_time(
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
        return seconds * self._count

    def _activations(self, passes: float) -> Floats:
        """Seconds to read and write outputs again in passes after the first."""
        outputs = self._sizes["input"] * self._sizes["n"] * self._count
        moved = 2.0 * (passes - 1.0) * outputs
        return np.asarray(moved * self._element_bytes / self._rate(is_fused=True))

    def _elements(
        self, elements: Callable[[Kernel], float], passes: float
    ) -> dict[str, Floats]:
        """Seconds to move elements outside of products, by part.

        Kernels of their own are launched, and have the rate of element-wise kernels.
        """
        found = {}
        for part in DenseTime._fields:
            own = [k for k in self._kernels if k.part == part and elements(k)]
            seconds = np.zeros(())
            for is_fused in (True, False):
                alike = [kernel for kernel in own if kernel.is_fused == is_fused]
                moved = sum(k.repeat * k.rows * elements(k) for k in alike)
                launches = 0 if is_fused else sum(kernel.repeat for kernel in alike)
                size = passes * self._batch * moved * self._element_bytes
                seconds = seconds + size / self._rate(is_fused=is_fused)
                seconds = seconds + launches * self._model.gemm_launch_s.value
            found[part] = seconds
        return found

    def _attention(self, more_flops: float, more_bytes: float) -> DenseTime:
        """Seconds of attention by part, forward or, with more FLOPs, backward."""
        model, back = self._model, more_flops > 1.0
        efficiency = model.attention_backward_efficiency if back else None
        efficiency = efficiency or model.attention_efficiency or model.gemm_efficiency
        rate = model.score_backward_rate if back else None
        rate = rate or model.score_rate
        none = np.zeros(self._batch.shape)
        found = dict.fromkeys(DenseTime._fields, none)
        for kernel in self._kernels:
            if not kernel.pairs:
                continue
            once = attention_time(
                more_flops * 2.0 * kernel.pairs * kernel.head * self._batch,
                kernel.pairs * kernel.is_scored * self._batch,
                more_bytes
                * kernel.rows
                * kernel.product_elements
                * self._element_bytes
                * self._batch,
                flop_rate=self._device.peak_flops * efficiency.value,
                score_rate=None if rate is None else rate.value,
                byte_rate=self._rate(is_fused=True),
                launch_s=model.gemm_launch_s.value,
            )
            found[kernel.part] = found[kernel.part] + kernel.repeat * once
        return DenseTime(**found)

    def _by_part(self, seconds: Floats, others: dict[str, Floats]) -> DenseTime:
        """Add up products, and the other time of each part."""
        parts = np.array([kernel.part for kernel in self._products], dtype=object)
        return DenseTime(
            **{
                part: seconds[..., parts == part].sum(axis=-1) + others[part]
                for part in DenseTime._fields
            }
        )

    def _rate(self, *, is_fused: bool) -> float:
        """Bytes per second of elements [bytes/s]."""
        model = self._model
        efficiency = model.memory_efficiency
        if not is_fused and model.elementwise_efficiency is not None:
            efficiency = model.elementwise_efficiency
        return self._device.memory_bw * efficiency.value


def _array(kernels: list[Kernel], value: Callable[[Kernel], float]) -> Floats:
    return np.array([value(kernel) for kernel in kernels], dtype=float)
