"""One process of a job that plans by TorchRec's executor; prints results as JSON.

Modes, one after the other: ``good`` plans, ``small`` has no room, ``wide`` asks for a
width by what is no expression, ``sku`` has an unknown SKU, ``size`` is for other ranks;
on rank 1 alone ``one sku`` has an unknown SKU, ``one home`` an unknown home SKU,
``one variant`` a planner that loads, and ``one sharder`` what is no sharder.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

warnings.simplefilter("ignore")

import torch.distributed as dist  # noqa: E402
from torchrec.distributed.planner.api import (  # noqa: E402
    ProductionPlannerOrchestrator,
)
from torchrec.distributed.planner.executor import DefaultPlannerExecutor  # noqa: E402
from torchrec.distributed.planner.types import (  # noqa: E402
    PlannerConfig,
    PlannerSessionContext,
    PlannerVariant,
    ProposerConfig,
    ProposerGroup,
    ShardingPlanRequest,
    StorageReservationPolicy,
)

from shardplan.errors import ShardplanError  # noqa: E402
from shardplan.integrations.torchrec import ShardplanProvider  # noqa: E402
from shardplan.integrations.torchrec.tables import default_sharders  # noqa: E402
from tests.integrations.torchrec import processes  # noqa: E402
from tests.integrations.torchrec.training import make_model  # noqa: E402


def plan(mode: str) -> dict[str, Any]:
    """Plan together; return the result, or the error."""
    is_wrong = mode.startswith("one ") and dist.get_rank() == 1
    wrong = mode.removeprefix("one ") if is_wrong else mode
    groups = (ProposerGroup("("),) if mode == "wide" else ()
    policy = StorageReservationPolicy.FIXED_PERCENTAGE
    if mode == "one home":
        policy = StorageReservationPolicy.SKU_AWARE
    world = 4 if mode == "size" else dist.get_world_size()
    request = ShardingPlanRequest(
        model=lambda: make_model("meta"),
        sharders=[object()] if wrong == "sharder" else default_sharders(),
        world_size=world,
        local_world_size=world // 2,
        batch_size=10**6 if mode == "small" else 6,
        ddr_gb=1e-3 if mode == "small" else None,
        compute_device="cpu",
        planner_config=PlannerConfig(
            timeout_seconds=3,
            storage_reservation_policy=policy,
            home_sku="CPU9" if wrong == "home" else None,
            planner_variant=PlannerVariant("manifold" if wrong == "variant" else "oss"),
            proposer_config=ProposerConfig(groups=groups),
        ),
    )
    sku = "CPU9" if wrong == "sku" else "CPU"
    executor = DefaultPlannerExecutor(ShardplanProvider())
    ctx = PlannerSessionContext(request=request, results={})
    try:
        found = ProductionPlannerOrchestrator(executor, sku).plan(request, ctx)[sku]
    except ShardplanError as error:
        return {"error": str(error)}
    kind = found.planner_error_type
    return {
        "plan": str(found.sharding_plan),
        "kind": kind and kind.value,
        "reason": found.planner_failure_reason,
        "options": len(found.sharding_options),
    }


def main() -> None:
    """Plan in all modes and print what came of each."""
    dist.init_process_group("gloo")
    modes = ("good", "small", "wide", "sku", "size")
    modes += ("one sku", "one home", "one variant", "one sharder", "again")
    print(json.dumps({mode: plan(mode) for mode in modes}))  # noqa: T201
    processes.leave()


if __name__ == "__main__":
    main()
