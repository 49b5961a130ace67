"""The backward pass of a step, with updates and all-reduces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.steps.dense_work import PARTS, backward_pieces
from shardplan.steps.operation import Operation, Stage, Stream
from shardplan.steps.step_parts import StepParts, compute, reduce_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.records.arrays import Floats
    from shardplan.steps.sparse_work import Exchange


_DDP_BUCKET_BYTES = 25.0 * 2**20  # PyTorch, DistributedDataParallel(bucket_cap_mb)


class BackwardPass(StepParts):
    """Makes the operations from the loss to the updated tables and weights."""

    def backward(self) -> Iterator[Operation]:
        """From the loss back to the updated tables and dense gradients."""
        if self.runtime.async_weight_gradients:
            yield from self._backward_weights_later()
            return
        pieces = self._dense_pieces(self._whole_gradients(), {})
        yield from pieces["top"]
        # The exchange goes before the last bucket: more work waits for it.
        *early, last = pieces["interaction"]
        sync = [last] if last.stage is Stage.DENSE_SYNC else []
        yield from early if sync else pieces["interaction"]
        ready = [
            operation.name
            for operation in pieces["interaction"]
            if operation.stage is Stage.DENSE_BACKWARD
        ][-1]
        slowest = self._slowest_rank(ready)
        yield from slowest
        behind = slowest[-1].name if slowest else ready
        gradients = list(self._gradient_exchange(self.sparse.gradients, behind))
        yield from gradients
        yield from sync
        yield from self._replicated_backward(ready)
        yield from pieces["bottom"]
        yield self._embedding_backward(ready, gradients)
        yield self._dense_optimizer([op for part in PARTS for op in pieces[part]])
        yield from self._replica_sync()

    def _backward_weights_later(self) -> Iterator[Operation]:
        """Backward pass that puts the gradients of weights off.

        References
        ----------
        HugeCTR, ``DenseLayerComputeConfig(async_wgrad=True)``.
        """
        before = "top_forward"
        chain: dict[str, str] = {}
        for part in PARTS:
            chain[part] = f"{part}_backward"
            yield compute(
                chain[part],
                Stage.DENSE_BACKWARD,
                self.dense.input_gradients[part],
                after=(before,),
            )
            before = chain[part]
            if part == "interaction":
                slowest = self._slowest_rank(chain[part])
                yield from slowest
                behind = slowest[-1].name if slowest else chain[part]
                gradients = list(self._gradient_exchange(self.sparse.gradients, behind))
                yield from gradients
        yield from self._replicated_backward(chain["interaction"])
        pieces = self._dense_pieces(self.dense.weight_gradients, chain)
        for part in PARTS:
            yield from pieces[part]
        yield self._embedding_backward(chain["interaction"], gradients)
        yield self._dense_optimizer([op for part in PARTS for op in pieces[part]])
        yield from self._replica_sync()

    def _slowest_rank(self, ready: str) -> list[Operation]:
        """Return what the rank with the longest samples computes before all meet."""
        seconds = self.dense.stragglers
        if not self.settings.stragglers or not seconds.any():
            return []
        stage = Stage.DENSE_BACKWARD
        return [compute("longest_samples", stage, seconds, after=(ready,))]

    def _replicated_backward(self, ready: str) -> Iterator[Operation]:
        """Gradients of replicated tables, and their all-reduce."""
        floor = self.pricer.rates.cost_model.lookup.backward_floor_s.value
        yield compute(
            "replicated_backward",
            Stage.BWD_COMPUTE,
            self.at_least(floor, self.sparse.replicated_backward),
            after=(ready,),
        )
        if not self.joins_all_reduces:
            yield self.collective(
                "replicated_all_reduce",
                Stage.BWD_COMMS,
                self.network.all_reduce(self.sparse.replica_bytes),
                after=("replicated_backward",),
                stream=self.reduction,
            )

    def _embedding_backward(self, ready: str, gradients: list[Operation]) -> Operation:
        """Update of the sharded tables."""
        floor = self.pricer.rates.cost_model.lookup.backward_floor_s.value
        return compute(
            "embedding_backward",
            Stage.BWD_COMPUTE,
            self.at_least(floor, self.sparse.backward),
            after=(ready, *(operation.name for operation in gradients)),
        )

    def _dense_optimizer(self, pieces: list[Operation]) -> Operation:
        """Update of the dense weights, when all of their gradients are reduced."""
        reduced = [op.name for op in pieces if op.stage is Stage.DENSE_SYNC]
        last = [op.name for op in pieces][-1:]
        return compute(
            "dense_optimizer",
            Stage.DENSE_BACKWARD,
            self.dense.optimizer,
            after=tuple(reduced or last),
        )

    def _replica_sync(self) -> Iterator[Operation]:
        """Averaging of the copies of other sharding groups, after all updates.

        Notes
        -----
        Ranks meet their copies, which are as busy as they are, not each other.
        """
        if self.pricer.cluster.topology.replicas > 1:
            yield Operation(
                "replica_sync",
                Stage.BWD_COMMS,
                Stream.COMMUNICATION,
                self.sparse.replica_sync,
                after=("embedding_backward", "dense_optimizer"),
            )

    def _gradient_exchange(self, exchange: Exchange, ready: str) -> Iterator[Operation]:
        """All-to-all, then the all-gathers: the transpose of the outputs'."""
        yield compute(
            "gradient_encode", Stage.BWD_COMMS, exchange.encode, after=(ready,)
        )
        yield self.collective(
            "gradient_all_to_all",
            Stage.BWD_COMMS,
            self.network.gather(exchange),
            after=("gradient_encode",),
        )
        before = ("gradient_all_to_all",)
        for scope, name in reduce_names("all_gather"):
            yield self.reduce(name, Stage.BWD_COMMS, exchange, scope, before)
            before = (name,)

    def _whole_gradients(self) -> dict[str, Floats]:
        """Seconds of each part's backward pass."""
        dense = self.dense
        return {
            part: dense.input_gradients[part] + dense.weight_gradients[part]
            for part in PARTS
        }

    def _dense_pieces(
        self, seconds: dict[str, Floats], chain: dict[str, str]
    ) -> dict[str, list[Operation]]:
        """Pieces of each part's gradients, with the buckets between them.

        With a `chain` of input gradients the pieces are those of weights alone.
        """
        parts: dict[str, list[Operation]] = {}
        before, bucket = "top_forward", 0
        kind = "weights" if chain else "backward"
        for piece in backward_pieces(self.dense.gradient_bytes, self._bucket_bytes()):
            listed = parts.setdefault(piece.part, [])
            number = sum(op.stage is Stage.DENSE_BACKWARD for op in listed)
            name = f"{piece.part}_{kind}" + (f".{number}" if number else "")
            listed.append(
                compute(
                    name,
                    Stage.DENSE_BACKWARD,
                    seconds[piece.part] * piece.share,
                    after=(chain.get(piece.part, before),),
                )
            )
            before = name
            if piece.bucket_bytes:
                joined, also = self._joined() if not bucket else (0.0, ())
                listed.append(
                    self.collective(
                        f"dense_all_reduce.{bucket}",
                        Stage.DENSE_SYNC,
                        self.network.all_reduce(piece.bucket_bytes + joined),
                        after=(name, *also),
                        stream=self.reduction,
                    )
                )
                bucket += 1
        return parts

    @property
    def joins_all_reduces(self) -> bool:
        """Whether gradients of replicated tables go with those of dense weights."""
        return (
            self.runtime.async_weight_gradients
            and self.settings.latency
            and any(self.dense.gradient_bytes.values())
        )

    @property
    def first_bucket_bytes(self) -> float:
        """Dense gradients of the all-reduce that others may join [bytes]."""
        pieces = backward_pieces(self.dense.gradient_bytes, self._bucket_bytes())
        return next((p.bucket_bytes for p in pieces if p.bucket_bytes), 0.0)

    def _joined(self) -> tuple[float, tuple[str, ...]]:
        """Bytes that join an all-reduce of dense gradients, and what they wait for."""
        if not self.joins_all_reduces:
            return 0.0, ()
        return self.sparse.replica_bytes, ("replicated_backward",)

    def _bucket_bytes(self) -> float:
        """Return the bytes of dense gradients that are reduced at once."""
        own = self.runtime.gradient_bucket_bytes
        default = _DDP_BUCKET_BYTES if own is None else own.value
        return self.settings.bucket_bytes or default
