"""How long a simulation takes."""

from __future__ import annotations

import time

import numpy as np
import pytest

from shardplan.io import catalog
from shardplan.plans.shard_matrix import ShardMatrix
from shardplan.records.inputs import Inputs
from shardplan.simulation import simulate
from shardplan.validation import load_measurements
from shardplan.validation.predict import measured_plan


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


def fastest_s(plan, clock):
    """Simulate some times; return the least [s]."""
    times = []
    for _ in range(10):
        begin = clock()
        simulate(plan)
        times.append(clock() - begin)
    return min(times)


@pytest.mark.benchmark
def test_a_measured_step_takes_milliseconds():
    """One step of DLRM-DCNv2 on 8 ranks, best of several."""
    steps = {m.id: m for m in load_measurements()}
    plan = measured_plan(steps["mlperf.dcnv2.h100_1x8_b55296_v40"])
    assert fastest_s(plan, time.perf_counter) < 0.005


@pytest.mark.benchmark
def test_a_step_of_blocks_takes_milliseconds():
    """One step of DLRM-v4's blocks on 8 ranks, best of several on this processor."""
    steps = {m.id: m for m in load_measurements()}
    plan = measured_plan(steps["mlperf.dlrm-v4.mi350x_1x8_b8192"])
    assert fastest_s(plan, time.process_time) < 0.010


@pytest.mark.benchmark
def test_many_plans_for_the_same_inputs():
    """A thousand plans of 200 tables on 64 ranks in 10 s: 100 of them in 1 s."""
    inputs = Inputs(
        workload=catalog.load_workload("hugectr-200"),
        topology=catalog.load_topology("dgx-h100", 8),
        cost_model=catalog.load_cost_model("h100"),
    )
    rng = np.random.default_rng(0)
    plans = []
    for _ in range(100):
        ranks = rng.integers(64, size=len(inputs.workload.tables))
        held = tuple(tuple(np.flatnonzero(ranks == r).tolist()) for r in range(64))
        plans.append(ShardMatrix(ranks=held).to_plan(inputs))
    begin = time.perf_counter()
    for plan in plans:
        simulate(plan)
    assert time.perf_counter() - begin < 1.0
