"""Price shards by operations of the step instead of phases, and turn loads into work.

The prices are those of `costs.pricing.price`, split by who does what; from what they
add up to on every rank follow the bytes of every collective.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs import messages
from shardplan.costs.pricing import ShardPrices
from shardplan.costs.replica_sync import sync_seconds
from shardplan.costs.shards import volumes_of
from shardplan.records.sharding import PHASES, Phase
from shardplan.steps.model import step_model
from shardplan.steps.sparse_work import Exchange, SparseWork
from shardplan.steps.step_parts import reduce_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shardplan.costs.memory.capacity import Capacity
    from shardplan.costs.pricer import Item, ModelPricer
    from shardplan.costs.shards import ShardArrays
    from shardplan.records.arrays import Floats
    from shardplan.steps.model import Prediction


REPLICAS = "replicated_all_reduce"
REPLICA_SYNC = "replica_sync"


@dataclass(frozen=True, eq=False)
class StepPricer:
    """Prices shards in the operations of a step.

    Notes
    -----
    All-to-alls among ranks, and reductions in the groups of each scope, are columns of
    their own: what groups exchange after a reduction follows from the latter.
    """

    model: ModelPricer

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the operations, as `build_program` has them."""
        return (
            "length_exchange",
            "id_exchange",
            "cache_prefetch",
            "embedding_forward",
            "replicated_forward",
            "output_encode",
            *(name for _, name in reduce_names("reduce_scatter")),
            "output_all_to_all",
            "gradient_encode",
            "gradient_all_to_all",
            *(name for _, name in reduce_names("all_gather")),
            "replicated_backward",
            REPLICAS,
            "embedding_backward",
            *((REPLICA_SYNC,) if self.model.cluster.topology.replicas > 1 else ()),
        )

    def price(self, shards: ShardArrays) -> ShardPrices:
        """Price shards: seconds (N, C, R) without latencies and floors."""
        prices, model = self.model.price(shards), self.model
        usage, rates = model.usage, model.rates
        world = rates.world_size
        copy = shards.is_replicated[:, None]

        def phase(which: Phase) -> Floats:
            return prices.cost[:, :, PHASES.index(which)]

        def sent(num_bytes: Floats, s_per_byte: Floats) -> Floats:
            return np.asarray(num_bytes[:, None] * s_per_byte)

        lengths = messages.length_bytes(shards, usage)
        ids = messages.id_bytes(shards, usage, world)
        replicas = 2.0 * messages.replica_bytes(shards, usage)
        columns = {
            "length_exchange": sent(lengths, rates.all_to_all),
            "id_exchange": sent(ids, rates.all_to_all),
            "cache_prefetch": phase(Phase.PREFETCH_COMPUTE),
            "embedding_forward": phase(Phase.FWD_COMPUTE) * ~copy,
            "replicated_forward": phase(Phase.FWD_COMPUTE) * copy,
            "replicated_backward": phase(Phase.BWD_COMPUTE) * copy,
            "embedding_backward": phase(Phase.BWD_COMPUTE) * ~copy,
            REPLICAS: sent(replicas, rates.all_reduce),
            REPLICA_SYNC: sync_seconds(shards, volumes_of(shards, usage, world), rates),
        }
        is_sum = messages.reduces(shards, usage)
        for which, exchange, reduction in _EXCHANGES:
            outputs = messages.output_bytes(which, shards, usage, rates)
            columns[f"{exchange}_encode"] = outputs.encode_s
            whole = np.where(is_sum, 0.0, outputs.num_bytes)
            columns[f"{exchange}_all_to_all"] = sent(whole, rates.all_to_all)
            for scope, name in reduce_names(reduction):
                summed = is_sum & (shards.scope == scope)
                array = np.where(summed, outputs.num_bytes, 0.0)
                columns[name] = sent(array, rates.reduce_scatter[scope])
        cost = np.stack([columns[name] for name in self.phases], axis=2)
        return ShardPrices(cost, prices.tier_bytes)

    def items(self, shards: ShardArrays) -> Iterable[Item]:
        """List what shards store: item, index of the tier, bytes (N,)."""
        return self.model.items(shards)

    def capacity(self) -> Capacity:
        """Memory that is left for embeddings."""
        return self.model.capacity()

    def work(self, cost: Floats) -> SparseWork:
        """Return the work that loads (W, R) stand for; copies to caches are left out.

        Notes
        -----
        Bytes are seconds over the price of a byte; where one takes no time, it does not
        matter how many there are.
        """
        rates, rank_class = self.model.rates, self.model.cluster.rank_class
        load = dict(zip(self.phases, cost.T, strict=True))

        def num_bytes(name: str, s_per_byte: Floats) -> Floats:
            price = s_per_byte[rank_class]
            found = load[name] / np.where(price > 0, price, 1.0)
            return np.asarray(np.where(price > 0, found, 0.0))

        def exchange(name: str, reduction: str) -> Exchange:
            sums = {
                scope: num_bytes(reduced, rates.reduce_scatter[scope])
                for scope, reduced in reduce_names(reduction)
            }
            return Exchange(
                num_bytes(f"{name}_all_to_all", rates.all_to_all),
                {scope: array for scope, array in sums.items() if array.any()},
                load[f"{name}_encode"],
            )

        replicas = num_bytes(REPLICAS, rates.all_reduce)
        return SparseWork(
            length_bytes=num_bytes("length_exchange", rates.all_to_all),
            id_bytes=num_bytes("id_exchange", rates.all_to_all),
            prefetch=load["cache_prefetch"],
            prefetch_bytes=np.zeros(len(cost)),
            forward=load["embedding_forward"],
            backward=load["embedding_backward"],
            replicated_forward=load["replicated_forward"],
            replicated_backward=load["replicated_backward"],
            outputs=exchange("output", "reduce_scatter"),
            gradients=exchange("gradient", "all_gather"),
            replica_bytes=float(replicas.max()) / 2.0,
            replica_sync=load.get(REPLICA_SYNC, np.zeros(len(cost))),
        )

    def predict(self, cost: Floats) -> Prediction:
        """Predict the step for loads (W, R) [s]."""
        return step_model(self.model).predict(self.work(cost))


_EXCHANGES = (
    (Phase.FWD_COMMS, "output", "reduce_scatter"),
    (Phase.BWD_COMMS, "gradient", "all_gather"),
)
