"""The keys of a DLRM as blocks of layers."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from shardplan.records.layers import (
    ElementwiseLayer,
    LayerBlock,
    LinearLayer,
    ProductLayer,
)

if TYPE_CHECKING:
    from shardplan.records.dense import DenseModel
    from shardplan.records.layers import Layer, Part

_BACKWARD_OVER_FORWARD = 2  # a gradient for each factor of a product


def blocks_of(
    dense: DenseModel, sum_output_dim: int, num_outputs: int
) -> tuple[LayerBlock, ...]:
    """Return the blocks of a dense model: its own, or those that its keys stand for.

    Parameters
    ----------
    dense : DenseModel
    sum_output_dim : int
        Elements of all embedding outputs of a sample.
    num_outputs : int
        Embedding output vectors of a sample.

    Notes
    -----
    With N elements after concatenation, elements are moved outside of the products as
    follows: 2 N to concatenate; 4 N for each cross layer ``x0 * y + x``; N and the
    result to pool; for dot products N to read the vectors, and their distinct pairs
    and the bottom output read and written once; twice that in the backward pass.

    References
    ----------
    Naumov et al. 2019, DLRM, arXiv:1906.00091; Wang et al. 2021, DCN V2,
    arXiv:2008.13535 (low-rank cross layers); TorchRec,
    ``torchrec/modules/crossnet.py`` (``LowRankCrossNet``: one bias per cross layer).
    """
    if dense.blocks:
        return dense.blocks
    whole = _bottom_width(dense) + sum_output_dim
    width = _interaction_width(dense, sum_output_dim, num_outputs)
    vectors, dim = _vectors(dense, sum_output_dim, num_outputs)
    middle: list[Layer] = [] if dense.interaction == "none" else [_moved(whole, whole)]
    match dense.interaction:
        case "dot":
            middle += [_dots(vectors, dim, whole), _moved(width, width)]
        case "avg_pool":
            middle.append(_moved(whole, width))
        case "dcn_v2":
            for _ in range(dense.dcn_num_layers):
                middle += _cross(whole, dense.dcn_low_rank_dim)
    parts: list[tuple[Part, list[Layer]]] = [
        ("bottom", _mlp((dense.num_dense, *dense.bottom_mlp))),
        ("interaction", middle),
        ("top", _mlp((width, *dense.top_mlp))),
    ]
    if not any(layer.kind != "elementwise" for _, layers in parts for layer in layers):
        return ()
    return tuple(
        LayerBlock(name=part, part=part, layers=tuple(layers))
        for part, layers in parts
        if layers
    )


def _mlp(widths: tuple[int, ...]) -> list[Layer]:
    """Layers between consecutive widths."""
    return [_linear(k, n) for k, n in pairwise(widths)]


def _linear(k: int, n: int, *, bias: bool = True) -> LinearLayer:
    """Return a trained product; a model without inputs has one of 0 inputs."""
    return LinearLayer.model_construct(inputs=k, outputs=n, bias=bias)


def _dots(vectors: int, dim: int, reads: int) -> ProductLayer:
    """Dot products of all pairs of vectors."""
    return ProductLayer.model_construct(
        m=vectors, k=dim, n=vectors, reads=reads, symmetric=True
    )


def _cross(whole: int, rank: int) -> list[Layer]:
    """Return a low-rank cross layer; x0 * y + x reads x0, y and x, and writes x."""
    return [
        _linear(whole, rank, bias=False),
        _linear(rank, whole),
        _moved(3 * whole, whole),
    ]


def _moved(reads: int, writes: int) -> ElementwiseLayer:
    """Elements that kernels at the memory's rate read and write."""
    back = _BACKWARD_OVER_FORWARD * (reads + writes)
    return ElementwiseLayer(reads=reads, writes=writes, backward=back, fused=True)


def _bottom_width(dense: DenseModel) -> int:
    """Elements that the bottom MLP hands on per sample."""
    return dense.bottom_mlp[-1] if dense.bottom_mlp else dense.num_dense


def _vectors(
    dense: DenseModel, sum_output_dim: int, num_outputs: int
) -> tuple[int, int]:
    """Vectors that meet in dot products, and their (mean) width."""
    width = round(sum_output_dim / num_outputs) if num_outputs else _bottom_width(dense)
    return num_outputs + (_bottom_width(dense) > 0), width


def _interaction_width(dense: DenseModel, sum_output_dim: int, num_outputs: int) -> int:
    """Elements per sample that the top MLP reads."""
    whole = _bottom_width(dense) + sum_output_dim
    match dense.interaction:
        case "none":
            return _bottom_width(dense)
        case "dot":
            vectors, _ = _vectors(dense, sum_output_dim, num_outputs)
            return _bottom_width(dense) + vectors * (vectors - 1) // 2
        case "avg_pool":
            return -(-whole // dense.avg_pool_stride)
        case "cat" | "dcn_v2":
            return whole
