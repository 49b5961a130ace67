"""Plan for sharding groups on all processes of a gloo group, and train a few steps.

``python -O replicated_planning.py FOLDER`` writes ``rank<R>.result``: for each way to
ask wrongly the error of the rank, for each right one the plan and how it trained.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

warnings.simplefilter("ignore")

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
from torchrec.distributed import comm  # noqa: E402
from torchrec.distributed.planner.types import (  # noqa: E402
    ParameterConstraints,
    Topology,
)
from torchrec.modules.embedding_modules import EmbeddingCollection  # noqa: E402

from shardplan.errors import ShardplanError  # noqa: E402
from shardplan.integrations.torchrec import (  # noqa: E402
    ShardplanPlanner,
    plan_module_groups,
)
from tests.integrations.torchrec import processes  # noqa: E402
from tests.integrations.torchrec.replicated_training import (  # noqa: E402
    SEQUENCES,
    Model,
    Reference,
    collection,
    column_cuts,
    compare,
    loss_error,
    sharders,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.integrations.torchrec import ReplicatedPlan

WORLD, LOCAL = 8, 4


def topology(world: int = WORLD) -> Topology:
    """Two hosts of CPUs."""
    return Topology(
        world_size=world,
        local_world_size=LOCAL,
        compute_device="cpu",
        ddr_cap=10**9,
        created_by_factory=True,
    )


def asked(pg: Any = None, world: int = WORLD, **options: Any) -> ReplicatedPlan:
    """Plan together."""
    given = {"batch_size": 4, "timeout_seconds": 1, "sharding_group": 4, **options}
    planner = ShardplanPlanner(topology(world), constraints=constraints(), **given)
    return planner.collective_replicated_plan(Model("meta"), sharders(), pg)


def constraints() -> dict[str, ParameterConstraints]:
    """FBGEMM cannot replicate sequences on CPUs."""
    kinds = ["table_wise", "column_wise", "row_wise"]
    return {name: ParameterConstraints(sharding_types=kinds) for name in SEQUENCES}


def modules(size: int = 2, kind: Any = EmbeddingCollection) -> ReplicatedPlan:
    """Plan together, sequences with groups of their own."""
    return plan_module_groups(
        Model("meta"),
        {kind: size},
        sharders(),
        sharding_group=4,
        topology=topology(),
        constraints=constraints(),
        batch_size=4,
        timeout_seconds=1,
    )


def cases(rank: int, half: Any) -> dict[str, Callable[[], ReplicatedPlan]]:
    """Ways to ask, right and wrong."""
    return {
        "good": asked,
        "good across": lambda: asked(replicas="across"),
        "good of all ranks": lambda: asked(sharding_group=8),
        "good modules": modules,
        "good modules on all ranks": lambda: modules(8),
        "size": lambda: asked(sharding_group=3),
        "no number": lambda: asked(sharding_group="four"),
        "auto": lambda: asked(sharding_group="auto"),
        "none": lambda: asked(sharding_group=None),
        "layout": lambda: asked(replicas="diagonal"),
        "steps": lambda: asked(sync_every=0),
        "world": lambda: asked(world=16),
        "group": lambda: asked(half),
        "one asks for others": lambda: asked(sharding_group=2 if rank == 5 else 4),
        "one asks wrongly": lambda: asked(sharding_group=3 if rank == 5 else 4),
        "modules' size": lambda: modules(3),
        "no such module": lambda: modules(kind=torch.nn.Linear),
        "one has other modules": lambda: modules(4 if rank == 7 else 2),
    }


def found_by(work: Callable[[], ReplicatedPlan]) -> dict[str, Any]:
    """Return the plan and how it trains, or the error."""
    try:
        found = work()
    except ShardplanError as error:
        return {"error": f"{type(error).__name__}: {error}"}
    cuts = column_cuts(found.sharding_plan)
    for _, part in found.submodules:
        cuts |= column_cuts(part.sharding_plan)
    reference = Reference(cuts, [list(range(WORLD))])
    reference.train(1, adagrad=False)
    forget_groups()
    parallel = collection(found)
    return {
        "plan": str(found),
        "replicas": [context.replica_pg.size() for context in parallel._ctxs],
        "loss_error": loss_error(parallel, 1, reference.losses),
        **compare(parallel.state_dict(), reference.copies[0].state_dict()),
    }


def forget_groups() -> None:
    """Let TorchRec make groups within and across hosts anew.

    It makes one pair in a process, and uses it for whatever is sharded later.
    """
    comm._INTRA_PG_2D = comm._CROSS_PG_2D = comm._NODE_GROUP_SIZE_2D = None


def run_rank(rank: int, folder: Path) -> None:
    """Ask in all ways."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    halves = [dist.new_group(list(range(i, i + 4))) for i in (0, 4)]
    said = {}
    try:
        for name, work in cases(rank, halves[rank // 4]).items():
            said[name] = found_by(work)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    (folder / f"rank{rank}.result").write_text(json.dumps(said))
    processes.leave()


if __name__ == "__main__":
    processes.fork(lambda rank: run_rank(rank, Path(sys.argv[1])), WORLD, LOCAL)
