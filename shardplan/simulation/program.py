"""One training step as a list of operations: what waits for what.

The order of the list is the order in which a runtime issues them, so that what a
stream can do early comes early, and a communication before the computation that
may hide it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.storage import FP32_BYTES
from shardplan.sharding import Scope
from shardplan.simulation.dense_work import DenseWork, backward_pieces
from shardplan.simulation.network import Network
from shardplan.simulation.operation import Operation, Stage, Stream, meeting
from shardplan.simulation.sparse_work import GROUP_SCOPES, SparseWork
from shardplan.workload import Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from shardplan.evaluation import Evaluation
    from shardplan.simulation.settings import SimulationSettings
    from shardplan.simulation.sparse_work import Exchange

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


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

_START = ("overhead",)


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
    builder = _Builder(
        evaluation=evaluation,
        settings=settings,
        sparse=SparseWork.of(evaluation),
        dense=(
            DenseWork.of(evaluation)
            if settings.dense
            else DenseWork.nothing(evaluation.cluster.world_size)
        ),
        network=Network(evaluation, settings),
        lead=LEADS[evaluation.plan.inputs.workload.pipeline],
    )
    return tuple([*builder.prepare(), *builder.forward(), *builder.backward()])


@dataclass(frozen=True, eq=False)
class _Builder:
    """Makes the operations of the three parts of a step."""

    evaluation: Evaluation
    settings: SimulationSettings
    sparse: SparseWork
    dense: DenseWork
    network: Network
    lead: Lead

    def prepare(self) -> Iterator[Operation]:
        """Overhead, input copy, id exchange and cache prefetch."""
        runtime = self.evaluation.rates.cost_model.runtime
        overhead = runtime.step_overhead_s.value if self.settings.overhead else 0.0
        world = self.evaluation.cluster.world_size
        yield Operation(
            "overhead", Stage.OVERHEAD, Stream.COMPUTE, np.full(world, overhead)
        )
        yield Operation(
            "input_copy",
            Stage.INPUT_COPY,
            Stream.COPY,
            self._input_copy_seconds(),
            behind=_START,
            lead=self.lead.input_copy,
        )
        if not self.lead.input_dist:
            yield from self._id_exchange()
        yield Operation(
            "cache_prefetch",
            Stage.PREFETCH_COMPUTE,
            Stream.COPY if self.lead.prefetch else Stream.COMPUTE,
            self.sparse.prefetch,
            after=("id_exchange",),
            behind=_START,
            lead=self.lead.prefetch,
        )

    def forward(self) -> Iterator[Operation]:
        """Lookup, exchange of outputs, and the dense layers up to the loss."""
        floor = self.evaluation.rates.cost_model.lookup.forward_floor_s.value
        yield _compute(
            "embedding_forward",
            Stage.FWD_COMPUTE,
            self._at_least(floor, self.sparse.forward),
            after=("id_exchange", "cache_prefetch"),
            behind=_START,
        )
        outputs = list(self._output_exchange(self.sparse.outputs))
        yield from outputs
        if self.lead.input_dist:
            yield from self._id_exchange()
        yield _compute(
            "replicated_forward",
            Stage.FWD_COMPUTE,
            self._at_least(floor, self.sparse.replicated_forward),
            after=("input_copy",),
            behind=_START,
        )
        dense, stage = self.dense.forward, Stage.DENSE_FORWARD
        yield _compute(
            "bottom_forward",
            stage,
            dense["bottom"],
            after=("input_copy",),
            behind=_START,
        )
        yield _compute(
            "interaction_forward",
            stage,
            dense["interaction"],
            after=(
                "bottom_forward",
                "replicated_forward",
                *(operation.name for operation in outputs),
            ),
        )
        yield _compute(
            "top_forward", stage, dense["top"], after=("interaction_forward",)
        )

    def backward(self) -> Iterator[Operation]:
        """From the loss back to the updated tables and dense gradients."""
        floor = self.evaluation.rates.cost_model.lookup.backward_floor_s.value
        parts = self._dense_backward()
        yield from parts["top"]
        # The exchange goes before the last bucket: more work waits for it.
        *early, last = parts["interaction"]
        sync = [last] if last.stage is Stage.DENSE_SYNC else []
        yield from early if sync else parts["interaction"]
        ready = [
            operation.name
            for operation in parts["interaction"]
            if operation.stage is Stage.DENSE_BACKWARD
        ][-1:]
        gradients = list(self._gradient_exchange(self.sparse.gradients, *ready))
        yield from gradients
        yield from sync
        yield _compute(
            "replicated_backward",
            Stage.BWD_COMPUTE,
            self._at_least(floor, self.sparse.replicated_backward),
            after=(*ready,),
        )
        yield self._collective(
            "replicated_all_reduce",
            Stage.BWD_COMMS,
            self._replicated_all_reduce_seconds(),
            after=("replicated_backward",),
        )
        yield from parts["bottom"]
        yield _compute(
            "embedding_backward",
            Stage.BWD_COMPUTE,
            self._at_least(floor, self.sparse.backward),
            after=(*ready, *(operation.name for operation in gradients)),
        )

    def _id_exchange(self) -> Iterator[Operation]:
        """Lengths, then ids; those of a later batch after this one's outputs."""
        before = "input_copy"
        for name, seconds in (
            ("length_exchange", self.sparse.lengths),
            ("id_exchange", self.sparse.ids),
        ):
            yield self._collective(
                name,
                Stage.INPUT_DIST,
                self.network.all_to_all(seconds),
                after=(before,),
                behind=_START,
                lead=self.lead.input_dist,
            )
            before = name

    def _output_exchange(self, exchange: Exchange) -> Iterator[Operation]:
        """Reduce-scatters inside groups and among all, then the all-to-all."""
        before: tuple[str, ...] = ("embedding_forward",)
        for scope, name in _reduce_names("reduce_scatter"):
            yield self._reduce(name, Stage.FWD_COMMS, exchange, scope, before)
            before = (name,)
        yield self._collective(
            "output_all_to_all",
            Stage.FWD_COMMS,
            self.network.all_to_all(exchange.personal),
            after=before,
        )

    def _gradient_exchange(self, exchange: Exchange, ready: str) -> Iterator[Operation]:
        """All-to-all, then the all-gathers: the transpose of the outputs'."""
        yield self._collective(
            "gradient_all_to_all",
            Stage.BWD_COMMS,
            self.network.all_to_all(exchange.personal),
            after=(ready,),
        )
        before = ("gradient_all_to_all",)
        for scope, name in _reduce_names("all_gather"):
            yield self._reduce(name, Stage.BWD_COMMS, exchange, scope, before)
            before = (name,)

    def _dense_backward(self) -> dict[str, list[Operation]]:
        """Pieces of each part's backward pass, with the buckets between them."""
        parts: dict[str, list[Operation]] = {}
        before, bucket = "top_forward", 0
        pieces = backward_pieces(self.dense.gradient_bytes, self.settings.bucket_bytes)
        for piece in pieces:
            listed = parts.setdefault(piece.part, [])
            number = sum(op.stage is Stage.DENSE_BACKWARD for op in listed)
            name = f"{piece.part}_backward" + (f".{number}" if number else "")
            seconds = self.dense.backward[piece.part] * piece.share
            listed.append(
                _compute(name, Stage.DENSE_BACKWARD, seconds, after=(before,))
            )
            before = name
            if piece.bucket_bytes:
                listed.append(
                    self._collective(
                        f"dense_all_reduce.{bucket}",
                        Stage.DENSE_SYNC,
                        self.network.all_reduce(piece.bucket_bytes),
                        after=(name,),
                    )
                )
                bucket += 1
        return parts

    def _reduce(
        self,
        name: str,
        stage: Stage,
        exchange: Exchange,
        scope: Scope,
        after: tuple[str, ...],
    ) -> Operation:
        seconds = self.network.reduce(exchange.reduce[scope], scope)
        return self._collective(name, stage, seconds, after=after, scope=scope)

    def _collective(
        self,
        name: str,
        stage: Stage,
        seconds: Floats,
        *,
        after: tuple[str, ...],
        behind: tuple[str, ...] = (),
        lead: int = 0,
        scope: Scope = Scope.ALL,
    ) -> Operation:
        return Operation(
            name,
            stage,
            Stream.COMMUNICATION,
            seconds,
            after=after,
            behind=behind,
            lead=lead,
            meets=meeting(self._group(scope), seconds),
            slowdown=self.network.slowdown(scope),
        )

    def _group(self, scope: Scope) -> Ints:
        cluster = self.evaluation.cluster
        if scope is Scope.HOST:
            return cluster.rank_host
        if scope is Scope.DOMAIN:
            return cluster.rank_domain
        return np.zeros(cluster.world_size, dtype=np.int64)

    def _at_least(self, floor: float, seconds: Floats) -> Floats:
        """Raise kernels that run at all to their least time."""
        if not self.settings.floors:
            return seconds
        return np.where(seconds > 0, np.maximum(seconds, floor), 0.0)

    def _replicated_all_reduce_seconds(self) -> Floats:
        """Seconds for the gradients of replicated tables, which all ranks hold."""
        cluster = self.evaluation.cluster
        per_byte = 2.0 * self.evaluation.rates.reduce_scatter["all"]
        seconds = self.sparse.replicated_all_reduce
        slowest = int(seconds.argmax())
        rate = float(per_byte[cluster.rank_class[slowest]])
        if not rate or not self.settings.latency:
            return seconds
        return self.network.all_reduce(float(seconds[slowest]) / rate)

    def _input_copy_seconds(self) -> Floats:
        """Seconds to copy a rank's ids, lengths and dense features to its device.

        Notes
        -----
        The bytes of 1/W of the batch over the rank's share of the way to host
        memory, at the efficiency of cache misses; a CPU has nothing to copy.
        """
        cluster, usage = self.evaluation.cluster, self.evaluation.usage
        if not self.settings.input_copy or cluster.is_cpu:
            return np.zeros(cluster.world_size)
        workload = usage.workload
        sparse = float(usage.num_lookups @ usage.id_bytes)
        features = sum(table.num_outputs for table in workload.tables)
        sparse += usage.batch_size * features * workload.index_bytes
        dense = usage.batch_size * workload.dense.num_dense * FP32_BYTES
        num_bytes = (sparse + dense) / cluster.world_size
        return np.asarray(num_bytes / self.evaluation.rates.miss_bw)[cluster.rank_class]


def _compute(
    name: str,
    stage: Stage,
    seconds: Floats,
    *,
    after: tuple[str, ...],
    behind: tuple[str, ...] = (),
) -> Operation:
    return Operation(name, stage, Stream.COMPUTE, seconds, after=after, behind=behind)


def _reduce_names(kind: str) -> list[tuple[Scope, str]]:
    """Name the collective of each scope that reduces."""
    groups = [(scope, f"{key}_{kind}") for scope, key in GROUP_SCOPES.items()]
    return [*groups, (Scope.ALL, kind)]
