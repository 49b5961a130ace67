"""How long a simulation takes."""

from __future__ import annotations

import time

import numpy as np
import pytest

from shardplan import catalog
from shardplan.simulation import simulate


def large_plan(tiny, num_hosts, num_tables):
    """Return a plan of mixed sharding types for hosts of 8 ranks."""
    rng = np.random.default_rng(0)
    world = num_hosts * 8
    placements = []
    for table in range(num_tables):
        host = int(rng.integers(num_hosts))
        kind, ranks = [
            ("table_wise", [int(rng.integers(world))]),
            ("table_row_wise", range(host * 8, host * 8 + 8)),
            ("row_wise", range(world)),
        ][table % 3]
        placements.append(tiny.placement(table, ranks, kind))
    dense = {"num_dense": 13, "bottom_mlp": (512, 128), "top_mlp": (1024, 1)}
    return tiny.plan(
        tiny.workload([10] * num_tables, batch=world * 256, dense=dense),
        catalog.load_topology("dgx-h100", num_hosts),
        catalog.load_cost_model("h100"),
        placements,
    )


@pytest.mark.benchmark
@pytest.mark.parametrize(
    ("num_hosts", "num_tables", "limit_s"), [(1, 26, 0.1), (512, 1000, 2.0)]
)
def test_simulation_is_fast(tiny, num_hosts, num_tables, limit_s):
    """Milliseconds for one host, seconds for 4,096 ranks and 1,000 tables."""
    plan = large_plan(tiny, num_hosts, num_tables)
    begin = time.perf_counter()
    simulate(plan)
    assert time.perf_counter() - begin < limit_s
