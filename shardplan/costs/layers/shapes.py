"""The dense model's matrix products, parameters and element-wise traffic."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from shardplan.records.workload import DenseModel

# Passes over the interaction's vectors, counted from the operations themselves.
_CONCATENATION = 2  # read the parts, write the whole
_CROSS_LAYER = 4  # x0 * y + x: read x0, y and x, write the next x


class Gemm(NamedTuple):
    """A layer's matrix product per sample: k inputs, n outputs."""

    name: str
    k: int
    n: int


def dense_layers(
    dense: DenseModel, sum_output_dim: int, num_outputs: int
) -> list[Gemm]:
    """Return the matrix products of one forward pass, in order.

    Parameters
    ----------
    dense : DenseModel
    sum_output_dim : int
        Elements of all embedding outputs of a sample.
    num_outputs : int
        Embedding output vectors of a sample.

    Returns
    -------
    list of Gemm
        Named ``bottom.<i>``, ``interaction.<i>...`` and ``top.<i>``.

    References
    ----------
    Naumov et al. 2019, DLRM, arXiv:1906.00091; Wang et al. 2021, DCN V2,
    arXiv:2008.13535 (low-rank cross layers).
    """
    bottom = (dense.num_dense, *dense.bottom_mlp)
    width = _interaction_width(dense, sum_output_dim, num_outputs)
    middle: list[Gemm] = []
    if dense.interaction == "dcn_v2":
        whole, rank = _concatenated(dense, sum_output_dim), dense.dcn_low_rank_dim
        for i in range(dense.dcn_num_layers):
            middle.append(Gemm(f"interaction.{i}.down", whole, rank))
            middle.append(Gemm(f"interaction.{i}.up", rank, whole))
    elif dense.interaction == "dot":
        vectors, dim = _vectors(dense, sum_output_dim, num_outputs)
        middle.append(Gemm("interaction.dot", dim, vectors * vectors))
    return [
        *_mlp("bottom", bottom),
        *middle,
        *_mlp("top", (width, *dense.top_mlp)),
    ]


def dense_parameters(dense: DenseModel, sum_output_dim: int, num_outputs: int) -> int:
    """Return the number of trained weights and biases of the dense part.

    Parameters
    ----------
    dense : DenseModel
    sum_output_dim, num_outputs : int
        As in :func:`dense_layers`.

    Notes
    -----
    ``k n`` weights and n biases per layer; the first product of a low-rank cross
    layer has no bias, and pairwise dot products train nothing.

    References
    ----------
    TorchRec, ``torchrec/modules/crossnet.py`` (``LowRankCrossNet``).
    """
    return sum(
        layer.k * layer.n + layer.n * (not layer.name.endswith(".down"))
        for layer in dense_layers(dense, sum_output_dim, num_outputs)
        if layer.name != "interaction.dot"
    )


def interaction_elements(
    dense: DenseModel, sum_output_dim: int, num_outputs: int
) -> float:
    """Return the elements that the interaction's forward pass moves per sample.

    Parameters
    ----------
    dense : DenseModel
    sum_output_dim, num_outputs : int
        As in :func:`dense_layers`.

    Returns
    -------
    float
        Elements read and written outside of the matrix products; times the bytes
        of an element, bytes.

    Notes
    -----
    With N elements after concatenation: 2 N to concatenate; 4 N more for each cross
    layer ``x0 * y + x``; N and the result to pool; for dot products N to read the
    vectors, and their distinct pairs and the bottom output read and written once.
    """
    whole = _concatenated(dense, sum_output_dim)
    width = _interaction_width(dense, sum_output_dim, num_outputs)
    joined = _CONCATENATION * whole
    match dense.interaction:
        case "none":
            return 0.0
        case "cat":
            return float(joined)
        case "avg_pool":
            return float(joined + whole + width)
        case "dot":
            return float(joined + whole + 2 * width)
        case "dcn_v2":
            return float(joined + dense.dcn_num_layers * _CROSS_LAYER * whole)


def _mlp(part: str, widths: tuple[int, ...]) -> list[Gemm]:
    """Layers between consecutive widths."""
    return [Gemm(f"{part}.{i}", k, n) for i, (k, n) in enumerate(pairwise(widths))]


def _bottom_width(dense: DenseModel) -> int:
    """Elements that the bottom MLP hands on per sample."""
    return dense.bottom_mlp[-1] if dense.bottom_mlp else dense.num_dense


def _concatenated(dense: DenseModel, sum_output_dim: int) -> int:
    """Elements of the bottom output and all embedding outputs of a sample."""
    return _bottom_width(dense) + sum_output_dim


def _vectors(
    dense: DenseModel, sum_output_dim: int, num_outputs: int
) -> tuple[int, int]:
    """Vectors that meet in dot products, and their (mean) width."""
    width = round(sum_output_dim / num_outputs) if num_outputs else _bottom_width(dense)
    return num_outputs + (_bottom_width(dense) > 0), width


def _interaction_width(dense: DenseModel, sum_output_dim: int, num_outputs: int) -> int:
    """Elements per sample that the top MLP reads."""
    whole = _concatenated(dense, sum_output_dim)
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
