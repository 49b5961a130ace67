"""Jobs plan together for sharding groups, and train; wrong ones are refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from torch import nn
from torchrec.distributed.planner.types import ParameterConstraints
from torchrec.modules.embedding_modules import (
    EmbeddingBagCollection,
    EmbeddingCollection,
)

from shardplan.errors import InfeasibleError, InputError
from shardplan.integrations.torchrec import build_model, plan_module_groups
from tests.integrations.torchrec import processes, replicated_planning
from tests.integrations.torchrec.instances import workload
from tests.integrations.torchrec.test_import import torchrec_topology

SCRIPT = Path(replicated_planning.__file__)
GOOD = {
    "good": [2],
    "good across": [2],
    "good of all ranks": [1],
    "good modules": [2, 4],
    "good modules on all ranks": [2, 1],
}
"""Copies of a shard: of modules without groups of their own, and of the others."""
WRONG = {
    "size": "a sharding group of 3 ranks must divide 8 ranks",
    "no number": "sharding_group",
    "auto": "give a number of ranks",
    "layout": "replicas",
    "steps": "sync_every",
    "world": "the process group has 8 ranks",
    "group": "the process group has 4 ranks",
    "modules' size": "a sharding group of 3 ranks must divide 8 ranks",
}
SAME = {
    "none": "give one, or use collective_plan and DistributedModelParallel",
    "one asks for others": "ranks [5] have other sharding groups than rank 0",
    "one asks wrongly": "ranks [5] have other sharding groups than rank 0",
    "no such module": "Linear: has no sharder",
    "one has other modules": "ranks [7] have other module groups than rank 0",
}
"""What every rank finds by itself."""
ERROR, MB = 1e-5, 10**6


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Ask in all ways; return what each rank was told."""
    folder = tmp_path_factory.mktemp("told")
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(processes.ROOT)}
    done = subprocess.run(
        [sys.executable, "-O", str(SCRIPT), str(folder)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return [
        json.loads((folder / f"rank{rank}.result").read_text()) for rank in range(8)
    ]


@pytest.mark.parametrize("name", GOOD)
def test_all_ranks_have_one_plan_and_train(
    told: list[dict[str, Any]], name: str
) -> None:
    """As the unsharded model on the whole batch: copies are averaged in every step."""
    found = [own[name] for own in told]
    assert len({one["plan"] for one in found}) == 1
    for one in found:
        assert one["replicas"] == GOOD[name]
        assert one["loss_error"] < ERROR
        assert one["weight_error"] < ERROR


@pytest.mark.parametrize("name", WRONG)
def test_what_rank_0_finds_reaches_all(told: list[dict[str, Any]], name: str) -> None:
    """Rank 0 says it, the others that rank 0 did; in two halves, the first of each."""
    errors = [own[name]["error"] for own in told]
    assert all(WRONG[name] in error for error in errors)
    first = {0, 4} if name == "group" else {0}
    for rank, error in enumerate(errors):
        kind = "InputError" if rank in first else "FailedElsewhereError"
        assert error.startswith(kind)


@pytest.mark.parametrize("name", SAME)
def test_what_all_ranks_find(told: list[dict[str, Any]], name: str) -> None:
    """No rank stops alone, so that none waits for it."""
    (error,) = {own[name]["error"] for own in told}
    assert SAME[name] in error
    assert error.startswith("InputError")


@pytest.fixture
def alone() -> Any:
    """Be the only rank of a job."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


ROWS = {"num_embeddings": 10**6}
BOTH = build_model(workload(ROWS, {**ROWS, "is_pooled": False, "name": "s"}))
"""A pooled table of a million x 64 elements, 256 MB, and one of sequences."""


def planned(hbm_cap: int, **options: Any) -> Any:
    """Plan both tables for one rank, each in groups of its own."""
    topology = torchrec_topology(
        world_size=1, local_world_size=1, hbm_cap=hbm_cap, ddr_cap=0
    )
    given = {"topology": topology, "batch_size": 8, "timeout_seconds": 1, **options}
    return plan_module_groups(BOTH, {EmbeddingCollection: 1}, sharding_group=1, **given)


def test_the_second_has_what_the_first_left(alone: None) -> None:
    """Each of them fits into 85 % of 500 MB, both into those of 700 MB only."""
    found = planned(700 * MB)
    assert [kind for kind, _ in found.submodules] == [EmbeddingCollection]
    assert set(found.sharding_plan.plan) == {"ebc"}
    with pytest.raises(InfeasibleError, match="s"):
        planned(500 * MB)


def test_rows_over_hosts_are_for_others(alone: None) -> None:
    """A constraint that leaves nothing else is refused."""
    only = ParameterConstraints(sharding_types=["table_row_wise"])
    with pytest.raises(InputError, match="row cuts over hosts are for modules"):
        planned(10**9, constraints={"s": only})


def test_parts_of_modules_are_refused(alone: None) -> None:
    """A module inside one that is sharded as a whole cannot be planned apart."""

    class Outer(EmbeddingBagCollection):
        """Has a collection of its own."""

    from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder

    class OuterSharder(EmbeddingBagCollectionSharder):
        """Shards the whole."""

        @property
        def module_type(self) -> type:
            return Outer

    model = nn.Module()
    model.outer = Outer(BOTH.ebc.embedding_bag_configs(), device="meta")
    model.outer.inner = BOTH.ebc
    with pytest.raises(InputError, match="is part of a module with a sharder"):
        plan_module_groups(
            model,
            {EmbeddingBagCollection: 1},
            [OuterSharder(), EmbeddingBagCollectionSharder()],
            sharding_group=1,
        )
