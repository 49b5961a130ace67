"""What the dense layers ask of every rank, and the buckets of their gradients."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from shardplan.costs.dense import (
    DenseDevice,
    dense_backward_time,
    dense_forward_time,
    dense_layers,
    dense_parameters,
)
from shardplan.costs.storage import element_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from shardplan.evaluation import Evaluation

    Floats = NDArray[np.float64]

PARTS = ("top", "interaction", "bottom")
"""The parts of the dense model in the order of the backward pass."""


@dataclass(frozen=True, eq=False)
class DenseWork:
    """Seconds per rank of the dense parts, and the bytes of their gradients.

    Attributes
    ----------
    forward, backward : dict of part to float array (W,) [s]
    gradient_bytes : dict of part to float
        On the wire [bytes].
    """

    forward: dict[str, Floats]
    backward: dict[str, Floats]
    gradient_bytes: dict[str, float]

    @classmethod
    def nothing(cls, world_size: int) -> Self:
        """Return the work of a model without dense layers."""
        none = dict.fromkeys(PARTS, np.zeros(world_size))
        return cls(none, none, dict.fromkeys(PARTS, 0.0))

    @classmethod
    def of(cls, evaluation: Evaluation) -> Self:
        """Time the workload's dense layers on every class of ranks.

        Raises
        ------
        InputError
            If there are layers, but the topology gives no arithmetic rate.
        """
        usage, cluster = evaluation.usage, evaluation.cluster
        dense = usage.workload.dense
        shape = _embedding_shape(evaluation)
        if not dense_layers(dense, *shape):
            return cls.nothing(cluster.world_size)
        batch = usage.batch_size / cluster.world_size
        model = evaluation.rates.cost_model.dense
        devices = [DenseDevice.of(group, dense.dtype) for group in cluster.groups]

        def per_rank(times: list[NamedTuple]) -> dict[str, Floats]:
            return {
                part: np.array([float(getattr(t, part)) for t in times])[
                    cluster.rank_class
                ]
                for part in PARTS
            }

        return cls(
            forward=per_rank(
                [dense_forward_time(dense, *shape, batch, d, model) for d in devices]
            ),
            backward=per_rank(
                [dense_backward_time(dense, *shape, batch, d, model) for d in devices]
            ),
            gradient_bytes=_gradient_bytes(evaluation),
        )


class Piece(NamedTuple):
    """A share of a part's backward pass, and the bucket that is full after it.

    Attributes
    ----------
    share : float
        Of the part's backward pass.
    bucket_bytes : float
        Gradients to all-reduce after it, 0 for none yet [bytes].
    """

    part: str
    share: float
    bucket_bytes: float


def backward_pieces(
    gradient_bytes: Mapping[str, float], bucket_bytes: float
) -> list[Piece]:
    """Cut the backward pass where buckets of gradients are full.

    Parameters
    ----------
    gradient_bytes : mapping of part to float
        [bytes].
    bucket_bytes : float
        [bytes]; the last bucket holds the rest.

    Notes
    -----
    The gradients of a part become ready evenly over its backward pass.

    References
    ----------
    Li et al. 2020, PyTorch Distributed, arXiv:2006.15704, section 3.2 (bucketing).
    """
    total = sum(gradient_bytes.values())
    num_buckets = max(int(np.ceil(total / bucket_bytes - 1e-9)), 1)
    cuts = [*(bucket_bytes * i for i in range(1, num_buckets)), total]
    pieces: list[Piece] = []
    begin = filled = 0.0
    last = max((p for p in PARTS if gradient_bytes[p]), key=PARTS.index, default=None)
    for part in PARTS:
        size = gradient_bytes[part]
        end = total if part == last else begin + size
        inside = [cut for cut in cuts if begin < cut <= end]
        at = begin
        for cut in inside:
            pieces.append(Piece(part, (cut - at) / size, cut - filled))
            at = filled = cut
        if at < end or not size:
            pieces.append(Piece(part, (end - at) / size if size else 1.0, 0.0))
        begin = end
    return pieces


def _embedding_shape(evaluation: Evaluation) -> tuple[int, int]:
    """Elements and vectors of all embedding outputs of a sample."""
    usage = evaluation.usage
    elements = float(usage.num_outputs @ usage.embedding_dim) / usage.batch_size
    return int(elements), sum(table.num_outputs for table in usage.workload.tables)


def _gradient_bytes(evaluation: Evaluation) -> dict[str, float]:
    """Bytes of each part's gradients; biases are spread like the weights."""
    workload = evaluation.usage.workload
    shape = _embedding_shape(evaluation)
    weights: Counter[str] = Counter()
    for layer in dense_layers(workload.dense, *shape):
        if layer.name != "interaction.dot":
            weights[layer.name.split(".")[0]] += layer.k * layer.n
    parameters = dense_parameters(workload.dense, *shape)
    size = parameters * element_bytes(workload.comm_dtypes.dense)
    total = sum(weights.values())
    return {part: size * weights[part] / total if total else 0.0 for part in PARTS}
