"""Plan how a recommendation model's embedding tables are spread over a GPU cluster.

The public names are imported on first use, so that ``import shardplan`` is quick.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shardplan.catalog import load_cost_model as load_cost_model
    from shardplan.catalog import load_topology as load_topology
    from shardplan.catalog import load_workload as load_workload
    from shardplan.checking import check as check
    from shardplan.errors import InfeasibleError as InfeasibleError
    from shardplan.errors import InputError as InputError
    from shardplan.errors import LimitError as LimitError
    from shardplan.errors import ShardplanError as ShardplanError
    from shardplan.evaluation import evaluate as evaluate
    from shardplan.plan import Plan as Plan
    from shardplan.planner import PlanResult as PlanResult
    from shardplan.planner import solve as solve
    from shardplan.simulation import Simulation as Simulation
    from shardplan.simulation import simulate as simulate
    from shardplan.topology import Topology as Topology
    from shardplan.workload import Workload as Workload

_HOME = {
    "load_cost_model": "catalog",
    "load_topology": "catalog",
    "load_workload": "catalog",
    "check": "checking",
    "InfeasibleError": "errors",
    "InputError": "errors",
    "LimitError": "errors",
    "ShardplanError": "errors",
    "evaluate": "evaluation",
    "Plan": "plan",
    "PlanResult": "planner",
    "solve": "planner",
    "Simulation": "simulation",
    "simulate": "simulation",
    "Topology": "topology",
    "Workload": "workload",
}

__all__ = [*sorted(_HOME), "__version__"]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("shardplan.version").VERSION
    if name in _HOME:
        return getattr(import_module(f"shardplan.{_HOME[name]}"), name)
    raise AttributeError(f"module 'shardplan' has no attribute {name!r}")
