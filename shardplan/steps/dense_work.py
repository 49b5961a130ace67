"""What the dense layers ask of every rank, and the buckets of their gradients."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from shardplan.costs.layers.stragglers import length_deviation_time, slowest_of
from shardplan.costs.layers.times import (
    DenseDevice,
    dense_forward_time,
    dense_input_gradient_time,
    dense_parameters,
    dense_weight_gradient_time,
    kernels_of,
)
from shardplan.costs.memory.storage import FP32_BYTES, element_bytes, state_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shardplan.costs.layers.times import DenseTime
    from shardplan.costs.pricer import ModelPricer
    from shardplan.records.arrays import Floats
    from shardplan.records.cost_model import DenseCostModel
    from shardplan.records.workload import DenseModel


PARTS = ("top", "interaction", "bottom")
"""The parts of the dense model in the order of the backward pass."""


@dataclass(frozen=True, eq=False)
class DenseWork:
    """Seconds per rank of the dense parts, and the bytes of their gradients.

    Attributes
    ----------
    forward, input_gradients, weight_gradients : dict of part to float array (W,) [s]
    gradient_bytes : dict of part to float
        On the wire [bytes].
    optimizer : float array (W,)
        Update of all weights [s].
    stragglers : float array (W,)
        What the rank with the longest samples computes longer than the mean, on every
        rank, since all wait for it [s].
    """

    forward: dict[str, Floats]
    input_gradients: dict[str, Floats]
    weight_gradients: dict[str, Floats]
    gradient_bytes: dict[str, float]
    optimizer: Floats
    stragglers: Floats

    @classmethod
    def nothing(cls, world_size: int) -> Self:
        """Return the work of a model without dense layers."""
        none = dict.fromkeys(PARTS, np.zeros(world_size))
        no_bytes = dict.fromkeys(PARTS, 0.0)
        zeros = np.zeros(world_size)
        return cls(none, none, none, no_bytes, zeros, zeros)

    @classmethod
    def of(
        cls, pricer: ModelPricer, passes: float = 1.0, attention_passes: float = 1.0
    ) -> Self:
        """Time the workload's dense layers on every class of ranks.

        Parameters
        ----------
        pricer : ModelPricer
        passes : float
            How often unfused layers move what fused ones move once.
        attention_passes : float
            How often attention takes what the cost model's kernels take.

        Raises
        ------
        InputError
            If there are layers, but the topology gives no arithmetic rate.
        """
        usage, cluster = pricer.usage, pricer.cluster
        dense = usage.workload.dense
        shape = usage.sample_shape
        if not kernels_of(dense, *shape):
            return cls.nothing(cluster.world_size)
        batch = usage.batch_size / cluster.world_size
        model = pricer.rates.cost_model.dense
        if attention_passes != 1.0:
            model = model.with_attention_in(attention_passes)
        devices = [DenseDevice.of(group, dense.dtype) for group in cluster.host_groups]
        times = [_times(dense, shape, batch, d, model, passes) for d in devices]

        def per_rank(which: int) -> dict[str, Floats]:
            return {
                part: np.array([getattr(found[which], part) for found in times])[
                    cluster.rank_class
                ]
                for part in PARTS
            }

        return cls(
            forward=per_rank(0),
            input_gradients=per_rank(1),
            weight_gradients=per_rank(2),
            gradient_bytes=_gradient_bytes(pricer),
            optimizer=_optimizer_seconds(pricer, devices),
            stragglers=_straggler_seconds(pricer, devices, model, passes),
        )


@lru_cache(maxsize=256)
def _times(
    dense: DenseModel,
    shape: tuple[int, int],
    batch: float,
    device: DenseDevice,
    model: DenseCostModel,
    passes: float,
) -> tuple[DenseTime, DenseTime, DenseTime]:
    """Time forward pass, gradients of inputs and of weights on one device.

    They are the same for all plans of a workload, so the last ones are kept.
    """
    common = (dense, *shape, batch, device, model)
    return (
        dense_forward_time(*common, passes=passes),
        dense_input_gradient_time(*common, passes=passes),
        dense_weight_gradient_time(*common),
    )


class BackwardShare(NamedTuple):
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
) -> list[BackwardShare]:
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
    pieces: list[BackwardShare] = []
    begin = filled = 0.0
    last = max((p for p in PARTS if gradient_bytes[p]), key=PARTS.index, default=None)
    for part in PARTS:
        size = gradient_bytes[part]
        end = total if part == last else begin + size
        inside = [cut for cut in cuts if begin < cut <= end]
        at = begin
        for cut in inside:
            pieces.append(BackwardShare(part, (cut - at) / size, cut - filled))
            at = filled = cut
        if at < end or not size:
            pieces.append(BackwardShare(part, (end - at) / size if size else 1.0, 0.0))
        begin = end
    return pieces


def _gradient_bytes(pricer: ModelPricer) -> dict[str, float]:
    """Bytes of each part's gradients; biases are spread like the weights."""
    workload = pricer.usage.workload
    shape = pricer.usage.sample_shape
    weights: Counter[str] = Counter()
    for kernel in kernels_of(workload.dense, *shape):
        weights[kernel.part] += kernel.repeat * kernel.weights
    parameters = dense_parameters(workload.dense, *shape)
    size = parameters * element_bytes(workload.comm_dtypes.dense)
    total = sum(weights.values())
    return {part: size * weights[part] / total if total else 0.0 for part in PARTS}


def _straggler_seconds(
    pricer: ModelPricer,
    devices: list[DenseDevice],
    model: DenseCostModel,
    passes: float,
) -> Floats:
    """Seconds that every rank waits for the one with the longest samples (W,).

    Notes
    -----
    The deviation between ranks, times the expected largest of W normal numbers.
    """
    usage, cluster = pricer.usage, pricer.cluster
    dense = usage.workload.dense
    batch = usage.batch_size / cluster.world_size
    deviation = [
        length_deviation_time(
            *(dense, *usage.sample_shape, batch, device, model), passes=passes
        )
        for device in devices
    ]
    slowest = slowest_of(cluster.world_size * cluster.topology.replicas)
    return np.asarray(np.array(deviation)[cluster.rank_class] * slowest)


def _optimizer_seconds(pricer: ModelPricer, devices: list[DenseDevice]) -> Floats:
    """Seconds to update the dense weights on every rank (W,).

    Notes
    -----
    Gradients are read, fp32 weights and state read and written; layers of a narrower
    type have a copy of the weights that is written.
    """
    workload = pricer.usage.workload
    parameters = dense_parameters(workload.dense, *pricer.usage.sample_shape)
    optimizer = workload.dense.optimizer or workload.optimizer
    state = float(state_bytes(optimizer, 1.0))
    layer = element_bytes(workload.dense.dtype)
    copy = layer if layer < FP32_BYTES else 0.0
    moved = parameters * (layer + copy + 2.0 * (FP32_BYTES + state))
    efficiency = pricer.rates.cost_model.dense.memory_efficiency.value
    seconds = np.array([moved / (d.memory_bw * efficiency) for d in devices])
    return np.asarray(seconds[pricer.cluster.rank_class])
