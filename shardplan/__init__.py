"""Plan how a recommendation model's embedding tables are spread over a GPU cluster.

The public names are imported on first use, so that ``import shardplan`` is quick.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shardplan.imports import install, lazily

if TYPE_CHECKING:
    from shardplan.checking import check as check
    from shardplan.errors import InfeasibleError as InfeasibleError
    from shardplan.errors import InputError as InputError
    from shardplan.errors import LimitError as LimitError
    from shardplan.errors import PluginError as PluginError
    from shardplan.errors import ShardplanError as ShardplanError
    from shardplan.io.catalog import load_cost_model as load_cost_model
    from shardplan.io.catalog import load_network as load_network
    from shardplan.io.catalog import load_topology as load_topology
    from shardplan.io.catalog import load_workload as load_workload
    from shardplan.planning.planner import solve as solve
    from shardplan.planning.result import PlanResult as PlanResult
    from shardplan.plans.evaluation import evaluate as evaluate
    from shardplan.plans.plan import Plan as Plan
    from shardplan.records.topology import Topology as Topology
    from shardplan.records.workload import Workload as Workload
    from shardplan.simulation import Simulation as Simulation
    from shardplan.simulation import simulate as simulate
    from shardplan.version import VERSION as __version__  # noqa: F401

_HOME = {
    "load_cost_model": "io.catalog",
    "load_network": "io.catalog",
    "load_topology": "io.catalog",
    "load_workload": "io.catalog",
    "check": "checking",
    "InfeasibleError": "errors",
    "InputError": "errors",
    "LimitError": "errors",
    "PluginError": "errors",
    "ShardplanError": "errors",
    "evaluate": "plans.evaluation",
    "Plan": "plans.plan",
    "PlanResult": "planning.result",
    "solve": "planning.planner",
    "Simulation": "simulation",
    "simulate": "simulation",
    "Topology": "records.topology",
    "Workload": "records.workload",
    "__version__": "version:VERSION",
}

__all__ = sorted(_HOME)
__getattr__ = lazily(__name__, _HOME)

logging.getLogger(__name__).addHandler(logging.NullHandler())
install()


def __dir__() -> list[str]:
    return __all__
