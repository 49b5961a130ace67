"""The forward pass of a step, and what prepares it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.memory.storage import FP32_BYTES
from shardplan.steps.network import Transfer
from shardplan.steps.operation import Operation, Stage, Stream
from shardplan.steps.step_parts import START, StepParts, compute, reduce_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.steps.sparse_work import Exchange


class ForwardPass(StepParts):
    """Makes the operations from the input copy to the loss."""

    def prepare(self) -> Iterator[Operation]:
        """Overhead, input copy, id exchange and cache prefetch."""
        overhead = self.runtime.step_overhead_s.value * self.settings.overhead
        world = self.pricer.cluster.world_size
        yield Operation(
            "overhead", Stage.OVERHEAD, Stream.COMPUTE, np.full(world, overhead)
        )
        yield self.copy(
            "input_copy",
            Stage.INPUT_COPY,
            self._input_copy(),
            lead=self.lead.input_copy,
        )
        if not self.lead.input_dist:
            yield from self._id_exchange()
        fetched = self.network.routes.copies(self.sparse.prefetch_bytes)
        yield self.copy(
            "cache_prefetch",
            Stage.PREFETCH_COMPUTE,
            Transfer(self.sparse.prefetch, fetched),
            after=("id_exchange",),
            lead=self.lead.prefetch,
            stream=Stream.COPY if self.lead.prefetch else Stream.COMPUTE,
        )

    def forward(self) -> Iterator[Operation]:
        """Lookup, exchange of outputs, and the dense layers up to the loss."""
        floor = self.pricer.rates.cost_model.lookup.forward_floor_s.value
        yield compute(
            "embedding_forward",
            Stage.FWD_COMPUTE,
            self.at_least(floor, self.sparse.forward),
            after=("id_exchange", "cache_prefetch"),
            behind=START,
        )
        outputs = list(self._output_exchange(self.sparse.outputs))
        yield from outputs
        if self.lead.input_dist:
            yield from self._id_exchange()
        yield compute(
            "replicated_forward",
            Stage.FWD_COMPUTE,
            self.at_least(floor, self.sparse.replicated_forward),
            after=("input_copy",),
            behind=START,
        )
        dense, stage = self.dense.forward, Stage.DENSE_FORWARD
        yield compute(
            "bottom_forward",
            stage,
            dense["bottom"],
            after=("input_copy",),
            behind=START,
        )
        yield compute(
            "interaction_forward",
            stage,
            dense["interaction"],
            after=(
                "bottom_forward",
                "replicated_forward",
                *(operation.name for operation in outputs),
            ),
        )
        yield compute(
            "top_forward", stage, dense["top"], after=("interaction_forward",)
        )

    def _id_exchange(self) -> Iterator[Operation]:
        """Lengths, then ids; those of a later batch after this one's outputs."""
        before, network = "input_copy", self.network
        for name, num_bytes in (
            ("length_exchange", self.sparse.length_bytes),
            ("id_exchange", self.sparse.id_bytes),
        ):
            exchanged = self.settings.id_exchange
            yield self.collective(
                name,
                Stage.INPUT_DIST,
                network.gather_ids(num_bytes) if exchanged else network.nothing(),
                after=(before,),
                behind=START,
                lead=self.lead.input_dist,
            )
            before = name

    def _output_exchange(self, exchange: Exchange) -> Iterator[Operation]:
        """Reduce-scatters inside groups and among all, then the all-to-all."""
        yield compute(
            "output_encode",
            Stage.FWD_COMMS,
            exchange.encode,
            after=("embedding_forward",),
        )
        before: tuple[str, ...] = ("output_encode",)
        for scope, name in reduce_names("reduce_scatter"):
            yield self.reduce(name, Stage.FWD_COMMS, exchange, scope, before)
            before = (name,)
        yield self.collective(
            "output_all_to_all",
            Stage.FWD_COMMS,
            self.network.spread(exchange),
            after=before,
        )

    def _input_copy(self) -> Transfer:
        """Copy a rank's ids, lengths and dense features to its device.

        Notes
        -----
        The bytes of 1/W of the batch over the rank's share of the way to host
        memory, at the efficiency of cache misses; a CPU has nothing to copy.
        """
        cluster, usage = self.pricer.cluster, self.pricer.usage
        if not self.settings.input_copy or cluster.is_cpu:
            nothing = np.zeros(cluster.world_size)
            return Transfer(nothing, self.network.routes.copies(nothing))
        workload = usage.workload
        sparse = float(usage.num_lookups @ usage.id_bytes)
        sparse += float(usage.num_lengths.sum()) * workload.index_bytes
        dense = usage.batch_size * workload.dense.num_dense * FP32_BYTES
        num_bytes = (sparse + dense) / cluster.world_size
        seconds = num_bytes / self.pricer.rates.miss_bw[cluster.rank_class]
        copied = np.full(cluster.world_size, num_bytes)
        return Transfer(seconds, self.network.routes.copies(copied))
