"""One process of a job that plans with the drop-in; prints what it got as JSON.

``python planning.py MODE``: ``good`` plans, ``broken`` has a model that cannot be
planned, ``virtual`` one with a virtual table, ``small`` has no room for it, ``size``
has a topology of another world size, ``models`` has another model on the last rank,
``nccl`` a group without CPUs.
"""

from __future__ import annotations

import json
import sys
import warnings

warnings.simplefilter("ignore")

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
from torchrec.distributed.planner.types import Topology  # noqa: E402

from shardplan.errors import ShardplanError  # noqa: E402
from shardplan.integrations.torchrec import ShardplanPlanner  # noqa: E402
from tests.integrations.torchrec import processes  # noqa: E402
from tests.integrations.torchrec.test_import import bags  # noqa: E402
from tests.integrations.torchrec.training import make_model  # noqa: E402


def as_if_of_gpus(said: dict[str, object]) -> None:
    """Let the job's group say that it has no CPUs; note which one carries objects."""
    broadcast = dist.broadcast_object_list

    def heard(objects: list[object], source: int, group: dist.ProcessGroup) -> None:
        said["is_own_group"] = group is not dist.group.WORLD
        said["backend"] = dist.get_backend(group)
        broadcast(objects, source, group=group)

    dist.get_backend_config = lambda _: "cuda:nccl"
    dist.broadcast_object_list = heard


def main(mode: str) -> None:
    """Plan together and print the plan, or the error."""
    dist.init_process_group("gloo")
    topology = Topology(
        world_size=3 if mode == "size" else dist.get_world_size(),
        compute_device="cpu",
        ddr_cap=10**6 if mode == "small" else 10**9,
        created_by_factory=True,
    )
    said: dict[str, object] = {}
    if mode == "nccl":
        as_if_of_gpus(said)
    model = torch.nn.Linear(2, 2) if mode == "broken" else make_model("meta")
    if mode == "virtual":
        model.virtual = bags("v", use_virtual_table=True, total_num_buckets=4)
    if mode == "models" and dist.get_rank() > 0:
        model.sparse_arch = torch.nn.Linear(2, 2)
    batch_size = 10**6 if mode == "small" else 6
    planner = ShardplanPlanner(topology, batch_size=batch_size, timeout_seconds=3)
    try:
        said["plan"] = str(planner.collective_plan(model))
        print(json.dumps(said))  # noqa: T201
    except ShardplanError as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))  # noqa: T201
    processes.leave()


if __name__ == "__main__":
    main(sys.argv[1])
