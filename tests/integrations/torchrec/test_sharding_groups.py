"""TorchRec's topology of one sharding group, from that of all ranks."""

from __future__ import annotations

import pytest
from torchrec.distributed.planner.types import CustomTopologyData, Topology

from shardplan.errors import InputError
from shardplan.integrations.torchrec import ShardplanPlanner
from shardplan.integrations.torchrec.sharding_groups import AskedGroups
from tests.integrations.torchrec.test_import import bags, torchrec_topology

GB = 10**9
MODEL = bags("t0", "t1", "t2", num_embeddings=10_000)


def whole() -> Topology:
    """Two hosts of four GPUs; ranks of a host have 1 to 4 GB."""
    caps = {"hbm_cap": [GB, 2 * GB, 3 * GB, 4 * GB] * 2, "ddr_cap": [10**9] * 8}
    return Topology(
        world_size=8,
        local_world_size=4,
        compute_device="cuda",
        custom_topology_data=CustomTopologyData(caps, 8),
        intra_host_bw=123e6,
        inter_host_bw=45e6,
        bwd_compute_multiplier=3.0,
        created_by_factory=True,
    )


@pytest.mark.parametrize(
    ("layout", "local", "hbm"),
    [("inside", 2, [1, 3, 1, 3]), ("across", 4, [1, 2, 3, 4])],
)
def test_the_first_group(layout: str, local: int, hbm: list[int]) -> None:
    """It has its ranks, those of it in a host, and everything else of a rank."""
    found = AskedGroups(4, layout, 1).torchrec_group(whole())
    assert (found.world_size, found.local_world_size) == (4, local)
    assert [device.storage.hbm / GB for device in found.devices] == hbm
    assert found.comms_bandwidths.intra_host_bw == 123e6
    assert found.comms_bandwidths.inter_host_bw == 45e6
    assert found.bwd_compute_multiplier == 3.0


def test_without_groups_nothing_changes() -> None:
    """Neither without a size, nor for all ranks."""
    topology = whole()
    assert AskedGroups(None, None, 1).torchrec_group(topology) is topology
    assert AskedGroups(8, "inside", 1).torchrec_group(topology) is topology


def test_a_planner_plans_for_one_group() -> None:
    """Ranks, options and the search space are those of a group; its key is its own."""
    topology = torchrec_topology(world_size=16, local_world_size=8)
    planner = ShardplanPlanner(
        topology, batch_size=64, timeout_seconds=2, gap=0.5, sharding_group=4
    )
    plan = planner.plan(MODEL)
    ranks = {r for table in plan.plan[""].values() for r in table.ranks}
    assert ranks <= set(range(4))
    assert planner.result is not None
    assert planner.result.plan.inputs.topology.whole.world_size == 16
    assert planner.result.verdict.violations == ()
    assert len(planner.get_selected_options()) == 3
    assert planner.get_search_space()
    others = [
        ShardplanPlanner(topology, batch_size=64, timeout_seconds=2, gap=0.5, **asked)
        for asked in (
            {},
            {"sharding_group": 8},
            {"sharding_group": 4, "replicas": "across"},
            {"sharding_group": 4, "sync_every": 7},
        )
    ]
    keys = {other.key(MODEL) for other in others} | {planner.key(MODEL)}
    assert len(keys) == 5


def test_a_wrong_size_is_said_when_it_plans() -> None:
    """Not before: by then all ranks have compared what they ask for."""
    planner = ShardplanPlanner(torchrec_topology(world_size=8), sharding_group=3)
    with pytest.raises(InputError, match="of 3 ranks must divide 8 ranks"):
        planner.plan(MODEL)
