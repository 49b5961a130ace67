"""What all plans for the same inputs share: worked out once, kept for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shardplan.costs.cluster import Cluster
from shardplan.costs.pricer import Pricer, make_pricer
from shardplan.costs.scopes import SCOPES
from shardplan.costs.usage import TableUsage
from shardplan.records.memo import by_identity
from shardplan.records.sharding import Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shardplan.costs.memory.capacity import Capacity
    from shardplan.costs.scopes import Scope
    from shardplan.records.topology import Topology
    from shardplan.records.torchrec_cost_model import AnyCostModel
    from shardplan.records.workload import Workload


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


def prepare(
    workload: Workload,
    topology: Topology,
    cost_model: AnyCostModel,
    target: Target = Target.ANY,
) -> Prepared:
    """Return inputs as arrays, for a framework; the last ones are kept.

    Raises
    ------
    InputError
        If the cost model cannot price what the framework runs.
    """
    return _prepared(workload, topology, cost_model, target, *SCOPES)


@by_identity
def _prepared(
    workload: Workload,
    topology: Topology,
    cost_model: AnyCostModel,
    target: Target,
    *_: Scope,
) -> Prepared:
    """Work them out; what is prepared holds for the scopes that there are."""
    cluster = Cluster.of(topology)
    usage = _usage(workload, cluster.world_size, target, topology.replicas)
    pricer = make_pricer(cluster, usage, cost_model)
    return Prepared(
        cluster=cluster,
        usage=usage,
        pricer=pricer,
        capacity=pricer.capacity(),
        table_index={table.name: i for i, table in enumerate(workload.tables)},
    )


@by_identity
def _usage(
    workload: Workload, world_size: int, target: Target, replicas: int
) -> TableUsage:
    """Work out what is the same for all topologies with this many ranks."""
    return TableUsage.of(workload, world_size, target, replicas)
