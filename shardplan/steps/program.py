"""One training step as a list of operations: what waits for what.

The order of the list is the order in which a runtime issues them, so that what a
stream can do early comes early, and a communication before the computation that
may hide it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.steps.backward import BackwardPass
from shardplan.steps.dense_work import DenseWork
from shardplan.steps.forward import ForwardPass
from shardplan.steps.network import Network
from shardplan.steps.step_parts import LEADS, StepParts

if TYPE_CHECKING:
    from shardplan.costs.pricer import ModelPricer
    from shardplan.records.coefficient import Coefficient
    from shardplan.steps.operation import Operation
    from shardplan.steps.settings import SimulationSettings
    from shardplan.steps.sparse_work import SparseWork


def build_program(
    pricer: ModelPricer, sparse: SparseWork, settings: SimulationSettings
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
    parts = step_parts(pricer, sparse, settings)
    forward = ForwardPass(**vars(parts))
    backward = BackwardPass(**vars(parts))
    return (*forward.prepare(), *forward.forward(), *backward.backward())


def step_parts(
    pricer: ModelPricer, sparse: SparseWork, settings: SimulationSettings
) -> StepParts:
    """Return what the passes of a step are made from."""
    network = Network(pricer.cluster, pricer.rates, settings)
    runtime = network.runtime
    return StepParts(
        pricer=pricer,
        settings=settings,
        sparse=sparse,
        dense=(
            DenseWork.of(
                pricer,
                _or_once(runtime.elementwise_passes),
                _or_once(runtime.attention_passes),
            )
            if settings.dense
            else DenseWork.nothing(pricer.cluster.world_size)
        ),
        network=network,
        lead=LEADS[pricer.usage.workload.pipeline],
    )


def _or_once(passes: Coefficient | None) -> float:
    """Return how often something is done; once where nothing is said."""
    return 1.0 if passes is None else passes.value
