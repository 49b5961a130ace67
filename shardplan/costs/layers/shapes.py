"""What each dense layer does for one sample: products, scores, elements, weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shardplan.costs.layers.lengths import pairs, tokens
from shardplan.costs.layers.sugar import blocks_of
from shardplan.records.layers import (
    TARGETS,
    AttentionLayer,
    ElementwiseLayer,
    LinearLayer,
    NormLayer,
    ProductLayer,
)

if TYPE_CHECKING:
    from shardplan.records.dense import DenseModel
    from shardplan.records.layers import Layer, LayerBlock, SequenceAxis

_NORM_FLOPS = 8  # mean, variance, and scale and shift, per element
_NORM_PASSES = 2  # read, write; twice that backward
_ATTENTION_BACKWARD = 2.5  # five products for the forward pass's two


@dataclass(frozen=True, slots=True)
class Kernel:
    """One layer of a dense model, all of its repetitions together.

    Attributes
    ----------
    block, name : str
        Of the block, and of the layer or its position in it.
    kind, part : str
        Of the layer, and of its block.
    sequence : SequenceAxis or None
        The axis of its rows, None for samples.
    repeat : int
        Times that the layer comes.
    recomputed : bool
        It runs again in the backward pass, and its output is not kept.
    rows : float
        Rows per sample.
    power : int
        Of a sample's length by which the work goes: 0, 1 or 2.
    k, n : int
        Of the product of a row: k inputs, n outputs; 0 where there is none.
    matrices : int
        Products that rows are dealt out to.
    is_trained : bool
        The product has weights, whose gradients are a product too.
    products_back : int
        Products of the backward pass for gradients of inputs.
    pairs : float
        Pairs of tokens per sample that attention weighs, times heads.
    head : int
        Elements of a query and a value of a head.
    is_scored : bool
        A function is evaluated for each pair.
    elements, elements_back : float
        Moved for a row outside of products, forward and backward.
    is_fused : bool
        They are moved at the memory's rate.
    product_elements : float
        Moved for a row by the product or the attention itself.
    stored : float
        Elements of a row that are kept for the backward pass.
    weights, other_parameters : int
        Trained numbers of one repetition, in matrices and beside them.
    """

    block: str
    name: str
    kind: str
    part: str
    sequence: SequenceAxis | None
    repeat: int
    recomputed: bool
    rows: float
    power: int
    k: int = 0
    n: int = 0
    matrices: int = 1
    is_trained: bool = False
    products_back: int = 1
    pairs: float = 0.0
    head: int = 0
    is_scored: bool = False
    elements: float = 0.0
    elements_back: float = 0.0
    is_fused: bool = False
    product_elements: float = 0.0
    stored: float = 0.0
    weights: int = 0
    other_parameters: int = 0

    @property
    def parameters(self) -> int:
        """Trained numbers of all repetitions."""
        return self.repeat * (self.weights + self.other_parameters)

    @property
    def flops(self) -> float:
        """Operations of the forward pass per sample, a multiplication and sum as 2."""
        once = 2.0 * self.rows * self.k * self.n + 2.0 * self.pairs * self.head
        if self.kind == "norm":
            once += _NORM_FLOPS * self.rows * self.elements / _NORM_PASSES
        elif not once:
            once += self.rows * self.elements / 2.0
        return self.repeat * once

    @property
    def flops_back(self) -> float:
        """Operations of the backward pass per sample, without what is recomputed."""
        if self.kind == "attention":
            return _ATTENTION_BACKWARD * self.flops
        return self.flops * (self.products_back + self.is_trained if self.k else 2)


@lru_cache(maxsize=64)
def kernels_of(
    dense: DenseModel, sum_output_dim: int, num_outputs: int
) -> tuple[Kernel, ...]:
    """Return the layers of one forward pass, in order.

    Parameters
    ----------
    dense : DenseModel
    sum_output_dim : int
        Elements of all embedding outputs of a sample.
    num_outputs : int
        Embedding output vectors of a sample.
    """
    axes = {sequence.name: sequence for sequence in dense.sequences}
    blocks = blocks_of(dense, sum_output_dim, num_outputs)
    return tuple(
        _kernel(block, position, layer, axes.get(block.sequence or ""))
        for block in blocks
        for position, layer in enumerate(block.layers)
    )


def dense_parameters(dense: DenseModel, sum_output_dim: int, num_outputs: int) -> int:
    """Return the number of trained weights and biases of the dense part.

    Parameters
    ----------
    dense : DenseModel
    sum_output_dim, num_outputs : int
        As in :func:`kernels_of`.
    """
    kernels = kernels_of(dense, sum_output_dim, num_outputs)
    return sum(kernel.parameters for kernel in kernels)


def _kernel(
    block: LayerBlock, position: int, layer: Layer, axis: SequenceAxis | None
) -> Kernel:
    """Return what a layer does over the rows of its block."""
    is_square = isinstance(layer, AttentionLayer) and layer.mask != "cross"
    is_fixed = axis is None or block.rows.endswith(TARGETS)
    return Kernel(
        block=block.name,
        name=layer.name or str(position),
        kind=layer.kind,
        part=block.part,
        sequence=axis,
        repeat=block.repeat,
        recomputed=layer.name in block.recompute,
        rows=layer.times * tokens(block.rows, axis),
        power=0 if is_fixed else 2 if is_square else 1,
        **_work(layer, axis),
    )


def _work(layer: Layer, axis: SequenceAxis | None) -> dict[str, Any]:
    """Return the fields of a kernel that depend on the kind of layer."""
    match layer:
        case LinearLayer(inputs=k, outputs=n):
            return {
                **{"k": k, "n": n, "matrices": layer.matrices, "is_trained": True},
                "elements": n * layer.residual,
                "elements_back": n * layer.residual,
                **{"is_fused": True, "product_elements": k + n, "stored": n},
                "weights": k * n * layer.matrices,
                "other_parameters": n * layer.bias * layer.matrices,
            }
        case ProductLayer(m=m, k=k, n=n):
            return {
                **{"k": k, "n": m * n, "products_back": 1 if layer.symmetric else 2},
                **{"elements": layer.factors, "elements_back": 2 * layer.factors},
                **{"is_fused": True, "product_elements": m * n, "stored": m * n},
            }
        case AttentionLayer():
            assert axis is not None
            width = layer.heads * (2 * layer.qk + 2 * layer.v)
            return {
                "pairs": layer.times * layer.heads * pairs(layer.mask, axis),
                **{"head": layer.qk + layer.v, "is_scored": layer.score != "none"},
                **{"product_elements": width, "stored": layer.heads * layer.v},
            }
        case NormLayer(width=width):
            moved = _NORM_PASSES * width
            return {
                **{"elements": moved, "elements_back": 2 * moved, "stored": width},
                "other_parameters": 2 * width,
            }
        case ElementwiseLayer():
            return {
                "elements": layer.reads + layer.writes,
                **{"elements_back": layer.moved_back, "is_fused": layer.fused},
                "stored": layer.writes if layer.stored is None else layer.stored,
                "other_parameters": layer.parameters,
            }
