"""Copies of sharding groups, for reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shardplan.records.sharding import ReplicaLayout
from shardplan.units import plural

if TYPE_CHECKING:
    from shardplan.records.topology import Topology


def replication_data(topology: Topology) -> dict[str, Any] | None:
    """Collect how many sharding groups there are, and where; None for one."""
    found = topology.replication
    if found is None:
        return None
    return {
        "replicas": found.replicas,
        "layout": found.layout.value,
        "sync_every": found.sync_every,
        "sharding_group_size": topology.world_size,
        "world_size": topology.whole.world_size,
        "num_hosts": topology.whole.num_hosts,
        "ranks": list(topology.members()),
    }


def replication_facts(data: dict[str, Any] | None) -> dict[str, str]:
    """Say what `replication_data` collects, under its name; nothing for one group."""
    if data is None:
        return {}
    where = ReplicaLayout(data["layout"])
    meet = "inside hosts" if where is ReplicaLayout.INSIDE else "across hosts"
    every = plural(data["sync_every"], "step")
    text = (
        f"{data['replicas']} of {plural(data['sharding_group_size'], 'rank')}, out of "
        f"{plural(data['world_size'], 'rank')}; copies meet {meet}, averaged every "
        f"{every if data['sync_every'] > 1 else 'step'}"
    )
    return {"sharding groups": text}
