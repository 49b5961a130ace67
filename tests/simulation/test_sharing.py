"""Streams that share links, against an event-driven fluid simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shardplan.simulation import SimulationSettings, simulate
from shardplan.simulation.engine import run_overlapped
from shardplan.steps.operation import Operation, Stage, Stream
from tests.costs.communication.test_fluid_oracle import max_min_rates

START = Operation("overhead", Stage.OVERHEAD, Stream.COMPUTE, np.zeros(1))
STREAMS = (Stream.COPY, Stream.COMMUNICATION, Stream.REDUCTION)


def operation(name, stream, seconds, uses, after=(), meets=None):
    """Return an operation of a step without lead."""
    stage = Stage.INPUT_COPY if stream is Stream.COPY else Stage.FWD_COMMS
    seconds = np.asarray(seconds, dtype=float)
    return Operation(
        name,
        stage,
        stream,
        seconds,
        after=after,
        behind=() if after else ("overhead",),
        meets=meets,
        uses=np.broadcast_to(
            np.asarray(uses, float)[:, None], (len(uses), len(seconds))
        ),
    )


def ends(program, steps=1):
    """Return when each rank's own part of each operation ends."""
    start = replace(START, seconds=np.zeros(len(program[0].seconds)))
    timeline = run_overlapped([start, *program], max(steps, 2))
    return {run.operation.name: run.done for run in timeline.runs if run.step == 0}


def test_two_that_fill_a_link():
    """1 s and 3 s: half speed for 2 s, then the longer has 2 s of work left."""
    found = ends(
        [
            operation("copy", Stream.COPY, [1.0], [1.0]),
            operation("swap", Stream.COMMUNICATION, [3.0], [1.0]),
        ]
    )
    assert found["copy"] == pytest.approx([2.0])
    assert found["swap"] == pytest.approx([4.0])


def test_the_one_that_needs_little_is_not_slowed():
    """30 % of a link for 1 s: the other goes at 70 %, then alone."""
    found = ends(
        [
            operation("copy", Stream.COPY, [1.0], [0.3]),
            operation("swap", Stream.COMMUNICATION, [1.0], [1.0]),
        ]
    )
    assert found["copy"] == pytest.approx([1.0])
    assert found["swap"] == pytest.approx([1.3])


def test_room_for_both():
    """Together below the link, or on different links: as if alone."""
    for uses in ([0.6, 0.0], [0.0, 1.0]):
        found = ends(
            [
                operation("copy", Stream.COPY, [1.0], [0.4, 0.0]),
                operation("swap", Stream.COMMUNICATION, [2.0], uses),
            ]
        )
        assert found["copy"] == pytest.approx([1.0])
        assert found["swap"] == pytest.approx([2.0])


def fluid_speeds(active, by_name):
    """Return the max-min fair speed of each pair of operation and rank."""
    speeds = {}
    for rank in {rank for _, rank in active}:
        here = [key for key in active if key[1] == rank]
        uses = np.array([by_name[name].uses[:, rank] > 0 for name, _ in here])
        rates = max_min_rates(uses, np.ones(uses.shape[1]))
        speeds.update(dict(zip(here, rates, strict=True)))
    return speeds


def fluid(program, world):
    """Simulate event by event: one step, every rank with links of its own."""
    by_name = {op.name: op for op in program}
    queue = {s: [op.name for op in program if op.stream is s] for s in STREAMS}
    left = {(op.name, r): float(op.seconds[r]) for op in program for r in range(world)}
    own_end, ended, started, now = {}, set(), set(), 0.0

    def can_start(name, rank):
        line = queue[by_name[name].stream]
        before = [*by_name[name].after, *line[: line.index(name)]]
        return all((other, rank) in ended for other in before)

    while len(ended) < len(left):
        for name, rank in started:
            whole = all((name, r) in own_end for r in range(world))
            if (name, rank) in own_end and (by_name[name].meets is None or whole):
                ended.add((name, rank))
        for op in program:
            ready = [r for r in range(world) if can_start(op.name, r)]
            if op.meets is None or len(ready) == world:
                started |= {(op.name, r) for r in ready}
        active = [key for key in sorted(started) if key not in own_end]
        speeds = fluid_speeds(active, by_name)
        if active:
            step = min(left[key] / speeds[key] for key in active)
            now += step
            for key in active:
                left[key] -= step * speeds[key]
                if left[key] <= 1e-12:
                    own_end[key] = now
    return {
        op.name: np.array([own_end[op.name, r] for r in range(world)]) for op in program
    }


@pytest.mark.parametrize("seed", range(60))
def test_as_the_fluid_simulation(seed):
    """Random operations that fill the links they use, on up to three ranks."""
    rng = np.random.default_rng(seed)
    world = int(rng.integers(1, 4))
    program = []
    for number in range(int(rng.integers(2, 8))):
        stream = STREAMS[int(rng.integers(3))]
        uses = rng.integers(0, 2, 2)
        uses[rng.integers(2)] = 1
        earlier = [op.name for op in program]
        after = tuple(rng.permutation(earlier)[: int(rng.integers(0, 2))])
        meets = None if stream is Stream.COPY else np.zeros(world, dtype=np.int64)
        seconds = rng.integers(1, 6, world) / 2
        program.append(operation(f"o{number}", stream, seconds, uses, after, meets))
    expected = fluid(program, world)
    found = ends(program)
    for name, times in expected.items():
        np.testing.assert_allclose(found[name], times, rtol=1e-9, err_msg=name)


def narrow_host(tiny, lane):
    """Two hosts of one rank; NIC 1 GB/s, PCIe lane as given, pipelined."""
    group = tiny.host_group(num_hosts=2)
    group["host"]["pcie_bw"] = lane
    group["device"]["hbm_bw"] = 1e12
    return tiny.plan(
        tiny.workload(
            [30, 30], pipeline="sparse_dist", batch=10_000, dense={"num_dense": 400}
        ),
        tiny.topology(group),
        tiny.cost_model(),
        [tiny.placement(0, [0]), tiny.placement(1, [1])],
    )


def slowed(simulation):
    """Seconds that operations of the steady step lose to others on their links."""
    return {
        run.operation.name: float((run.done - run.start - run.operation.seconds).max())
        for run in simulation.timeline.steady_runs
        if run.operation.stream is not Stream.COMPUTE
    }


def test_copies_and_the_nic_share_a_lane(tiny):
    """On a lane of the NIC's rate they slow each other, on wide one neither."""
    shared = simulate(narrow_host(tiny, 1e9))
    assert slowed(shared)["input_copy"] > 1e-6
    apart = simulate(narrow_host(tiny, 1e9), SimulationSettings(links=False))
    assert max(slowed(apart).values()) < 1e-12
    wide = simulate(narrow_host(tiny, 2e10))
    assert max(slowed(wide).values()) < 1e-12
    assert wide.step_time_s <= shared.step_time_s


@pytest.mark.parametrize("seed", range(20))
def test_a_stream_for_all_reduces(tiny, seed):
    """With a communicator of their own, all-reduces run beside exchanges.

    They share NICs and links with them; the parts of the breakdown still add up.
    """
    plan = tiny.random_plan(seed)
    model = plan.inputs.cost_model
    runtime = model.runtime.replace(separate_all_reduce=True)
    other = tiny.plan(
        plan.inputs.workload,
        plan.inputs.topology,
        model.replace(runtime=runtime),
        plan.tables,
    )
    apart = simulate(other)
    assert apart.breakdown.total_s == pytest.approx(apart.step_time_s, rel=1e-9)
    streams = {phase.stream for phase in apart.phases if phase.stage == "dense_sync"}
    assert streams <= {Stream.REDUCTION}


def test_all_reduce_beside_an_exchange_takes_its_share(tiny):
    """Both fill the NIC: 1 s each take 2 s together."""
    program = [
        operation("swap", Stream.COMMUNICATION, [1.0, 1.0], [1.0]),
        operation("reduce", Stream.REDUCTION, [1.0, 1.0], [1.0]),
    ]
    found = ends(program)
    np.testing.assert_allclose(found["swap"], 2.0)
    np.testing.assert_allclose(found["reduce"], 2.0)
