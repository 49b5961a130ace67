"""Sharding groups: a size and a layout given, or the better of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.checking import examine
from shardplan.errors import InputError
from shardplan.io import catalog
from shardplan.planning.planner import solve
from shardplan.records.sharding import Objective, ReplicaLayout
from shardplan.simulation import SimulationSettings, simulate
from tests.helpers import COST_MODEL, TWO_HOSTS, dlrm_like, two_hosts, workload
from tests.solvers.helpers import brute_force

if TYPE_CHECKING:
    from shardplan.planning.result import PlanResult


def grouped(**options: Any) -> PlanResult:
    options = {"solver": "greedy", "objective": "time", **options}
    return solve(*dlrm_like(), **options)


def test_a_size_and_a_layout_are_taken_as_they_are() -> None:
    """The plan is for a group of so many ranks, and says of what cluster."""
    found = grouped(sharding_group=4, replicas="across", sync_every=7)
    topology = found.plan.inputs.topology
    assert topology == TWO_HOSTS.sharding_group(4, ReplicaLayout.ACROSS, 7)
    assert {r for p in found.plan.tables for b in p.blocks for r in b.ranks} <= {
        *range(4)
    }
    assert not examine(found.plan).violations
    assert found.remarks == ()


@pytest.mark.parametrize("asked", [{"replicas": "across"}, {"sync_every": 7}, {}])
def test_one_group_has_no_copies(asked: dict[str, Any]) -> None:
    """What is asked of them then is said to have no effect."""
    found = grouped(sharding_group=8, **asked)
    assert found.plan.inputs.topology.replication is None
    assert ["no copies" in remark for remark in found.remarks] == [True] * bool(asked)


@pytest.mark.parametrize("every", [1, 100_000])
def test_the_better_layout_is_chosen(every: int) -> None:
    """Of plans that are made for each layout the shorter one is solved for."""
    each = {
        layout: grouped(sharding_group=4, replicas=layout, sync_every=every)
        for layout in ReplicaLayout
    }
    best = min(each.values(), key=lambda found: found.objective_s)
    found = grouped(sharding_group=4, sync_every=every)
    assert found.plan.tables == best.plan.tables
    assert found.plan.inputs.topology == best.plan.inputs.topology
    assert found.remarks[0].startswith("sharding group: 4 ranks ")


@pytest.mark.parametrize("every", [1, 100_000])
def test_the_best_size_is_chosen(every: int) -> None:
    """All divisors are compared; averaging each step is dearer than anything."""
    found = grouped(sharding_group="auto", sync_every=every)
    topology = found.plan.inputs.topology
    sizes = [
        grouped(sharding_group=size, sync_every=every).objective_s for size in (8, 4, 2)
    ]
    assert found.objective_s == min(sizes)
    assert (topology.replicas == 1) == (every == 1)
    assert "all 8 ranks" in found.remarks[0]
    assert "2 ranks" in found.remarks[0]


def test_steps_of_groups_are_those_of_the_cluster() -> None:
    """Throughput counts the samples of all groups."""
    found = grouped(sharding_group=4, sync_every=1000)
    simulation = simulate(found.plan)
    assert simulation.batch_size == 65_536


@pytest.mark.parametrize("seed", range(3))
def test_predicted_and_simulated_steps_agree(seed: int) -> None:
    """Copies are averaged at the end of the simulated step, too."""
    found = grouped(sharding_group=(2, 4, 4)[seed], sync_every=10**seed)
    simulation = simulate(found.plan, SimulationSettings.path())
    assert simulation.step_time_s == pytest.approx(found.objective_s, rel=1e-9)
    names = [row.name for row in simulation.phases]
    assert names[-1] == "replica_sync"


@pytest.mark.parametrize("seed", range(2))
def test_bounds_hold_for_groups(seed: int) -> None:
    """No certificate proves more than the best of all plans of a group."""
    rng = np.random.default_rng(seed)
    tables = [
        {
            "num_embeddings": int(10 ** rng.uniform(3, 6)),
            "embedding_dim": 64,
            "pooling_factor": float(rng.uniform(1, 60)),
            "constraints": {
                "compute_kernels": ["fused", "dense"],
                "sharding_types": ["table_wise", "row_wise", "data_parallel"],
            },
        }
        for _ in range(3 - seed % 2)
    ]
    layout = list(ReplicaLayout)[seed % 2]
    group = TWO_HOSTS.sharding_group(2 + 2 * (seed % 2), layout, 10 ** (seed % 3))
    instance = two_hosts()._replace(workload=workload(*tables), topology=group)
    best_s, _ = brute_force(instance.problem(objective=Objective.TIME))
    found = instance.solve(objective="time", work_limit=5_000)
    assert found.verdict.bound == "proven"
    assert found.lower_bound_s <= best_s * (1 + 1e-9)
    assert found.objective_s >= best_s * (1 - 1e-9)
    assert found.gap is not None
    assert found.gap < 0.3


@pytest.mark.parametrize(
    ("options", "key", "rule"),
    [
        ({"sharding_group": 3}, "sharding_group", "must divide 8 ranks"),
        ({"sharding_group": 16}, "sharding_group", "must divide 8 ranks"),
        ({"sharding_group": 0}, "sharding_group", "a whole number from 1 to"),
        ({"sharding_group": "some"}, "sharding_group", "a whole number from 1 to"),
        ({"sharding_group": 4, "replicas": "up"}, "replicas", "inside, across"),
        ({"replicas": "inside"}, "replicas", "goes with sharding_group"),
        ({"sync_every": 5}, "sync_every", "goes with sharding_group"),
        ({"sharding_group": 4, "sync_every": 0}, "sync_every", "from 1 to 1000000"),
    ],
)
def test_wrong_groups(options: dict[str, Any], key: str, rule: str) -> None:
    """The argument and its rule are named."""
    with pytest.raises(InputError) as caught:
        grouped(**options)
    (fault,) = caught.value.problems
    assert fault.key == key
    assert rule in fault.rule


def test_torchrecs_estimates_cannot_compare_groups() -> None:
    """They leave the averaging out; a choice is taken as it is given."""
    model = catalog.load_cost_model("torchrec")
    instance = dlrm_like()._replace(cost_model=model)
    with pytest.raises(InputError, match="know no averaging of copies"):
        instance.solve(objective="max-rank", sharding_group="auto")
    found = instance.solve(
        objective="max-rank",
        sharding_group=4,
        replicas="inside",
        solver="greedy",
        target="torchrec",
    )
    assert found.plan.world_size == 4
    assert found.plan.inputs.cost_model != COST_MODEL


@pytest.mark.parametrize("size", ["auto", 8])
def test_a_sharding_group_is_not_grouped_again(size: int | str) -> None:
    """Also where only one layout is tried, that of all ranks."""
    cluster = catalog.load_topology("dgx-h100:2")
    group = cluster.sharding_group(8, ReplicaLayout.INSIDE)
    with pytest.raises(InputError, match="is a sharding group already"):
        solve("movielens-ncf", group, solver="greedy", sharding_group=size)
