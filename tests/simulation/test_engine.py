"""The engine, on programs of a few operations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shardplan.simulation.engine import run_in_line, run_overlapped
from shardplan.steps.operation import Operation, Stage, Stream, meeting

ALL = np.zeros(2, dtype=np.int64)


def compute(name, seconds, after=(), behind=("overhead",), stage=Stage.FWD_COMPUTE):
    return Operation(
        name, stage, Stream.COMPUTE, np.array(seconds), after=after, behind=behind
    )


def exchange(name, seconds, after, **others):
    values = np.array(seconds)
    others = {"meets": meeting(ALL, values), **others}
    return Operation(
        name, Stage.FWD_COMMS, Stream.COMMUNICATION, values, after=after, **others
    )


START = Operation("overhead", Stage.OVERHEAD, Stream.COMPUTE, np.zeros(2))


def named(timeline, name, step):
    return next(r for r in timeline.runs if r.operation.name == name and r.step == step)


def test_collective_waits_for_its_last_rank():
    """A collective starts at its last rank's arrival and takes its slowest time."""
    program = [
        START,
        compute("lookup", [1.0, 3.0]),
        exchange("swap", [0.5, 0.25], ("lookup",)),
    ]
    timeline = run_overlapped(program, 3)
    swap = named(timeline, "swap", 0)
    assert swap.ready.tolist() == [1.0, 3.0]
    assert swap.start.tolist() == [3.0, 3.0]
    assert swap.end.tolist() == [3.5, 3.5]
    assert timeline.straggler(swap, 0) == 1
    assert timeline.heaviest(swap, 1) == 0


def test_groups_meet_separately():
    """Ranks of one group do not wait for those of another."""
    group = np.array([0, 1])
    program = [
        START,
        compute("lookup", [1.0, 3.0]),
        exchange("swap", [0.5, 0.5], ("lookup",), meets=group),
    ]
    swap = named(run_overlapped(program, 3), "swap", 0)
    assert swap.end.tolist() == [1.5, 3.5]


def test_group_with_nothing_to_exchange_does_not_meet():
    """Only groups in which a rank has something to send meet."""
    group = np.array([0, 0, 1, 1])
    meets = meeting(group, np.array([0.0, 0.0, 0.0, 1.0]))
    assert meets[0] != meets[1]
    assert meets[2] == meets[3]
    assert meeting(group, np.zeros(4)) is None


def test_computation_beside_communication_is_slowed():
    """Of 2 s of work, 1 s passes beside 1.5 s of communication that slows by half."""
    program = [
        START,
        exchange("swap", [1.5, 1.5], (), behind=("overhead",), slowdown=0.5),
        compute("work", [2.0, 0.5]),
    ]
    work = named(run_overlapped(program, 3), "work", 0)
    # Rank 0: 1.5 s for 1 s of work, then 1 s alone. Rank 1: 0.5 * 1.5 s.
    np.testing.assert_allclose(work.end, [2.5, 0.75])


def test_idle_operations_hold_up_nothing():
    """An operation without seconds does not occupy its stream."""
    program = [
        START,
        compute("long", [5.0, 5.0]),
        compute("nothing", [0.0, 0.0]),
        exchange("swap", [1.0, 1.0], ("nothing",)),
    ]
    assert named(run_overlapped(program, 3), "swap", 0).start.tolist() == [0.0, 0.0]


def test_lead_runs_under_the_batch_before():
    """With a lead of one, a copy of 2 s hides under 3 s of work after the first."""
    copy = Operation(
        "copy", Stage.INPUT_COPY, Stream.COPY, np.full(2, 2.0), behind=("overhead",)
    )
    work = compute("work", [3.0, 3.0], after=("copy",))
    serial = run_overlapped([START, copy, work], 4)
    ahead = replace(copy, lead=1)
    hidden = run_overlapped([START, ahead, work], 4)
    assert np.diff(serial.window) == pytest.approx(5.0)
    assert np.diff(hidden.window) == pytest.approx(3.0)
    assert named(hidden, "copy", 1).batch == 2


def test_in_line_adds_the_slowest_rank_of_every_stage():
    """Stages add their slowest ranks; operations of a stage add up on each rank."""
    program = [
        START,
        compute("a", [1.0, 2.0]),
        exchange("swap", [1.0, 1.0], ("a",)),
        compute("b", [3.0, 1.0]),
    ]
    timeline = run_in_line(program, 3)
    # a and b share a stage: max(1 + 3, 2 + 1) + 1.
    assert np.diff(timeline.window) == pytest.approx(5.0)
