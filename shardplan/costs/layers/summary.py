"""What every block of the dense part asks for, per sample."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from shardplan.costs.layers.shapes import kernels_of
from shardplan.costs.memory.storage import element_bytes

if TYPE_CHECKING:
    from shardplan.costs.layers.shapes import Kernel
    from shardplan.records.dense import DenseModel


@dataclass(frozen=True)
class BlockWork:
    """A block's weights, and its work for one sample.

    Attributes
    ----------
    name : str
    parameters : int
        Trained numbers.
    forward_flops, backward_flops : float
        A multiplication and an addition are 2; what is recomputed is in the backward
        pass [FLOP].
    forward_bytes, backward_bytes : float
        Elements that layers read and write; weights, which a batch shares, are not
        among them [bytes].
    activation_bytes : float
        Outputs that are kept for the backward pass [bytes].
    """

    name: str
    parameters: int
    forward_flops: float
    backward_flops: float
    forward_bytes: float
    backward_bytes: float
    activation_bytes: float


def block_work(
    dense: DenseModel, sum_output_dim: int, num_outputs: int
) -> tuple[BlockWork, ...]:
    """Return the work of every block, in order.

    Parameters
    ----------
    dense : DenseModel
    sum_output_dim, num_outputs : int
        As in :func:`shardplan.costs.layers.shapes.kernels_of`.
    """
    kernels = kernels_of(dense, sum_output_dim, num_outputs)
    size = element_bytes(dense.dtype)
    return tuple(
        _sum(name, list(own), size)
        for name, own in groupby(kernels, key=lambda kernel: kernel.block)
    )


def _sum(name: str, kernels: list[Kernel], size: float) -> BlockWork:
    """Add up the layers of a block whose elements take `size` bytes."""
    again = [kernel for kernel in kernels if kernel.recomputed]

    def moved(some: list[Kernel], passes: int, *, back: bool) -> float:
        return size * sum(
            kernel.repeat
            * kernel.rows
            * (
                passes * kernel.product_elements
                + (kernel.elements_back if back else kernel.elements)
            )
            for kernel in some
        )

    return BlockWork(
        name=name,
        parameters=sum(kernel.parameters for kernel in kernels),
        forward_flops=sum(kernel.flops for kernel in kernels),
        backward_flops=sum(kernel.flops_back for kernel in kernels)
        + sum(kernel.flops for kernel in again),
        forward_bytes=moved(kernels, 1, back=False),
        backward_bytes=moved(kernels, 2, back=True) + moved(again, 1, back=False),
        activation_bytes=size
        * sum(k.repeat * k.rows * k.stored for k in kernels if not k.recomputed),
    )
