"""One training step as a list of operations: what waits for what.

The order of the list is the order in which a runtime issues them, so that what a
stream can do early comes early, and a communication before the computation that
may hide it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.simulation.backward import BackwardPass
from shardplan.simulation.dense_work import DenseWork
from shardplan.simulation.forward import ForwardPass
from shardplan.simulation.network import Network
from shardplan.simulation.sparse_work import SparseWork
from shardplan.simulation.step_parts import LEADS, StepParts

if TYPE_CHECKING:
    from shardplan.plans.evaluation import Evaluation
    from shardplan.simulation.operation import Operation
    from shardplan.simulation.settings import SimulationSettings


def build_program(
    evaluation: Evaluation, settings: SimulationSettings
) -> tuple[Operation, ...]:
    """Return the operations of one step in order of issue.

    Notes
    -----
    Forward: id exchange, cache, lookup, exchange of outputs; beside the latter the
    lookup in replicated tables and the bottom MLP; interaction and top MLP. A
    pipeline issues a later batch's id exchange behind the exchange of outputs.
    Backward: mirrored; the embedding update waits for the exchange of gradients,
    the update of replicated tables and the bottom MLP run beside it. Dense
    gradients are all-reduced bucket by bucket as they become ready.

    References
    ----------
    Naumov et al. 2019, arXiv:1906.00091 (DLRM); Mudigere et al. 2022,
    arXiv:2104.05158, section 4; TorchRec's train pipelines.
    """
    network = Network(evaluation.cluster, evaluation.rates, settings)
    passes = network.runtime.elementwise_passes
    parts = StepParts(
        evaluation=evaluation,
        settings=settings,
        sparse=SparseWork.of(evaluation),
        dense=(
            DenseWork.of(evaluation, 1.0 if passes is None else passes.value)
            if settings.dense
            else DenseWork.nothing(evaluation.cluster.world_size)
        ),
        network=network,
        lead=LEADS[evaluation.plan.inputs.workload.pipeline],
    )
    forward = ForwardPass(**vars(parts))
    backward = BackwardPass(**vars(parts))
    return tuple([*forward.prepare(), *forward.forward(), *backward.backward()])
