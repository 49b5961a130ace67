"""What one of several sharding groups has of a cluster."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shardplan.io import catalog
from shardplan.records.sharding import ReplicaLayout
from shardplan.records.topology import Topology
from tests.helpers import MIXED, TWO_HOSTS, host_group, topology

INSIDE, ACROSS = ReplicaLayout.INSIDE, ReplicaLayout.ACROSS


def shape(found: Topology) -> tuple[int, int, int]:
    """Return hosts, ranks of a host, and ranks of a domain."""
    (group,) = found.host_groups
    return group.num_hosts, group.local_world_size, group.scale_up.domain_size


@pytest.mark.parametrize(
    ("size", "layout", "expected", "members"),
    [
        (4, INSIDE, (2, 2, 2), [0, 2, 4, 6]),
        (2, INSIDE, (2, 1, 1), [0, 4]),
        (1, INSIDE, (1, 1, 1), [0]),
        (4, ACROSS, (1, 4, 4), [0, 1, 2, 3]),
        (2, ACROSS, (1, 2, 2), [0, 1]),
    ],
)
def test_ranks_of_a_group(
    size: int, layout: ReplicaLayout, expected: tuple[int, int, int], members: list[int]
) -> None:
    """Of two hosts of four ranks, every R-th rank or ranks in a row."""
    found = TWO_HOSTS.sharding_group(size, layout)
    assert shape(found) == expected
    assert (found.world_size, found.replicas) == (size, 8 // size)
    assert list(found.members()) == members
    assert found.whole == TWO_HOSTS
    assert Topology.model_validate(found.model_dump()) == found


def test_whole_hosts_and_domains_over_hosts() -> None:
    """A group of whole hosts has all of theirs; a domain loses what others have."""
    found = catalog.load_topology("dgx-h100:4").sharding_group(16, ACROSS)
    assert shape(found) == (2, 8, 8)
    assert found.host_groups[0].host == TWO_OF_FOUR.host_groups[0].host
    wide = catalog.load_topology("gb200-nvl72:16")
    (group,) = wide.host_groups
    local, domain = group.local_world_size, group.scale_up.domain_size
    assert shape(wide.sharding_group(32, INSIDE)) == (16, local // 2, domain // 2)
    assert shape(wide.sharding_group(8, ACROSS)) == (8 // local, local, 8)


TWO_OF_FOUR = catalog.load_topology("dgx-h100:2")


def test_what_a_host_shares_is_shared_out() -> None:
    """Two of four ranks: half of DDR, SSD and NICs; each keeps its own part of PCIe."""
    (whole,), (part,) = TWO_HOSTS.host_groups, half().host_groups
    assert part.host.ddr_bytes == whole.host.ddr_bytes // 2
    assert part.host.ssd_bytes == whole.host.ssd_bytes // 2
    for name in ("ddr_bw", "ssd_read_bw", "ssd_write_bw", "ssd_read_iops"):
        assert getattr(part.host, name) == getattr(whole.host, name) / 2
    # Two ranks shared a link of 20 GB/s; of the group, one has its 10 GB/s.
    assert (part.host.pcie_bw, part.host.ranks_per_pcie_link) == (1e10, 1)
    assert (part.scale_out.nics_per_host, part.scale_out.nic_bw) == (2, 1e10)
    assert (part.scale_up.bw, part.device) == (whole.scale_up.bw, whole.device)


def half() -> Topology:
    return TWO_HOSTS.sharding_group(4, INSIDE)


def test_one_nic_of_four_ranks_is_divided() -> None:
    """What cannot be shared out in whole is slower, and on no rail of its own."""
    nics = {"nics_per_host": 1, "nic_bw": 1e10, "rail_optimized": True}
    found = topology(num_hosts=2, scale_out=nics).sharding_group(4, INSIDE)
    out = found.host_groups[0].scale_out
    assert (out.nics_per_host, out.nic_bw, out.rail_optimized) == (1, 5e9, False)


def test_a_mesh_keeps_the_links_among_its_ranks() -> None:
    """Of three links of a rank one goes to the other rank of its group."""
    mesh = {"kind": "mesh", "domain_size": 4, "bw": 9e10}
    found = topology(num_hosts=2, scale_up=mesh).sharding_group(4, INSIDE)
    links = found.host_groups[0].scale_up
    assert (links.domain_size, links.bw) == (2, pytest.approx(3e10))


def test_leafs_hold_as_many_hosts_as_are_left() -> None:
    """With one rank of every second host, two hosts of four under a leaf remain."""
    fabric = {"hosts_per_leaf": 4, "oversubscription": 2.0}
    found = topology(host_group(num_hosts=8), fabric=fabric).sharding_group(4, INSIDE)
    assert shape(found)[:2] == (4, 1)
    assert found.fabric.hosts_per_leaf == 2
    assert found.fabric.oversubscription == 2.0


def test_copies_hold_what_the_smallest_of_them_can() -> None:
    """The HBM of a shard is the least of those of its copies."""
    hbm = tuple(10**9 * (9 - rank) for rank in range(8))
    cluster = TWO_HOSTS.replace(rank_hbm_bytes=hbm)
    inside = cluster.sharding_group(4, INSIDE).rank_hbm_bytes
    assert inside == tuple(10**9 * n for n in (8, 6, 4, 2))
    across = cluster.sharding_group(4, ACROSS).rank_hbm_bytes
    assert across == tuple(10**9 * n for n in (5, 4, 3, 2))


@pytest.mark.parametrize(
    ("cluster", "size", "layout", "message"),
    [
        (TWO_HOSTS, 3, INSIDE, "a sharding group of 3 ranks must divide 8 ranks"),
        (TWO_HOSTS, 0, INSIDE, "a sharding group of 0 ranks must divide 8 ranks"),
        (TWO_HOSTS, 16, ACROSS, "a sharding group of 16 ranks must divide 8 ranks"),
        (MIXED, 4, ACROSS, "would differ on a mixed cluster; use layout 'inside'"),
        (topology(num_hosts=3), 4, INSIDE, "3 replicas inside hosts must divide the 4"),
        (topology(num_hosts=3), 6, ACROSS, "6 ranks in a row must divide the 4 ranks"),
    ],
)
def test_groups_that_there_are_not(
    cluster: Topology, size: int, layout: ReplicaLayout, message: str
) -> None:
    """The rule is said."""
    with pytest.raises(ValueError, match=message):
        cluster.sharding_group(size, layout)


def test_layouts_may_be_words() -> None:
    """Their names are as good; other words, and no steps, are refused."""
    assert TWO_HOSTS.sharding_group(4, "inside") == half()
    assert shape(TWO_HOSTS.sharding_group(4, "across")) == (1, 4, 4)
    with pytest.raises(ValueError, match="'foo' is not a valid ReplicaLayout"):
        TWO_HOSTS.sharding_group(4, "foo")
    with pytest.raises(ValueError, match="sync_every must be at least 1 step, got 0"):
        TWO_HOSTS.sharding_group(4, INSIDE, 0)


def test_a_mixed_cluster_has_every_second_rank() -> None:
    """Each kind of host keeps half of its ranks."""
    found = MIXED.sharding_group(4, INSIDE)
    shapes = [(g.num_hosts, g.local_world_size) for g in found.host_groups]
    assert shapes == [(1, 2), (2, 1)]


@pytest.mark.parametrize(
    "changes",
    [
        {"replicas": 4},
        {"layout": "across"},
        {"cluster": topology(num_hosts=4).model_dump()},
    ],
)
def test_a_group_is_of_its_cluster(changes: dict[str, Any]) -> None:
    """A file cannot claim to be a group of another cluster, or twice the group."""
    data = half().model_dump()
    data["replication"].update(changes)
    with pytest.raises(ValidationError, match="not a sharding group of replication"):
        Topology.model_validate(data)


def test_changes_reach_the_cluster_too() -> None:
    """What is changed of a group is changed of its cluster, and stays a group."""
    faster = half().scaled("scale_out", nic_bw=2.0)
    assert faster.whole.host_groups[0].scale_out.nic_bw == 2e10
    assert faster == faster.whole.sharding_group(4, INSIDE)
    more = half().with_hosts(4)
    assert (more.whole.num_hosts, more.world_size, more.replicas) == (4, 4, 4)
    with pytest.raises(ValueError, match="is a sharding group already"):
        half().sharding_group(2, INSIDE)
