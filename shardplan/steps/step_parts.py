"""What the forward and the backward pass of a step are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import SCOPES, Scope
from shardplan.records.workload import Pipeline
from shardplan.steps.operation import Operation, Stage, Stream, meeting

if TYPE_CHECKING:
    from shardplan.costs.pricer import ModelPricer
    from shardplan.records.arrays import Floats
    from shardplan.records.cost_model import RuntimeModel
    from shardplan.steps.dense_work import DenseWork
    from shardplan.steps.network import Network, Transfer
    from shardplan.steps.settings import SimulationSettings
    from shardplan.steps.sparse_work import Exchange, SparseWork


START = ("overhead",)
"""What the operations of a step that need nothing else wait for."""


class Lead(NamedTuple):
    """Batches that the preparation of a batch runs ahead of its computation."""

    input_copy: int
    input_dist: int
    prefetch: int


LEADS = {
    Pipeline.NONE: Lead(0, 0, 0),
    Pipeline.SPARSE_DIST: Lead(2, 1, 0),
    Pipeline.PREFETCH_SPARSE_DIST: Lead(3, 2, 1),
}
"""As in ``torchrec.distributed.train_pipeline``: each part one batch further."""


@dataclass(frozen=True, eq=False)
class StepParts:
    """The work of a step, and how to make operations of it."""

    pricer: ModelPricer
    settings: SimulationSettings
    sparse: SparseWork
    dense: DenseWork
    network: Network
    lead: Lead

    @property
    def runtime(self) -> RuntimeModel:
        """The program that runs the step."""
        return self.network.runtime

    def reduce(
        self,
        name: str,
        stage: Stage,
        exchange: Exchange,
        scope: Scope,
        after: tuple[str, ...],
    ) -> Operation:
        """Make a reduce-scatter or all-gather of one scope."""
        array = exchange.sums.get(scope)
        network = self.network
        transfer = network.nothing() if array is None else network.reduce(array, scope)
        return self.collective(name, stage, transfer, after=after, scope=scope)

    def collective(
        self,
        name: str,
        stage: Stage,
        transfer: Transfer,
        *,
        after: tuple[str, ...],
        behind: tuple[str, ...] = (),
        lead: int = 0,
        scope: Scope = Scope.ALL,
        stream: Stream = Stream.COMMUNICATION,
    ) -> Operation:
        """Make a collective inside the groups of a scope."""
        groups = self.pricer.cluster.groups(scope)
        return Operation(
            name,
            stage,
            stream,
            transfer.seconds,
            after=after,
            behind=behind,
            lead=lead,
            meets=meeting(groups.of_rank, transfer.seconds),
            slowdown=self.network.slowdown(scope),
            traffic=transfer.traffic,
            uses=self.network.uses(transfer),
        )

    def copy(
        self,
        name: str,
        stage: Stage,
        transfer: Transfer,
        *,
        after: tuple[str, ...] = (),
        lead: int,
        stream: Stream = Stream.COPY,
    ) -> Operation:
        """Make a copy from the host's memory."""
        return Operation(
            name,
            stage,
            stream,
            transfer.seconds,
            after=after,
            behind=START,
            lead=lead,
            traffic=transfer.traffic,
            uses=self.network.uses(transfer) if stream is Stream.COPY else None,
        )

    @property
    def reduction(self) -> Stream:
        """The stream of all-reduces."""
        if self.runtime.separate_all_reduce:
            return Stream.REDUCTION
        return Stream.COMMUNICATION

    def at_least(self, floor: float, seconds: Floats) -> Floats:
        """Raise kernels that run at all to their least time; count their passes."""
        passes = self.runtime.lookup_passes
        if self.settings.overhead and passes is not None:
            seconds = seconds * passes.value
        if not self.settings.floors:
            return seconds
        return np.where(seconds > 0, np.maximum(seconds, floor), 0.0)


def compute(
    name: str,
    stage: Stage,
    seconds: Floats,
    *,
    after: tuple[str, ...],
    behind: tuple[str, ...] = (),
) -> Operation:
    """Make a computation."""
    return Operation(name, stage, Stream.COMPUTE, seconds, after=after, behind=behind)


def reduce_names(kind: str) -> list[tuple[Scope, str]]:
    """Name the collective of each scope that reduces; that of all ranks comes last."""
    groups = [scope for scope in SCOPES if scope not in (Scope.RANK, Scope.ALL)]
    return [*((scope, f"{scope.name}_{kind}") for scope in groups), (Scope.ALL, kind)]
