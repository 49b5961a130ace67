"""A move looks at whole hosts and domains, or at all ranks."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.costs.cluster import Cluster
from shardplan.costs.scopes import SCOPES, Scope
from shardplan.solvers import rank_sample
from shardplan.solvers.rank_sample import RankSampler
from tests.helpers import host_group, topology


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sample of few ranks as of many."""
    monkeypatch.setattr(rank_sample, "_MANY", 16)
    monkeypatch.setattr(rank_sample, "_SOME", 8)


@pytest.mark.usefixtures("few")
def test_groups_of_a_sample() -> None:
    """Its groups are those of its ranks, and begin where theirs do."""
    cluster = Cluster.of(topology(num_hosts=16, local_world_size=4))
    sampler = RankSampler(cluster, np.random.default_rng(0))
    seen = set()
    for most in (1, 2, 8):
        sample = sampler.draw(most)
        assert not sample.is_whole
        assert len(sample.ranks) >= max(8, 4 * most)
        seen |= set(sample.ranks.tolist())
        for scope in SCOPES:
            if scope == Scope.ALL:
                continue
            of_rank = cluster.groups(scope).of_rank[sample.ranks]
            groups, first = np.unique(of_rank, return_index=True)
            np.testing.assert_array_equal(sample.groups[scope], groups)
            np.testing.assert_array_equal(sample.first[scope], first)
            size = cluster.groups(scope).num_ranks[groups].sum()
            assert size == len(sample.ranks)
    assert len(seen) > 32


@pytest.mark.usefixtures("few")
def test_all_ranks() -> None:
    """They are looked at where they are few, options wide, or hosts uneven."""
    rng = np.random.default_rng(0)
    large = topology(num_hosts=16, local_world_size=4)
    assert RankSampler(Cluster.of(large), rng).draw(16).is_whole
    small = topology(num_hosts=4, local_world_size=4)
    assert RankSampler(Cluster.of(small), rng).draw(1).is_whole
    mixed = topology(
        host_group("new", num_hosts=9, local_world_size=4),
        host_group("old", num_hosts=9, local_world_size=3),
    )
    sample = RankSampler(Cluster.of(mixed), rng).draw(1)
    assert sample.is_whole
    np.testing.assert_array_equal(sample.ranks, np.arange(63))
