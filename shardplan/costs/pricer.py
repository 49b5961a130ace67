"""Choose how shards are priced: by our cost model, or by TorchRec's planner's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shardplan.costs.memory.capacity import Capacity
from shardplan.costs.memory.footprint import storage_items
from shardplan.costs.pricing import price
from shardplan.costs.rates import ClassRates
from shardplan.costs.shards import volumes_of
from shardplan.costs.torchrec.pricer import TorchRecPricer
from shardplan.errors import Fault, InputError
from shardplan.records.sharding import PHASES, Target
from shardplan.records.torchrec_cost_model import TorchRecCostModel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shardplan.costs.cluster import Cluster
    from shardplan.costs.pricing import ShardPrices
    from shardplan.costs.shards import ShardArrays
    from shardplan.costs.usage import TableUsage
    from shardplan.records.arrays import Floats
    from shardplan.records.torchrec_cost_model import AnyCostModel

    Item = tuple[str, int, Floats]

_STASHED = (
    "is not modelled by cost model {}: neither the copies of a step over PCIe nor the "
    "HBM that is free meanwhile; plan with cost model torchrec, or without it"
)


class Pricer(Protocol):
    """Prices shards of one workload on one cluster.

    Attributes
    ----------
    phases : tuple of str
        Names of the P phases that every shard is priced in.
    """

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the phases."""

    def price(self, shards: ShardArrays) -> ShardPrices:
        """Price shards: seconds per class and phase, bytes per tier."""

    def items(self, shards: ShardArrays) -> Iterable[Item]:
        """List what shards store: item, index of the tier, bytes (N,)."""

    def capacity(self) -> Capacity:
        """Memory that is left for embeddings."""


@dataclass(frozen=True, eq=False)
class ModelPricer:
    """Our own cost model; see :func:`shardplan.costs.pricing.price`."""

    cluster: Cluster
    usage: TableUsage
    rates: ClassRates

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the phases."""
        return tuple(phase.value for phase in PHASES)

    def price(self, shards: ShardArrays) -> ShardPrices:
        """Price shards."""
        return price(shards, self.usage, self.rates)

    def items(self, shards: ShardArrays) -> Iterable[Item]:
        """List what shards store: rows, state, caches and buffers."""
        volumes = volumes_of(shards, self.usage, self.cluster.world_size)
        return storage_items(shards, volumes, self.usage, self.rates)

    def capacity(self) -> Capacity:
        """Memory that is left for embeddings."""
        return Capacity.of(self.cluster, self.usage, self.rates.cost_model)


def make_pricer(
    cluster: Cluster, usage: TableUsage, cost_model: AnyCostModel
) -> Pricer:
    """Return the pricer that a cost model asks for.

    Raises
    ------
    InputError
        If the cost model is TorchRec's, and another framework runs the tables; if it
        is not, and tables are stashed.
    """
    if isinstance(cost_model, TorchRecCostModel):
        if usage.target is Target.HUGECTR:
            raise InputError.single(
                cost_model.name,
                "",
                None,
                "prices what TorchRec runs; plan for target hugectr with a measured "
                "cost model",
            )
        return TorchRecPricer.of(cluster, usage, cost_model)
    _require_no_stashing(usage, cost_model.name)
    return ModelPricer(cluster, usage, ClassRates.of(cluster, cost_model))


def _require_no_stashing(usage: TableUsage, cost_model: str) -> None:
    """Refuse tables that leave HBM within a step: our prices have no such copies."""
    problems = [
        Fault(table.name, "stash_weights", "True", _STASHED.format(cost_model))
        for table in usage.workload.tables
        if table.torchrec is not None and table.torchrec.stash_weights
    ]
    if problems:
        raise InputError(problems)
