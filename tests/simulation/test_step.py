"""Closed forms on tiny systems."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.plans.evaluation import evaluate
from shardplan.records.sharding import Objective
from shardplan.simulation import SimulationSettings, simulate
from shardplan.steps.operation import Stage, Stream

# One table of 8 fp32 columns and 1000 rows, 2 ids for each of 100 samples, at 1 GB/s:
# forward 200 * (8 + 32) + 100 * (8 + 32) bytes, input 200 * 8 + 100 * 8 bytes.
FORWARD_S, COPY_S = 12_000e-9, 2_400e-9
# 200 gradient rows of 32 B; U = 1000 (1 - 0.999^200) rows read and written.
BACKWARD_S = (200 * 32 + 2 * 1000 * (1 - 0.999**200) * 32) * 1e-9


def one_rank(tiny, pipeline="none", **coefficients):
    return tiny.plan(
        tiny.workload([2], pipeline=pipeline),
        tiny.topology(),
        tiny.cost_model(**coefficients),
        [tiny.placement(0, [0])],
    )


def row(simulation, name):
    return next(phase for phase in simulation.phases if phase.name == name)


def test_one_rank_in_line(tiny):
    """One rank copies, looks up and updates; nothing is exchanged."""
    simulation = simulate(one_rank(tiny))
    assert simulation.step_time_s == pytest.approx(COPY_S + FORWARD_S + BACKWARD_S)
    assert {phase.name for phase in simulation.phases} == {
        "input_copy",
        "embedding_forward",
        "embedding_backward",
    }
    assert simulation.throughput_samples_per_s == pytest.approx(
        100 / simulation.step_time_s
    )


def test_pipeline_hides_the_input_copy(tiny):
    """The next batches' inputs are copied under this batch."""
    simulation = simulate(one_rank(tiny, "sparse_dist"))
    assert simulation.step_time_s == pytest.approx(FORWARD_S + BACKWARD_S)
    assert row(simulation, "input_copy").exposed_s == pytest.approx(0.0)
    assert row(simulation, "input_copy").lead == 2


def test_ids_that_come_to_their_holders(tiny):
    """Without an exchange of ids, only that and what waits for it goes away."""
    plan = tiny.plan(
        tiny.workload([2], pipeline="none"),
        tiny.topology(tiny.host_group(ranks=2)),
        tiny.cost_model(),
        [tiny.placement(0, [0])],
    )
    names = {"length_exchange", "id_exchange"}
    exchanged = simulate(plan)
    saved = sum(row(exchanged, name).exposed_s for name in names)
    assert saved > 0.0
    local = simulate(plan, SimulationSettings(id_exchange=False))
    assert {phase.name for phase in exchanged.phases} - names == {
        phase.name for phase in local.phases
    }
    assert local.step_time_s == pytest.approx(exchanged.step_time_s - saved)


def test_overhead_and_floors(tiny):
    """Overhead adds to the step; floors replace shorter kernels."""
    plan = one_rank(tiny, overhead_s=1e-3, floor_s=1e-4)
    simulation = simulate(plan)
    assert simulation.step_time_s == pytest.approx(1e-3 + COPY_S + 1e-4 + 2e-4)
    assert simulation.breakdown.overhead_s == pytest.approx(1e-3)
    bare = simulate(plan, SimulationSettings.bare())
    assert bare.step_time_s == pytest.approx(FORWARD_S + BACKWARD_S)


def test_straggler_delays_the_other_rank(tiny, straggler_plan):
    """The exchange of outputs starts when the rank with more lookups arrives."""
    simulation = simulate(straggler_plan)
    lookup = row(simulation, "embedding_forward")
    run = next(
        run
        for run in simulation.timeline.steady_runs
        if run.operation.name == "output_all_to_all"
    )
    # Rank 0: 3000 ids * 40 B + 100 * 40 B; rank 1: 100 ids * 40 B + 100 * 40 B.
    np.testing.assert_allclose(lookup.busy_s, [124e-6, 8e-6])
    np.testing.assert_allclose(run.start - run.ready, [0.0, 116e-6], atol=1e-15)
    assert lookup.critical_rank == simulation.critical_rank == 0
    assert "rank 0" in simulation.critical.reason
    assert "embedding_backward" in simulation.critical.reason


def test_nic_bound_all_to_all(tiny):
    """Half of each rank's outputs cross its NIC: 100 * 32 / 2 bytes at its rate."""
    for nic_scale in (1.0, 0.25):
        plan = tiny.plan(
            tiny.workload([1, 1]),
            tiny.topology(tiny.host_group(num_hosts=2, nic_scale=nic_scale)),
            tiny.cost_model(),
            [tiny.placement(0, [0]), tiny.placement(1, [1])],
        )
        simulation = simulate(plan)
        exchange = row(simulation, "output_all_to_all")
        assert exchange.max_s == pytest.approx(1600e-9 / nic_scale)
        # 100 lengths and ids of 8 B, outputs, gradients: each half to the other.
        expected = 2 * 800 / 2 + 2 * 3200 / 2
        np.testing.assert_allclose(simulation.links.nic_bytes, expected)
        assert not simulation.links.scale_up_bytes.any()


def test_latency_and_bandwidth_blend(tiny, straggler_plan):
    """A collective takes (alpha^p + x^p)^(1/p); without latency, x."""
    inputs = straggler_plan.inputs
    model = tiny.cost_model(latency_s=1e-5, exponent=0.5)
    plan = tiny.plan(inputs.workload, inputs.topology, model, straggler_plan.tables)
    x = 1600e-9
    both = row(simulate(plan), "output_all_to_all").max_s
    assert both == pytest.approx((1e-5**0.5 + x**0.5) ** 2)
    off = SimulationSettings(latency=False)
    assert row(simulate(plan, off), "output_all_to_all").max_s == pytest.approx(x)


DENSE = {"num_dense": 4, "bottom_mlp": (32, 8), "top_mlp": (64, 1)}


def dense_plan(tiny, ranks=2, **coefficients):
    return tiny.plan(
        tiny.workload([1], dense=DENSE),
        tiny.topology(tiny.host_group(ranks=ranks)),
        tiny.cost_model(**coefficients),
        [tiny.placement(0, [0])],
    )


def test_dense_gradients_in_buckets(tiny):
    """All gradients are reduced once, in buckets of the given size."""
    plan = dense_plan(tiny)
    # Weights and biases: 4*32 + 32 + 32*8 + 8 + 16*64 + 64 + 64 + 1 parameters.
    num_bytes = 4 * (160 + 264 + 1088 + 65)
    for bucket, count in ((25e6, 1), (num_bytes / 4, 4)):
        simulation = simulate(plan, SimulationSettings(bucket_bytes=bucket))
        reduces = [p for p in simulation.phases if p.stage is Stage.DENSE_SYNC]
        assert len(reduces) == count
        # 2 (n - 1) / n of the bytes at 1 GB/s.
        total = sum(phase.max_s for phase in reduces)
        assert total == pytest.approx(num_bytes * 1e-9)
        backward = sum(
            p.max_s for p in simulation.phases if p.stage is Stage.DENSE_BACKWARD
        )
        whole = simulate(plan)
        assert backward == pytest.approx(
            sum(p.max_s for p in whole.phases if p.stage is Stage.DENSE_BACKWARD)
        )


def test_measured_curve_of_all_reduce(tiny):
    """An older cost model's curve holds for as many ranks, and for no others."""
    curve = {
        "num_ranks": 2,
        "message_bytes": (10.0, 1e9),
        "time_s": (7e-3, 7e-3),
        "source": "assumed",
    }
    for ranks, applies in ((2, True), (4, False)):
        simulation = simulate(dense_plan(tiny, ranks, curve=curve))
        time = row(simulation, "dense_all_reduce.0").max_s
        assert time == pytest.approx(7e-3) if applies else time < 1e-3


def test_overlap_hides_the_bottom_mlp(tiny):
    """The bottom MLP runs beside the exchange of outputs, and is slowed by it."""
    fast = simulate(dense_plan(tiny))
    slow = simulate(dense_plan(tiny, slowdown=1.0))
    bottom = row(fast, "bottom_forward")
    exchange = row(fast, "output_all_to_all")
    assert exchange.start_s < bottom.end_s < exchange.end_s + bottom.mean_s
    assert row(slow, "bottom_forward").max_s > bottom.max_s


def test_replicated_table_is_all_reduced(tiny):
    """The gradients of all rows of a copy are reduced: 2 * 1/2 * 1000 * 32 bytes."""
    plan = tiny.plan(
        tiny.workload([1]),
        tiny.topology(tiny.host_group(ranks=2)),
        tiny.cost_model(),
        [tiny.placement(0, [0, 1], "data_parallel", "dense")],
    )
    simulation = simulate(plan)
    assert row(simulation, "replicated_all_reduce").max_s == pytest.approx(32e-6)
    assert not any(p.stage is Stage.FWD_COMMS for p in simulation.phases)


def test_row_wise_reduces_inside_hosts(tiny):
    """Table-row-wise: a reduce-scatter in the host, then an all-to-all across."""
    plan = tiny.plan(
        tiny.workload([1]),
        tiny.topology(tiny.host_group(num_hosts=2, ranks=2)),
        tiny.cost_model(),
        [tiny.placement(0, [0, 1], "table_row_wise")],
    )
    simulation = simulate(plan)
    inside = row(simulation, "host_reduce_scatter")
    # 1/2 of 3200 B by scale-up; 1/2 of 1/2 of it leaves on half a NIC each.
    np.testing.assert_allclose(inside.busy_s, [1.6e-6, 1.6e-6, 0, 0])
    across = row(simulation, "output_all_to_all")
    # The receivers' NICs are as full as the senders'.
    np.testing.assert_allclose(across.busy_s, [1.6e-6] * 4)
    phases = evaluate(plan).loads.cost[0]
    assert phases[3] == pytest.approx(inside.busy_s[0] + across.busy_s[0])


def test_rank_busy_times(straggler_plan):
    """The busy time of a rank is the sum of its operations on a stream."""
    simulation = simulate(straggler_plan)
    busy = simulation.rank_busy_s(Stream.COMPUTE)
    assert busy[0] > 10 * busy[1]
    assert busy.max() <= simulation.step_time_s


def test_step_without_dense_rates_still_bare(tiny):
    """The objective needs no arithmetic rate; the dense layers do."""
    plan = dense_plan(tiny)
    value = evaluate(plan).value(Objective.STEP)
    bare = simulate(plan, SimulationSettings.bare())
    assert bare.step_time_s == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("wrong", [{"num_batches": 1}, {"bucket_bytes": 0.0}])
def test_settings_are_checked(wrong):
    """Settings without a steady state or without buckets are rejected."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SimulationSettings(**wrong)


def sequence_plan(tiny, **changes):
    """Two ranks with attention over samples of 20 tokens, more or less."""
    sequence = {"name": "s", "mean": 20, "mean_square": 500, "max": 100, **changes}
    attention = {"kind": "attention", "qk": 64, "v": 64}
    block = {"name": "b", "rows": "s", "layers": [attention]}
    return tiny.plan(
        tiny.workload([1], dense={"sequences": [sequence], "blocks": [block]}),
        tiny.topology(tiny.host_group(ranks=2)),
        tiny.cost_model(),
        [tiny.placement(0, [0])],
    )


@pytest.mark.parametrize("later", [False, True])
def test_ranks_wait_for_the_longest_samples(tiny, later):
    """The gradients' exchange comes later by what the slowest rank computes longer."""
    plan = sequence_plan(tiny)
    model = plan.inputs.cost_model
    runtime = model.runtime.replace(async_weight_gradients=later)
    model = model.replace(runtime=runtime)
    plan = tiny.plan(plan.inputs.workload, plan.inputs.topology, model, plan.tables)
    with_wait = simulate(plan)
    without = simulate(plan, SimulationSettings(stragglers=False))
    wait = row(with_wait, "longest_samples").max_s
    assert wait > 0
    # In a batch of 50 samples: z(2) = 0.589 of the deviation of sums of squares.
    dense = sum(row(without, f"top_{way}").max_s for way in ("forward", "backward"))
    variance = 20**4 + 6 * 20**2 * 100 + 3 * 100**2 - 500**2
    expected = 0.589 * dense * variance**0.5 / 500 / 50**0.5
    assert wait == pytest.approx(expected, rel=1e-3)
    assert with_wait.step_time_s - without.step_time_s == pytest.approx(wait)
    assert "longest_samples" not in {phase.name for phase in without.phases}


def test_samples_of_one_length_make_no_stragglers(tiny):
    """Nothing waits where all samples are alike."""
    simulation = simulate(sequence_plan(tiny, mean_square=400))
    assert "longest_samples" not in {phase.name for phase in simulation.phases}
