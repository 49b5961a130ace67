"""Ranks that share PCIe links or NICs use what the others leave idle."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.simulation import SimulationSettings, simulate

OUTPUT_BYTES = 100 * 32  # of one table: samples * row


def exchange(tiny, group, tables, world, settings=None):
    """Seconds of the exchange of outputs; table i is on rank tables[i]."""
    plan = tiny.plan(
        tiny.workload([1] * len(tables)),
        tiny.topology(group),
        tiny.cost_model(),
        [tiny.placement(i, [rank]) for i, rank in enumerate(tables)],
    )
    assert plan.world_size == world
    phases = simulate(plan, settings).phases
    return next(p for p in phases if p.name == "output_all_to_all").max_s


def pcie_host(tiny, ranks_per_link):
    group = tiny.host_group(ranks=4, domain=1)
    group["host"]["ranks_per_pcie_link"] = ranks_per_link
    return group


def test_a_rank_alone_on_a_pcie_link(tiny):
    """Its outputs to three of four ranks pass at the link's whole rate."""
    time = exchange(tiny, pcie_host(tiny, 2), [0], 4)
    assert time == pytest.approx(3 / 4 * OUTPUT_BYTES * 1e-9)


def test_two_ranks_on_a_pcie_link(tiny):
    """Two equal ranks each get half, as the prices have it."""
    time = exchange(tiny, pcie_host(tiny, 2), [0, 1], 4)
    assert time == pytest.approx(2 * 3 / 4 * OUTPUT_BYTES * 1e-9)
    bare = exchange(tiny, pcie_host(tiny, 2), [0], 4, SimulationSettings.bare())
    assert bare == pytest.approx(time)


def test_ranks_that_share_nics(tiny):
    """Four ranks, one NIC: three outputs of rank 0 take the time of three, not 12."""
    group = tiny.host_group(num_hosts=2, ranks=4)
    time = exchange(tiny, group, [0, 0, 0], 8)
    assert time == pytest.approx(3 * OUTPUT_BYTES / 2 * 1e-9)


def test_never_more_than_the_prices(tiny):
    """Sharing shortens the exchange of uneven plans, and changes no even one."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        tables = rng.integers(4, size=6).tolist()
        shared = exchange(tiny, pcie_host(tiny, 2), tables, 4)
        bare = SimulationSettings.bare()
        assert shared <= exchange(tiny, pcie_host(tiny, 2), tables, 4, bare) + 1e-15
