"""Loads of ranks and hosts, and the objectives over them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from shardplan.costs.cluster import Cluster
from shardplan.costs.memory.capacity import Capacity
from shardplan.problems.loads import Loads
from shardplan.records.sharding import PHASES, Objective
from tests.helpers import CLUSTERS

MIXED = Cluster.of(CLUSTERS["mixed"])


def empty_host() -> Loads:
    """Nothing on the ranks of one host."""
    cluster = Cluster.of(CLUSTERS["one_host"])
    return Loads.empty(cluster, cluster.rank_host)


def test_shards_land_on_their_rank_and_its_host() -> None:
    """Cost is that of the rank's class; DDR and SSD belong to the host."""
    loads = Loads.empty(MIXED, MIXED.rank_host)
    cost = np.zeros((3, 2, len(PHASES)))
    cost[:, 0], cost[:, 1] = 1.0, 10.0
    tier_bytes = np.array([[1.0, 2.0, 3.0]] * 3)
    # Ranks 0-3 are class 0 on host 0; 4-5 and 6-7 class 1 on hosts 1 and 2.
    loads.add(np.array([0, 5, 5]), cost, tier_bytes)
    assert loads.cost[:, 0].tolist() == [1, 0, 0, 0, 0, 20, 0, 0]
    assert loads.hbm.tolist() == [1, 0, 0, 0, 0, 2, 0, 0]
    assert loads.ddr.tolist() == [2, 4, 0]
    assert loads.ssd.tolist() == [3, 6, 0]


def test_shards_on_all_ranks() -> None:
    """Every rank bears each shard, and a host those of all its ranks."""
    loads = Loads.empty(MIXED, MIXED.rank_host)
    cost = np.zeros((2, 2, len(PHASES)))
    cost[:, 0], cost[:, 1] = 1.0, 10.0
    loads.add_everywhere(cost, np.array([[1.0, 2.0, 3.0]] * 2))
    assert loads.cost[:, 0].tolist() == [2] * 4 + [20] * 4
    assert loads.hbm.tolist() == [2] * 8
    assert loads.ddr.tolist() == [16, 8, 8]
    assert loads.ssd.tolist() == [24, 12, 12]


def test_objectives() -> None:
    """Step adds the slowest rank of each phase; max-rank takes the slowest sum."""
    loads = empty_host()
    loads.cost[0, 0], loads.cost[1, 1], loads.cost[2, :2] = 3.0, 2.0, 2.0
    assert loads.value(Objective.STEP) == 5.0
    assert loads.value(Objective.MAX_RANK) == 4.0


COSTS = arrays.arrays(float, (4, len(PHASES)), elements=st.floats(0, 1e3))


@given(COSTS, st.permutations(range(4)))
def test_relations_of_the_objectives(cost: np.ndarray, order: list[int]) -> None:
    """max-rank <= step <= P * max-rank, and names of ranks do not matter."""
    empty = empty_host()
    loads = Loads(empty.cluster, cost, empty.hbm, empty.ddr, empty.ssd, empty.rank_pool)
    low, high = loads.value(Objective.MAX_RANK), loads.value(Objective.STEP)
    assert low <= high * (1 + 1e-12)
    assert high <= len(PHASES) * low * (1 + 1e-12)
    renamed = replace(loads, cost=cost[order])
    assert renamed.value(Objective.STEP) == high
    assert renamed.value(Objective.MAX_RANK) == low


@pytest.mark.parametrize(("tier", "index"), [("hbm", 3), ("ddr", 0), ("ssd", 0)])
def test_fits(tier: str, index: int) -> None:
    """A pool may be full, but not a byte fuller."""
    loads = empty_host()
    capacity = Capacity(
        np.full(4, 5.0), np.array([5.0]), np.array([5.0]), loads.rank_pool, {}
    )
    getattr(loads, tier)[index] = 5.0
    assert loads.fits(capacity)
    getattr(loads, tier)[index] = 6.0
    assert not loads.fits(capacity)
