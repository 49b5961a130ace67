"""What averaging the copies of shards costs, worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shardplan.costs.cluster import Cluster
from shardplan.costs.prepared import prepare
from shardplan.costs.rates import ClassRates
from shardplan.costs.replica_sync import copies
from shardplan.costs.scopes import Scope
from shardplan.io.catalog import load_cost_model, load_network, load_topology
from shardplan.plans.evaluation import evaluate
from shardplan.plans.sparse_work import sparse_work
from shardplan.records.sharding import ReplicaLayout
from shardplan.records.torchrec_cost_model import measured
from tests.helpers import COST_MODEL, TWO_HOSTS, Instance, workload

if TYPE_CHECKING:
    from shardplan.records.topology import Topology

INSIDE, ACROSS = ReplicaLayout.INSIDE, ReplicaLayout.ACROSS


def s_per_byte(cluster: Topology) -> float:
    (found,) = ClassRates.of(Cluster.of(cluster), COST_MODEL).replica_sync.tolist()
    return found


@pytest.mark.parametrize(
    ("size", "layout", "every", "expected"),
    [
        # Two copies beside each other: 2 (2 - 1) / 2 bytes at 0.8 of 100 GB/s.
        (4, INSIDE, 1, 1.0 / 8e10),
        (4, INSIDE, 10, 0.1 / 8e10),
        # The four of a host: 2 (4 - 1) / 4.
        (2, INSIDE, 1, 1.5 / 8e10),
        # Two copies on two hosts: all by NIC, at 0.5 of 10 GB/s.
        (4, ACROSS, 1, 1.0 / 5e9),
        # Two on each host: 1 byte inside beside 2 (1/2 - 1/4) between them.
        (2, ACROSS, 1, 0.5 / 5e9),
        # All ranks share the tables.
        (8, INSIDE, 1, 0.0),
    ],
)
def test_rings_of_copies(
    size: int, layout: ReplicaLayout, every: int, expected: float
) -> None:
    """Bytes on the fullest link, over its rate, in one of so many steps."""
    found = s_per_byte(TWO_HOSTS.sharding_group(size, layout, every))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("size", "layout"), [(4, INSIDE), (2, INSIDE), (4, ACROSS)])
def test_copies_in_a_full_mesh_have_the_links_among_them(
    size: int, layout: ReplicaLayout
) -> None:
    """R copies on an MI350X use R - 1 of seven links, which carry 2 (R - 1) / R."""
    group = load_topology("mi350x").sharding_group(size, layout)
    model = measured(load_cost_model("mi350x"))
    efficiency = load_network("infinity-fabric-mi350").reduce.bw_efficiency.value
    rates = ClassRates.of(Cluster.of(group), model)
    expected = 2.0 / (8 // size) / (76.8e9 * efficiency)
    assert rates.replica_sync.tolist() == [pytest.approx(expected)]


def test_who_holds_copies() -> None:
    """Ranks that follow each other, or those at the same place of their groups."""
    assert copies(TWO_HOSTS.sharding_group(4, INSIDE)).tolist() == [
        0,
        0,
        1,
        1,
        2,
        2,
        3,
        3,
    ]
    assert copies(TWO_HOSTS.sharding_group(2, ACROSS)).tolist() == [0, 1] * 4


def test_a_rank_averages_rows_and_state_of_what_it_shards() -> None:
    """Rows of 512 bytes with 4 of state, over NVLink; a replicated table adds none."""
    group = TWO_HOSTS.sharding_group(4, INSIDE, 2)
    tables = workload(
        {"constraints": {"sharding_types": ["table_wise"]}},
        {"constraints": {"sharding_types": ["data_parallel"]}},
        optimizer="rowwise_adagrad",
    )
    found = Instance(tables, group, COST_MODEL).solve()
    work = sparse_work(evaluate(found.plan))
    seconds = 1000 * (128 * 4 + 4) / 8e10 / 2
    assert sorted(work.replica_sync.tolist()) == pytest.approx([0, 0, 0, seconds])


def test_rows_in_host_memory_pass_the_way_to_it_and_back() -> None:
    """At the rate of copies: 0.4 of a rank's 10 GB/s."""
    group = TWO_HOSTS.sharding_group(4, INSIDE)
    limits = {"sharding_types": ["table_wise"], "compute_kernels": ["fused_uvm"]}
    found = Instance(workload({"constraints": limits}), group, COST_MODEL).solve()
    work = sparse_work(evaluate(found.plan))
    seconds = 1000 * 512 * (1.0 / 8e10 + 2.0 / 4e9)
    assert work.replica_sync.max() == pytest.approx(seconds)


def test_dense_gradients_meet_those_of_all_replicas() -> None:
    """The all-reduce of a group is that of the whole cluster."""
    whole = ClassRates.of(Cluster.of(TWO_HOSTS), COST_MODEL)
    group = ClassRates.of(Cluster.of(TWO_HOSTS.sharding_group(4, ACROSS)), COST_MODEL)
    assert group.all_reduce == pytest.approx(whole.all_reduce)
    assert whole.all_reduce == pytest.approx(whole.reduce_scatter[Scope.ALL])


def test_groups_share_the_global_batch() -> None:
    """1,000 samples of all are 500 of each of two groups; per rank they stay."""
    group = TWO_HOSTS.sharding_group(4, INSIDE)
    shared = prepare(workload({}), group, COST_MODEL).usage
    assert (shared.batch_size, shared.num_lookups.tolist()) == (500, [500.0])
    each = workload({}, global_batch_size=None, batch_size=100)
    assert prepare(each, group, COST_MODEL).usage.batch_size == 400
