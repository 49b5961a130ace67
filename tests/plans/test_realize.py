"""From assignments to the placements of a plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shardplan.plans.realize import placements, tier_split
from shardplan.problems.problem import Assignment
from shardplan.records.placement import TablePlacement, TierSplit
from shardplan.records.sharding import ComputeKernel
from tests.helpers import (
    CLUSTERS,
    COST_MODEL,
    Instance,
    assert_tiles,
    plan_of,
    random_assignment,
    varied,
    workload,
)


def placed(
    places: list[int], cluster: str = "two_hosts", **option: Any
) -> TablePlacement:
    """Place the first option of a 20-column table that matches."""
    kinds = {"sharding_types": [option.pop("kind")]}
    table = {"embedding_dim": 20, "constraints": kinds}
    instance = Instance(workload(table), CLUSTERS[cluster], COST_MODEL)
    problem = instance.problem()
    menu = problem.options
    match = np.ones(len(menu), dtype=bool)
    for name, value in option.items():
        match &= getattr(menu, name) == value
    index = int(np.flatnonzero(match)[0])
    assignment = Assignment(np.array([index]), (np.array(places, dtype=int),))
    return placements(problem, assignment)[0]


def blocks(placement: TablePlacement) -> list[tuple[int, int, tuple[int, ...]]]:
    return [(b.column_offset, b.num_columns, b.ranks) for b in placement.blocks]


def test_one_rank() -> None:
    """table_wise is one block on one rank."""
    assert blocks(placed([5], kind="table_wise")) == [(0, 20, (5,))]


def test_columns_follow_the_places() -> None:
    """Wider shards come first, and every shard starts where the last one ended."""
    found = placed([7, 1, 7], kind="column_wise", column_shards=3)
    assert blocks(found) == [(0, 8, (7,)), (8, 8, (1,)), (16, 4, (7,))]


def test_rows_over_all_ranks_and_over_some() -> None:
    """Row shards are in order of their ranks."""
    everywhere = placed([], kind="row_wise", row_shards=8)
    assert blocks(everywhere) == [(0, 20, tuple(range(8)))]
    some = placed([6, 0, 3], kind="row_wise", row_shards=3)
    assert blocks(some) == [(0, 20, (0, 3, 6))]


def test_groups() -> None:
    """Hosts and domains become runs of ranks; a grid has one per block."""
    host = placed([1], kind="table_row_wise", scope=1)
    assert blocks(host) == [(0, 20, (4, 5, 6, 7))]
    domain = placed([2], "pairs", kind="table_row_wise", scope=2)
    assert blocks(domain) == [(0, 20, (4, 5))]
    grid = placed([1, 0], kind="grid_shard", column_shards=2)
    assert blocks(grid) == [(0, 12, (4, 5, 6, 7)), (12, 8, (0, 1, 2, 3))]


def test_copies() -> None:
    """data_parallel is one block on all ranks, with the dense kernel."""
    found = placed([], kind="data_parallel")
    assert blocks(found) == [(0, 20, tuple(range(8)))]
    assert found.compute_kernel == "dense"


@pytest.mark.parametrize(
    ("kernel", "hbm", "ddr", "expected"),
    [
        ("dense", 1.0, 0.0, (1, 0, 0)),
        ("fused", 1.0, 0.0, (1, 0, 0)),
        ("fused_uvm", 0.0, 1.0, (0, 1, 0)),
        ("fused_uvm_caching", 0.2, 1.0, (0.2, 1, 0)),
        ("fused_uvm_split", 0.2, 0.8, (0.2, 0.8, 0)),
        ("key_value", 0.02, 0.1, (0.02, 0.1, 1)),
    ],
)
def test_tier_split(
    kernel: str, hbm: float, ddr: float, expected: tuple[float, ...]
) -> None:
    """Each kernel keeps its rows where it says; on CPUs all are in DDR."""
    found = tier_split(ComputeKernel(kernel), hbm, ddr, is_cpu=False)
    assert (found.hbm, found.ddr, found.ssd) == expected
    on_cpu = tier_split(ComputeKernel(kernel), hbm, ddr, is_cpu=True)
    assert on_cpu == TierSplit(ddr=1.0)


@pytest.mark.parametrize("routing", [None, "blocks"])
@pytest.mark.parametrize("name", CLUSTERS)
def test_shards_tile_tables(name: str, routing: str | None) -> None:
    """Whatever options and places are drawn, every cell is placed exactly once."""
    instance = varied(CLUSTERS[name], row_routing=routing)
    problem = instance.problem(all_tiers=True)
    rng = np.random.default_rng(11)
    for _ in range(40):
        assert_tiles(plan_of(instance, problem, random_assignment(problem, rng)))
