"""Ranges of a step where a description leaves rates open."""

from __future__ import annotations

import pytest

from shardplan import load_cost_model, load_topology, load_workload, solve
from shardplan.records.coefficient import Spread
from shardplan.records.inputs import Inputs
from shardplan.simulation import simulate, step_range
from shardplan.simulation.spread import at_end


@pytest.fixture(scope="module")
def boxed():
    """A plan for a box of PCIe cards, whose links its description leaves open."""
    workload = load_workload("dlrm-dcnv2")
    return solve(
        workload, load_topology("h100-pcie"), solver="greedy", objective="step"
    ).plan


def test_a_box_has_a_range_around_the_prediction(boxed):
    """Fast links make the step shorter, slow ones longer, as the network says."""
    fast, slow = step_range(boxed)
    step = simulate(boxed).step_time_s
    assert fast < step < slow
    # Only messages between cards become slower: less than 1 / 0.3 in all.
    spread = boxed.inputs.topology.host_groups[0].scale_up.network.spread
    assert slow / step < 1.0 / spread.slow


def test_rates_scale_and_latencies_stay(boxed):
    """A long message takes 1 / factor of its time, an empty one as long as before."""
    network = boxed.inputs.topology.host_groups[0].scale_up.network
    half = network.scaled(0.5)
    for name in ("all_to_all", "reduce", "all_reduce"):
        before, after = getattr(network, name), getattr(half, name)
        assert after.latency_s == before.latency_s
        assert after.bw_efficiency.value == before.bw_efficiency.value / 2.0
        for old, new in zip(before.curves, after.curves, strict=True):
            assert new.time_s == old.time_s
            assert new.sent_bytes == tuple(size / 2.0 for size in old.sent_bytes)
            assert new.bw_efficiency == old.bw_efficiency / 2.0


def test_measured_links_leave_nothing_open(boxed):
    """Without a spread, or with NVLink, there is no range."""
    topology = boxed.inputs.topology
    measured = topology.changed(
        lambda group: group.replace(
            scale_up=group.scale_up.replace(
                network=group.scale_up.network.replace(spread=None)
            )
        )
    )
    inputs = Inputs(
        workload=boxed.inputs.workload,
        topology=measured,
        cost_model=boxed.inputs.cost_model,
    )
    assert at_end(inputs, "slow") is None
    workload = load_workload("merlin-tiny")
    switched = solve(
        workload, load_topology("dgx-h100"), solver="greedy", objective="step"
    ).plan
    assert step_range(switched) is None


def test_lookups_of_cpus_are_open():
    """A plan for CPU hosts has the range of the programs that were measured."""
    workload = load_workload("dlrm-v1").replace(global_batch_size=32768)
    plan = solve(
        workload, load_topology("cpu-host"), solver="greedy", objective="step"
    ).plan
    fast, slow = step_range(plan)
    step = simulate(plan).step_time_s
    assert fast < step < slow
    model = load_cost_model("cpu")
    slower = model.lookup.scaled(model.lookup.spread.slow)
    assert slower.forward_efficiency.value == pytest.approx(
        model.lookup.forward_efficiency.value * model.lookup.spread.slow
    )
    assert slower.sort_s_per_id == model.lookup.sort_s_per_id


@pytest.mark.parametrize("ends", [(1.1, 2.0), (0.5, 0.9), (0.0, 1.0)])
def test_a_spread_holds_the_prediction(ends):
    """The slow end is not faster, the fast end not slower, than what is predicted."""
    slow, fast = ends
    with pytest.raises(ValueError, match="Input should be"):
        Spread(slow=slow, fast=fast, source="x")
