"""The drop-in planner: plans, bounds, and failures that reach every rank."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from torchrec.distributed.planner import EmbeddingShardingPlanner
from torchrec.distributed.planner.storage_reservations import (
    FixedPercentageStorageReservation,
    HeuristicalStorageReservation,
)
from torchrec.distributed.planner.types import ParameterConstraints, Topology
from torchrec.distributed.types import ShardingPlanner

from shardplan.errors import InfeasibleError, InputError
from shardplan.integrations.torchrec import ShardplanPlanner
from shardplan.integrations.torchrec.tables import default_sharders
from tests.integrations.torchrec import planning, processes
from tests.integrations.torchrec.test_import import bags, torchrec_topology

MODEL = bags(*(f"t{i}" for i in range(8)), num_embeddings=10**6, embedding_dim=64)


def planner(topology: Topology | None = None, **options: Any) -> ShardplanPlanner:
    """Make a drop-in that stops soon."""
    given = {"batch_size": 512, "timeout_seconds": 10.0, **options}
    return ShardplanPlanner(topology or torchrec_topology(), **given)


def test_it_is_a_planner_of_torchrec() -> None:
    """It can stand wherever TorchRec expects a planner."""
    assert isinstance(planner(), ShardingPlanner)


@pytest.mark.parametrize(
    "reservation",
    [
        None,
        FixedPercentageStorageReservation(0.3),
        HeuristicalStorageReservation(0.1, dense_tensor_estimate=10**8),
    ],
)
def test_it_is_not_worse_than_torchrecs(reservation: Any) -> None:
    """On TorchRec's own rating, with the same arguments."""
    theirs = EmbeddingShardingPlanner(
        topology=torchrec_topology(),
        batch_size=512,
        storage_reservation=reservation or FixedPercentageStorageReservation(0.15),
        stats=[],
    )
    theirs.plan(MODEL, default_sharders())
    ours = planner(storage_reservation=reservation)
    ours.plan(MODEL, default_sharders())
    rating = theirs._perf_model.rate(theirs._best_plan) / 1000
    assert ours.result is not None
    assert ours.result.objective_s <= rating * (1 + 1e-9)


def test_it_logs_gap_and_bound(caplog: pytest.LogCaptureFixture) -> None:
    """The summary says how good the plan is."""
    with caplog.at_level(logging.INFO, "shardplan.integrations.torchrec.planner"):
        planner().plan(MODEL)
    (message,) = [r.getMessage() for r in caplog.records if "shardplan" in r.name]
    assert message.startswith("shardplan: max-rank ")
    assert "bound" in message
    assert "8 tables" in message


def test_constraints_are_kept() -> None:
    """What constraints forbid is not in the plan."""
    limits = {
        f"t{i}": ParameterConstraints(sharding_types=["row_wise"]) for i in range(8)
    }
    found = planner(constraints=limits).plan(MODEL)
    kinds = {sharding.sharding_type for sharding in found.plan[""].values()}
    assert kinds == {"row_wise"}


def test_the_objective_may_be_the_critical_path() -> None:
    """`step` is accepted like `max-rank`."""
    found = planner(objective="step")
    found.plan(MODEL)
    assert found.result is not None
    assert found.result.plan.objective == "step"


def test_nothing_fits() -> None:
    """An infeasible model names tier and tables."""
    with pytest.raises(InfeasibleError, match="t0"):
        planner(torchrec_topology(hbm_cap=10**6, ddr_cap=10**6)).plan(MODEL)


def test_collective_needs_a_group() -> None:
    """Without a process group the error says what to do."""
    with pytest.raises(InputError, match="init_process_group"):
        planner().collective_plan(MODEL)


def together(mode: str) -> list[dict[str, str]]:
    """Plan on two processes; return what each printed."""
    done = processes.run(Path(planning.__file__), mode, world=2)
    assert [process.returncode for process in done] == [0, 0], done[0].stderr[-2000:]
    return [json.loads(process.stdout.splitlines()[-1]) for process in done]


def test_all_ranks_receive_one_plan() -> None:
    """Rank 0 plans, the others get the same."""
    first, second = together("good")
    assert first == second
    assert "sparse_arch.embedding_bag_collection" in first["plan"]


def test_ranks_with_other_models_all_stop() -> None:
    """A rank whose tables differ is named on every rank, before anything is planned."""
    first, second = together("models")
    assert first == second
    assert "ranks [1] have other tables than rank 0" in first["error"]


@pytest.mark.parametrize(
    ("mode", "rule"),
    [
        ("broken", "has no table"),
        ("small", "infeasible"),
        ("size", "the process group has 2 ranks"),
    ],
)
def test_a_failure_reaches_every_rank(mode: str, rule: str) -> None:
    """No rank waits for a plan that does not come."""
    first, second = together(mode)
    assert rule in first["error"]
    assert rule in second["error"]
    assert second["error"].startswith("ShardplanError: planning failed on rank 0")
