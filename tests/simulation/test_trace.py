"""Traces that Perfetto can read."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from shardplan.simulation import simulate, trace_events, write_trace
from shardplan.simulation.trace import default_ranks


def by_thread(events):
    """Return the complete events of each thread in order of time."""
    threads = {}
    for event in events:
        if event["ph"] == "X":
            threads.setdefault((event["pid"], event["tid"]), []).append(event)
    return [sorted(found, key=lambda e: e["ts"]) for found in threads.values()]


@pytest.mark.parametrize("seed", range(30))
def test_events_of_a_thread_do_not_overlap(tiny, seed):
    """Events begin at 0 or later, last, and follow each other on every thread."""
    events = trace_events(simulate(tiny.random_plan(seed)))["traceEvents"]
    threads = by_thread(events)
    assert threads
    for found in threads:
        assert all(event["ts"] >= 0 and event["dur"] >= 0 for event in found)
        for first, second in pairwise(found):
            assert first["ts"] + first["dur"] <= second["ts"] + 1e-6


def test_arrows_lead_from_the_straggler(straggler_plan):
    """The rank that waits has an event for it, and an arrow from the other's work."""
    events = trace_events(simulate(straggler_plan))["traceEvents"]
    waits = [event for event in events if event["name"] == "wait"]
    assert {event["pid"] for event in waits} == {1}
    begins = {e["id"]: e for e in events if e["ph"] == "s"}
    ends = {e["id"]: e for e in events if e["ph"] == "f"}
    assert begins
    assert begins.keys() == ends.keys()
    for key, begin in begins.items():
        assert (begin["pid"], ends[key]["pid"]) == (0, 1)
        assert begin["ts"] <= ends[key]["ts"]


def test_default_ranks_hold_the_critical_one(tiny):
    """At most 16 ranks are shown, the critical one among them."""
    plan = tiny.plan(
        tiny.workload([1, 30]),
        tiny.topology(tiny.host_group(num_hosts=5, ranks=4)),
        tiny.cost_model(),
        [tiny.placement(0, [0]), tiny.placement(1, [19])],
    )
    ranks = default_ranks(simulate(plan))
    assert len(ranks) == 16
    assert ranks[-1] == 19


def test_unknown_ranks_are_rejected(straggler_plan):
    """Only ranks of the plan can be shown."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        trace_events(simulate(straggler_plan), [2])


def test_file_is_json_with_named_threads(straggler_plan, tmp_path):
    """The file holds what the function returns, with names for ranks and streams."""
    simulation, path = simulate(straggler_plan), tmp_path / "trace.json"
    write_trace(simulation, path, [1])
    trace = json.loads(path.read_text())
    assert trace == trace_events(simulation, [1])
    names = {e["args"].get("name") for e in trace["traceEvents"] if e["ph"] == "M"}
    assert {"rank 1 (host 0)", "compute", "communication", "copy"} <= names


def test_link_counters_give_bytes_per_second(tiny):
    """Half of 3200 B leave over a NIC of 1 GB/s: 1e9 B/s until the part is moved."""
    plan = tiny.plan(
        tiny.workload([1, 1]),
        tiny.topology(tiny.host_group(num_hosts=2)),
        tiny.cost_model(),
        [tiny.placement(0, [0]), tiny.placement(1, [1])],
    )
    simulation = simulate(plan)
    events = trace_events(simulation)["traceEvents"]
    counters = [e for e in events if e["ph"] == "C" and "link load" in e["name"]]
    assert all(
        set(e["args"]) == {"scale_up", "pcie", "nic", "host_copy"} for e in counters
    )
    rates = {e["args"]["nic"] for e in counters if "communication" in e["name"]}
    assert sorted(rates) == pytest.approx([0, 1e9])
    moved = simulation.links.nic_bytes[0]
    busy = [r for r in simulation.timeline.steady_runs if r.operation.traffic]
    by_run = sum(r.operation.traffic.nic.max(axis=0)[0] for r in busy)
    assert by_run == pytest.approx(moved)
