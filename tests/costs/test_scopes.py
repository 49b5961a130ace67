"""Scopes: groups of consecutive ranks, each entry known by its number."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.costs.cluster import Cluster
from shardplan.costs.scopes import SCOPES, Scope, add_scope, scopes_of
from shardplan.errors import InputError
from shardplan.records.sharding import ShardingType
from tests.helpers import CLUSTERS, added_scope, halves

if TYPE_CHECKING:
    from collections.abc import Callable

TWRW = ShardingType.TABLE_ROW_WISE


@pytest.mark.parametrize("name", CLUSTERS)
def test_groups_cover_the_ranks_once(name: str, half: Scope, rack: Scope) -> None:
    """Groups of every scope are runs of ranks, in order."""
    cluster = Cluster.of(CLUSTERS[name])
    for scope in SCOPES:
        groups = cluster.groups(scope)
        expected = np.repeat(np.arange(len(groups.num_ranks)), groups.num_ranks)
        np.testing.assert_array_equal(groups.of_rank, expected)
        np.testing.assert_array_equal(groups.start, groups.first_rank[expected])
        np.testing.assert_array_equal(groups.size, groups.num_ranks[expected])
        assert groups.num_ranks.sum() == cluster.world_size
        assert cluster.groups(int(scope)) is groups


def test_groups_by_hand(half: Scope, rack: Scope) -> None:
    """A host of four ranks and two of two: 4 + 2 ranks in the first rack."""
    cluster = Cluster.of(CLUSTERS["mixed"])
    assert cluster.groups(Scope.RANK).num_ranks.tolist() == [1] * 8
    assert cluster.groups(Scope.HOST).first_rank.tolist() == [0, 4, 6]
    assert cluster.groups(Scope.ALL).num_ranks.tolist() == [8]
    assert cluster.groups(half).num_ranks.tolist() == [2, 2, 1, 1, 1, 1]
    assert cluster.groups(rack).num_ranks.tolist() == [6, 2]
    assert cluster.class_group_size(rack).tolist() == [6, 6]
    assert cluster.class_group_size(half).tolist() == [2, 1]


def test_a_group_belongs_to_the_first_scope_that_has_it(rack: Scope) -> None:
    """The last of three hosts is no rack of its own; pairs are places of domains."""
    cut_off = Cluster.of(CLUSTERS["cut_off"])
    assert cut_off.groups(rack).is_own.tolist() == [False, False]  # domain, host
    mixed = Cluster.of(CLUSTERS["mixed"])
    assert mixed.groups(rack).is_own.tolist() == [True, False]
    assert mixed.groups(rack).of_size(6).tolist() == [0]
    assert mixed.groups(rack).of_size(2).tolist() == []
    # Of another sharding type, the same groups are places.
    with added_scope("shelf", rack.grouping, {ShardingType.ROW_WISE}) as shelf:
        assert cut_off.groups(shelf).is_own.tolist() == [True, True]


def test_scopes_are_their_numbers(half: Scope) -> None:
    """Arrays hold numbers, which compare with scopes; a number finds its scope."""
    last = len(SCOPES) - 1
    numbers = np.arange(len(SCOPES))
    assert (numbers == half).tolist() == [False] * last + [True]
    assert Scope(last) is half
    assert pickle.loads(pickle.dumps(half)) is half
    assert repr(half) == f"<Scope {last}: half>"
    assert scopes_of(TWRW) == [Scope.HOST, Scope.DOMAIN, half]
    assert scopes_of(ShardingType.TABLE_WISE) == []


def test_an_unknown_scope_is_an_error() -> None:
    """Nothing falls through to another scope."""
    known = "99 is no scope; there are 0 rank, 1 host, 2 domain, 3 all"
    with pytest.raises(ValueError, match=known):
        Scope(99)
    with pytest.raises(ValueError, match="-1 is no scope"):
        Cluster.of(CLUSTERS["one_host"]).groups(-1)


@pytest.mark.parametrize("name", ["host", "Half", "half host", ""])
def test_names_are_words_of_their_own(name: str) -> None:
    """Names stand in names of variables and operations."""
    with pytest.raises(ValueError, match="name of a scope"):
        add_scope(name, halves)


@pytest.mark.parametrize(
    ("grouping", "rule"),
    [
        (lambda cluster: np.arange(8) % 4, "must follow each other"),
        (lambda cluster: np.zeros(3), "a group to each of 8 ranks"),
        (lambda cluster: np.arange(8) // 3, "lie in one host or hold whole ones"),
    ],
)
def test_groupings_that_do_not_fit(
    grouping: Callable[[Cluster], np.ndarray], rule: str
) -> None:
    """The error names cluster, scope and rule."""
    with added_scope("odd", grouping) as odd, pytest.raises(InputError) as caught:
        Cluster.of(CLUSTERS["two_hosts"]).groups(odd)
    assert str(caught.value).startswith("- toy: scope odd: ")
    assert rule in str(caught.value)


def test_groups_may_not_cut_domains() -> None:
    """A wide domain is joined by other links than half of it and the next host."""
    with (
        added_scope("odd", lambda cluster: np.array([0, 0, 1, 1, 1, 1])) as odd,
        pytest.raises(InputError, match="lie in one domain or hold whole ones"),
    ):
        Cluster.of(CLUSTERS["cut_off"]).groups(odd)
