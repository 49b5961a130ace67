"""Topologies as arrays."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.costs.cluster import Cluster
from shardplan.costs.scopes import Scope
from tests.helpers import CLUSTERS


@pytest.mark.parametrize("name", CLUSTERS)
def test_arrays_agree(name: str) -> None:
    """Hosts and domains are runs of ranks that cover the cluster once."""
    cluster = Cluster.of(CLUSTERS[name])
    assert cluster.world_size == CLUSTERS[name].world_size
    assert cluster.num_hosts == CLUSTERS[name].num_hosts
    domains = cluster.groups(Scope.DOMAIN)
    for first, count, of_rank in (
        (cluster.host_first_rank, cluster.host_num_ranks, cluster.rank_host),
        (domains.first_rank, domains.num_ranks, cluster.rank_domain),
    ):
        assert count.sum() == cluster.world_size
        for index, (start, number) in enumerate(zip(first, count, strict=True)):
            assert (of_rank[start : start + number] == index).all()
    assert cluster.class_ranks.sum() == cluster.world_size
    assert (cluster.host_class[cluster.rank_host] == cluster.rank_class).all()


def test_mixed_cluster() -> None:
    """A host of four ranks, then two hosts of two."""
    cluster = Cluster.of(CLUSTERS["mixed"])
    assert cluster.rank_host.tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    assert cluster.rank_class.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert cluster.class_ranks.tolist() == [4, 4]
    assert cluster.class_group_size(Scope.DOMAIN).tolist() == [4, 2]
    assert not cluster.is_cpu


def test_domains_that_span_and_split_hosts() -> None:
    """A domain may hold two hosts, or half a host, or be cut off at the end."""
    wide, pairs = Cluster.of(CLUSTERS["wide"]), Cluster.of(CLUSTERS["pairs"])
    assert wide.groups(Scope.DOMAIN).num_ranks.tolist() == [4]
    assert pairs.groups(Scope.DOMAIN).num_ranks.tolist() == [2, 2, 2, 2]
    cut_off = Cluster.of(CLUSTERS["cut_off"])
    assert cut_off.groups(Scope.DOMAIN).num_ranks.tolist() == [4, 2]
    assert cut_off.class_group_size(Scope.DOMAIN).tolist() == [4]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one_host", [True]),
        ("wide", [False]),
        ("pairs", [False] * 4),
        ("cut_off", [False, True]),
        ("mixed", [True] * 3),
    ],
)
def test_domains_that_are_hosts(name: str, expected: list[bool]) -> None:
    """A domain is a host if it has exactly its ranks."""
    domains = Cluster.of(CLUSTERS[name]).groups(Scope.DOMAIN)
    assert (~domains.is_own).tolist() == expected


def test_cpu_cluster() -> None:
    """Without scale-up links every rank is a domain."""
    cluster = Cluster.of(CLUSTERS["cpu"])
    assert cluster.is_cpu
    np.testing.assert_array_equal(cluster.groups(Scope.DOMAIN).num_ranks, np.ones(8))
