"""TorchRec: models and topologies in, plans out, and a drop-in planner.

Needs the extra ``shardplan[torchrec]``; importing this package alone does not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shardplan.integrations.torchrec.build import (
        build_constraints as build_constraints,
    )
    from shardplan.integrations.torchrec.build import build_model as build_model
    from shardplan.integrations.torchrec.build import build_topology as build_topology
    from shardplan.integrations.torchrec.document import (
        load_sharding_plan as load_sharding_plan,
    )
    from shardplan.integrations.torchrec.loader import (
        ShardplanLoader as ShardplanLoader,
    )
    from shardplan.integrations.torchrec.module_groups import (
        plan_module_groups as plan_module_groups,
    )
    from shardplan.integrations.torchrec.plan_cache import PlanCache as PlanCache
    from shardplan.integrations.torchrec.planner import (
        ShardplanPlanner as ShardplanPlanner,
    )
    from shardplan.integrations.torchrec.provider import (
        ShardplanProvider as ShardplanProvider,
    )
    from shardplan.integrations.torchrec.rating import Rating as Rating
    from shardplan.integrations.torchrec.rating import rate as rate
    from shardplan.integrations.torchrec.replicated import (
        ReplicatedPlan as ReplicatedPlan,
    )
    from shardplan.integrations.torchrec.replicated import (
        load_replicated_plan as load_replicated_plan,
    )
    from shardplan.integrations.torchrec.replicated import (
        to_replicated_plan as to_replicated_plan,
    )
    from shardplan.integrations.torchrec.resharding import reshard as reshard
    from shardplan.integrations.torchrec.sharding import read_plan as read_plan
    from shardplan.integrations.torchrec.sharding import (
        to_sharding_plan as to_sharding_plan,
    )
    from shardplan.integrations.torchrec.topology import (
        read_cost_model as read_cost_model,
    )
    from shardplan.integrations.torchrec.topology import read_topology as read_topology
    from shardplan.integrations.torchrec.workload import read_workload as read_workload

_HOME = {
    "PlanCache": "plan_cache",
    "ShardplanLoader": "loader",
    "ShardplanPlanner": "planner",
    "ShardplanProvider": "provider",
    "ReplicatedPlan": "replicated",
    "Rating": "rating",
    "build_constraints": "build",
    "build_model": "build",
    "build_topology": "build",
    "load_replicated_plan": "replicated",
    "load_sharding_plan": "document",
    "plan_module_groups": "module_groups",
    "rate": "rating",
    "read_cost_model": "topology",
    "read_plan": "sharding",
    "read_topology": "topology",
    "read_workload": "workload",
    "to_replicated_plan": "replicated",
    "reshard": "resharding",
    "to_sharding_plan": "sharding",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
