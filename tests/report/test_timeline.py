"""Spans of the steady step are those of the simulation."""

from __future__ import annotations

import itertools

import pytest

from shardplan.planning import planner
from shardplan.report.timeline import streams_of, timeline_data
from shardplan.simulation import simulate


def test_spans() -> None:
    """They lie inside the step, one after the other on every stream."""
    simulation = simulate(planner.solve("dlrm-v1", "dgx-h100:2", solver="greedy").plan)
    data = timeline_data(simulation)
    assert data["step_s"] == simulation.step_time_s
    assert data["ranks"][0]["rank"] == simulation.critical_rank
    for rank in data["ranks"]:
        for stream in streams_of(rank):
            spans = [span for span in rank["spans"] if span["stream"] == stream]
            assert all(0 <= s["start_s"] < s["end_s"] <= data["step_s"] for s in spans)
            for one, other in itertools.pairwise(spans):
                assert one["end_s"] <= other["start_s"] * (1 + 1e-12)


def test_every_class_is_shown(mixed_cluster) -> None:  # type: ignore[no-untyped-def]
    """A rank of each group of hosts, and the critical one first."""
    simulation = simulate(mixed_cluster.solve(solver="greedy").plan)
    ranks = timeline_data(simulation)["ranks"]
    assert {rank["host_group"] for rank in ranks} == {"new", "old"}
    assert ranks[0]["rank"] == pytest.approx(simulation.critical_rank)
