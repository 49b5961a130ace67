"""Plans for sharding groups are loaded for the whole job, and refused for all else."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

import pytest
import torch.distributed as dist

from shardplan.errors import InputError
from shardplan.exporters import export
from shardplan.integrations.torchrec import (
    ReplicatedPlan,
    build_model,
    load_replicated_plan,
    load_sharding_plan,
    to_replicated_plan,
    to_sharding_plan,
)
from shardplan.records.sharding import ReplicaLayout
from tests.integrations.torchrec.instances import (
    cluster,
    inputs_of,
    place,
    plan_of,
    workload,
)

if TYPE_CHECKING:
    from shardplan.plans.plan import Plan


def planned(layout: ReplicaLayout = ReplicaLayout.INSIDE) -> Plan:
    """Cut rows over a group of 4 of 8 ranks on two hosts."""
    topology = cluster(2, 4).sharding_group(4, layout, 10)
    inputs = inputs_of(workload({}), topology)
    return plan_of(inputs, place(inputs, 0, "row_wise"))


@pytest.fixture
def alone() -> Any:
    """Be the only rank of a job."""
    store = dist.HashStore()
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize(
    ("layout", "node_group_size"),
    [(ReplicaLayout.INSIDE, 2), (ReplicaLayout.ACROSS, 4)],
)
def test_it_is_what_dmp_collection_takes(
    layout: ReplicaLayout, node_group_size: int
) -> None:
    """From a file and from a plan: ranks of one group, and the size of the job."""
    plan = planned(layout)
    found = load_replicated_plan(export(plan, "torchrec"), world_size=8)
    assert str(found) == str(to_replicated_plan(plan))
    assert found.sharding_plan.plan["ebc"]["t0"].ranks == [0, 1, 2, 3]
    assert (found.world_size, found.sharding_group_size) == (8, 4)
    assert found.node_group_size == node_group_size
    assert found.use_inter_host_allreduce == (layout is ReplicaLayout.ACROSS)
    assert found.sync_every == 10


def test_the_job_has_all_ranks() -> None:
    """As many as a group has are too few; the model's tables are compared, too."""
    data = export(planned(), "torchrec")
    with pytest.raises(InputError, match="the plan is for 8 ranks, the job has 4"):
        load_replicated_plan(data, world_size=4)
    load_replicated_plan(data, build_model(workload({})), world_size=8)
    with pytest.raises(InputError, match="the model has this table"):
        load_replicated_plan(data, build_model(workload({}, {})), world_size=8)


def test_one_group_is_not_all_ranks() -> None:
    """What DistributedModelParallel takes is refused, with what to use instead."""
    plan = planned()
    for load in (
        lambda: load_sharding_plan(export(plan, "torchrec"), world_size=8),
        lambda: to_sharding_plan(plan),
    ):
        with pytest.raises(InputError, match="is for sharding groups of 4 of 8 ranks"):
            load()


def test_all_ranks_are_not_one_group() -> None:
    """Plans without groups are for DistributedModelParallel."""
    inputs = inputs_of(workload({}), cluster(2, 4))
    plan = plan_of(inputs, place(inputs, 0, "row_wise"))
    for load in (
        lambda: load_replicated_plan(export(plan, "torchrec"), world_size=8),
        lambda: to_replicated_plan(plan),
    ):
        with pytest.raises(InputError, match="has no sharding groups"):
            load()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"world_size": 10}, "several times the 4 ranks"),
        ({"world_size": 4}, "several times the 4 ranks"),
        ({"sharding_group_size": 2}, "must be world_size, the 4 ranks of the plan"),
        ({"node_group_size": 3}, "must divide the 4 ranks"),
        ({"sync_every": 0}, "replication.sync_every.*must be an int from 1"),
        ({"world_size": "8"}, "replication.world_size.*must be an int from 1"),
        ({"use_inter_host_allreduce": 1}, "must be true or false"),
        ({"sync_every": 11}, "the file was edited"),
    ],
)
def test_edited_facts(changes: dict[str, Any], rule: str) -> None:
    """They are named, where they cannot be; elsewhere the digest says so."""
    data = copy.deepcopy(export(planned(), "torchrec"))
    data["replication"].update(changes)
    with pytest.raises(InputError, match=rule):
        load_replicated_plan(data, world_size=8 if "sync_every" in changes else None)


def test_replication_is_a_table() -> None:
    """Anything else is a broken file."""
    data = {**export(planned(), "torchrec"), "replication": [4]}
    with pytest.raises(InputError, match="replication: must be dict"):
        load_replicated_plan(data)


def test_arguments_need_the_whole_group(alone: None) -> None:
    """A smaller group, such as that of the shards, would end in an assertion."""
    found = to_replicated_plan(planned())
    with pytest.raises(InputError, match="is for 8 ranks, the group has 1"):
        found.arguments()


def test_arguments_need_a_group() -> None:
    """Before there is one, the error says what to do."""
    with pytest.raises(InputError, match="init_process_group"):
        to_replicated_plan(planned()).arguments()


def test_arguments_are_copies(
    alone: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """`DMPCollection` renames ranks in place; other hosts than planned are said."""
    sharding_plan = to_replicated_plan(planned()).sharding_plan
    found = ReplicatedPlan(sharding_plan, 1, 1, 1, 4, False, 3)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    with caplog.at_level(logging.WARNING, "shardplan.integrations.torchrec"):
        first, second = found.arguments(), found.arguments()
    assert "is for hosts of 4 ranks, this one has 1" in caplog.text
    assert first["plan"] is not second["plan"]
    assert str(first["plan"]) == str(sharding_plan)
    assert {name: value for name, value in first.items() if name != "plan"} == {
        "world_size": 1,
        "sharding_group_size": 1,
        "node_group_size": 1,
        "use_inter_host_allreduce": False,
        "global_pg": dist.group.WORLD,
    }
