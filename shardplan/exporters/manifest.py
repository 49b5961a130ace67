"""A plan as a list of shards per rank, for any training program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.exporters.runnable import require_runnable
from shardplan.plans.rectangles import rectangles
from shardplan.version import VERSION

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan

FORMAT = "shardplan-manifest"
FORMAT_VERSION = 1


def export(plan: Plan) -> dict[str, Any]:
    """Return what every rank holds: rows and columns of tables, kernel and tiers.

    Of a plan for sharding groups, what every rank of a group holds.

    Raises
    ------
    InputError
        If the plan is not valid.
    """
    require_runnable(plan, plan.target)
    rows = {table.name: table.num_embeddings for table in plan.inputs.workload.tables}
    ranks: list[list[dict[str, Any]]] = [[] for _ in range(plan.world_size)]
    for placement in plan.tables:
        common = {
            "table": placement.name,
            "sharding_type": placement.sharding_type.value,
            "compute_kernel": placement.compute_kernel.value,
            "dtype": placement.dtype.value,
            "tiers": placement.tiers.model_dump(),
        }
        for shard in rectangles(placement, rows[placement.name]):
            ranks[shard.rank].append({**common, **_place(shard._asdict())})
    data: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "shardplan_version": VERSION,
        "world_size": plan.world_size,
        "ranks": [
            {"rank": rank, "shards": shards} for rank, shards in enumerate(ranks)
        ],
    }
    topology = plan.inputs.topology
    if topology.replication is not None:
        data["replication"] = {
            "world_size": topology.whole.world_size,
            **topology.replication.model_dump(mode="json", exclude={"cluster"}),
        }
    return data


def _place(shard: dict[str, int]) -> dict[str, int]:
    return {name: value for name, value in shard.items() if name != "rank"}
