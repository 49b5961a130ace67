"""What reports say of sharding groups."""

from __future__ import annotations

from shardplan.records.sharding import ReplicaLayout
from shardplan.report.replicas import replication_data, replication_facts
from tests.helpers import TWO_HOSTS


def test_groups_are_named_with_their_cluster() -> None:
    """How many, of how many ranks, where copies meet and how often."""
    data = replication_data(TWO_HOSTS.sharding_group(4, ReplicaLayout.INSIDE, 1000))
    assert data is not None
    assert data["ranks"] == [0, 2, 4, 6]
    assert replication_facts(data) == {
        "sharding groups": "2 of 4 ranks, out of 8 ranks; copies meet inside hosts, "
        "averaged every 1,000 steps"
    }
    each = replication_data(TWO_HOSTS.sharding_group(2, ReplicaLayout.ACROSS))
    (text,) = replication_facts(each).values()
    assert text.endswith("copies meet across hosts, averaged every step")


def test_one_group_needs_no_words() -> None:
    """A plan for the whole cluster says nothing."""
    assert replication_data(TWO_HOSTS) is None
    assert replication_facts(None) == {}
