"""What bounds a step."""

from __future__ import annotations

import pytest

from shardplan.simulation import explain, simulate


def test_one_rank_is_bound_by_memory(tiny):
    """Lookup and update take bytes over bandwidth: 1 % more saves 1 - 1/1.01."""
    plan = tiny.plan(
        tiny.workload([2], pipeline="sparse_dist"),
        tiny.topology(),
        tiny.cost_model(),
        [tiny.placement(0, [0])],
    )
    simulation = simulate(plan)
    found = explain(simulation)
    expected = simulation.step_time_s * (1 - 1 / 1.01)
    assert found.saved_s["device memory bandwidth"] == pytest.approx(expected)
    assert found.bound_by["embedding_forward"] == "device memory bandwidth"
    assert found.bound_by["input_copy"] == "host memory and PCIe bandwidth"
    assert found.saved_s["NIC bandwidth"] == 0.0


def test_overhead_latency_and_floors(tiny):
    """Fixed times are bound by the runtime, by latency, or by nothing."""
    plan = tiny.plan(
        tiny.workload([1, 1]),
        tiny.topology(tiny.host_group(num_hosts=2)),
        tiny.cost_model(overhead_s=1e-3, floor_s=1e-2, latency_s=1.0),
        [tiny.placement(0, [0]), tiny.placement(1, [1])],
    )
    found = explain(simulate(plan))
    assert found.bound_by["overhead"] == "runtime overhead"
    assert found.bound_by["embedding_forward"] == "fixed"
    assert found.bound_by["output_all_to_all"] == "latency of collectives"
    assert found.saved_s["runtime overhead"] == pytest.approx(1e-5)


def test_nic_bound_exchange(tiny, straggler_plan):
    """On two hosts the NIC bounds the exchange; a straggler makes others wait."""
    group = tiny.host_group(num_hosts=2)
    group["host"]["pcie_bw"] = 2e9  # of the lane to the NIC, which has 1e9
    plan = tiny.plan(
        straggler_plan.inputs.workload,
        tiny.topology(group),
        tiny.cost_model(),
        straggler_plan.tables,
    )
    found = explain(simulate(plan))
    assert found.bound_by["output_all_to_all"] == "NIC bandwidth"
    assert found.imbalance_s > 0
    assert set(found.to_dict()) == {
        "saved_s_per_percent",
        "bound_by",
        "fullest_link",
        "imbalance_s",
        "hidden_communication_s",
        "exposed_communication_s",
    }


def test_more_of_anything_never_hurts(tiny):
    """On random plans without slowed computation no resource has a negative value."""
    for seed in range(15):
        plan = tiny.random_plan(seed, slowdown=0.0)
        saved = explain(simulate(plan)).saved_s
        assert min(saved.values()) >= -1e-12


def test_the_fullest_link_is_named(tiny):
    """Rank 1 sends the most and rank 0 receives it: of equal NICs the first."""
    group = tiny.host_group(num_hosts=2)
    group["host"]["pcie_bw"] = 4e9
    plan = tiny.plan(
        tiny.workload([{}, {"num_outputs": 3}]),
        tiny.topology(group),
        tiny.cost_model(),
        [tiny.placement(0, [0]), tiny.placement(1, [1])],
    )
    found = explain(simulate(plan)).fullest_link
    assert found["output_all_to_all"] == "NIC of rank 0, host 0"
    assert "embedding_forward" not in found
