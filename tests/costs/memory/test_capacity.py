"""What is left of the memory for embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shardplan.costs.cluster import Cluster
from shardplan.costs.memory.capacity import Capacity, dense_rank_bytes
from shardplan.costs.usage import TableUsage
from tests.helpers import CLUSTERS, COST_MODEL, workload

if TYPE_CHECKING:
    from shardplan.records.topology import Topology
    from shardplan.records.workload import Workload

DENSE = {"num_dense": 10, "bottom_mlp": [20, 128], "top_mlp": [1], "interaction": "cat"}


def capacity_of(tables: Workload, topology: Topology) -> Capacity:
    cluster = Cluster.of(topology)
    usage = TableUsage.of(tables, cluster.world_size)
    return Capacity.of(cluster, usage, COST_MODEL)


def test_gpu_ranks() -> None:
    """HBM less reserve, context and received embeddings; DDR less its reserve."""
    capacity = capacity_of(workload({}), CLUSTERS["one_host"])
    # Outputs for 250 samples of 128 fp32, and their gradients: 2 * 4 * 32,000.
    received = 256_000
    assert capacity.reserved["received embeddings"] == received
    assert capacity.reserved["kept free"] == pytest.approx(1e9)
    # 10 GB * 0.9 - 1 GB - received
    assert capacity.rank_hbm == pytest.approx([9e9 - 1e9 - received] * 4)
    assert capacity.pool_ddr == pytest.approx([8e10])  # 100 GB * 0.8
    assert capacity.pool_ssd.tolist() == [1e12]
    assert [len(capacity.of_tier(tier)) for tier in range(3)] == [4, 1, 1]


def test_dense_part() -> None:
    """Parameters, their gradients and states, activations and received embeddings."""
    usage = TableUsage.of(workload({}, dense=DENSE, optimizer="adam"), 4)
    found = dense_rank_bytes(usage, 4)
    # Bottom 10*20+20 + 20*128+128 = 220 + 2688; top (128 + 128)*1 + 1 = 257.
    # fp32 weight and gradient 8 bytes, two fp32 states 8 bytes.
    assert found["dense parameters"] == (220 + 2688 + 257) * 16
    # 250 samples * (20 + 128 + 1) outputs, and gradients, in fp32.
    assert found["dense activations"] == 2 * 4 * 250 * 149
    assert found["received embeddings"] == 2 * 4 * 250 * 128


def test_cpu_ranks_take_everything_off_their_host() -> None:
    """A CPU host gives up its reserve and four times what a rank needs."""
    capacity = capacity_of(workload({}), CLUSTERS["cpu"])
    assert capacity.rank_hbm.tolist() == [0.0] * 8
    # 1000 samples over 8 ranks: 125 * 128 * 8 bytes received, 1 GB of libraries.
    rank = 1e9 + 125 * 128 * 8
    assert capacity.pool_ddr == pytest.approx([8e10 - 4 * rank] * 2)


def test_mixed_cluster() -> None:
    """Each rank and host has its own group's memory."""
    capacity = capacity_of(workload({}), CLUSTERS["mixed"])
    assert len(capacity.rank_hbm) == 8
    assert len(capacity.pool_ddr) == 3


def test_no_room_is_zero_and_not_negative() -> None:
    """A model that fills a rank by itself leaves nothing."""
    huge = workload({}, global_batch_size=2**31)
    assert capacity_of(huge, CLUSTERS["one_host"]).rank_hbm.tolist() == [0.0] * 4
