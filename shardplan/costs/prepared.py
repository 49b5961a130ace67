"""What all plans for the same inputs share: worked out once, kept for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shardplan.costs.cluster import Cluster
from shardplan.costs.pricer import Pricer, make_pricer
from shardplan.costs.usage import TableUsage
from shardplan.records.memo import by_identity
from shardplan.records.sharding import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shardplan.costs.memory.capacity import Capacity
    from shardplan.records.inputs import Inputs


@dataclass(frozen=True, eq=False)
class Prepared:
    """Inputs as arrays.

    Attributes
    ----------
    table_index : mapping of str to int
        Position of each table in the workload.
    """

    cluster: Cluster
    usage: TableUsage
    pricer: Pricer
    capacity: Capacity
    table_index: Mapping[str, int]


@by_identity
def prepare(inputs: Inputs, target: Target = Target.ANY) -> Prepared:
    """Return a plan's inputs as arrays, for a framework; the last ones are kept."""
    cluster = Cluster.of(inputs.topology)
    usage = TableUsage.of(inputs.workload, cluster.world_size, target)
    pricer = make_pricer(cluster, usage, inputs.cost_model)
    return Prepared(
        cluster=cluster,
        usage=usage,
        pricer=pricer,
        capacity=pricer.capacity(),
        table_index={table.name: i for i, table in enumerate(inputs.workload.tables)},
    )
