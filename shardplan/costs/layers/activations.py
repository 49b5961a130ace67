"""Memory of what the dense layers keep for their backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.costs.layers.shapes import kernels_of
from shardplan.costs.memory.storage import FP32_BYTES, element_bytes

if TYPE_CHECKING:
    from shardplan.records.dense import DenseModel


def activation_bytes(
    dense: DenseModel, sum_output_dim: int, num_outputs: int, batch_size: float
) -> float:
    """Return the bytes of outputs kept on a rank, and of their gradients [bytes].

    Parameters
    ----------
    dense : DenseModel
    sum_output_dim, num_outputs : int
        As in :func:`shardplan.costs.layers.shapes.kernels_of`.
    batch_size : float
        Samples of the rank.

    Notes
    -----
    Blocks: ``e B sum(rows * stored)`` over the layers that are not recomputed, and the
    widest layer's output and gradient once more, which are under way. A DLRM that is
    given by its widths: each output of its MLPs and its gradient in fp32.
    """
    if not dense.blocks:
        widths = sum(dense.bottom_mlp) + sum(dense.top_mlp)
        return 2.0 * FP32_BYTES * batch_size * widths
    kernels = kernels_of(dense, sum_output_dim, num_outputs)
    kept = sum(k.repeat * k.rows * k.stored for k in kernels if not k.recomputed)
    widest = max(kernel.rows * kernel.stored for kernel in kernels)
    return batch_size * element_bytes(dense.dtype) * (kept + 2.0 * widest)
