"""When ranks do what in the steady step, as data for figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.steps.operation import STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.simulation import Simulation
    from shardplan.simulation.timeline import Run


def timeline_data(simulation: Simulation) -> dict[str, Any]:
    """List what the streams of a few ranks do during the steady step.

    They are the critical rank, the one that computes least, and of every other class
    of ranks the one that computes most.

    Returns
    -------
    dict
        ``step_s``, and ``ranks``: of each ``rank``, ``host``, ``host_group``, ``why``
        it is shown, and ``spans`` in order of time. Spans are cut at both ends of the
        step, and their times count from its begin [s]; ``wait_s`` is what the rank
        waited for others just before.
    """
    cluster = simulation.evaluation.cluster
    begin, end = simulation.timeline.window
    return {
        "step_s": end - begin,
        "ranks": [
            {
                "rank": rank,
                "host": int(cluster.rank_host[rank]),
                "host_group": cluster.host_groups[cluster.rank_class[rank]].name,
                "why": why,
                "spans": sorted(
                    _spans(simulation, rank),
                    key=lambda span: (span["start_s"], span["stream"]),
                ),
            }
            for rank, why in _shown_ranks(simulation).items()
        ],
    }


def _shown_ranks(simulation: Simulation) -> dict[int, str]:
    """Choose ranks that differ, with the reason for each."""
    cluster = simulation.evaluation.cluster
    busy = simulation.rank_busy_s()
    chosen = {simulation.critical_rank: "holds the others up the most"}
    chosen.setdefault(int(busy.argmin()), "computes the least")
    for index, group in enumerate(cluster.host_groups):
        members = np.flatnonzero(cluster.rank_class == index)
        if not any(rank in chosen for rank in members.tolist()):
            slowest = int(members[busy[members].argmax()])
            chosen[slowest] = f"computes the most of {group.name}"
    return chosen


def _spans(simulation: Simulation, rank: int) -> Iterator[dict[str, Any]]:
    begin, end = simulation.timeline.window
    step = simulation.timeline.steady_step
    for run in simulation.timeline.runs:
        if run.operation.is_idle or run.end[rank] <= run.start[rank]:
            continue
        if run.end[rank] > begin and run.start[rank] < end:
            yield _span(run, rank, begin, end, step)


def _span(run: Run, rank: int, begin: float, end: float, step: int) -> dict[str, Any]:
    start, stop = float(run.start[rank]), float(run.end[rank])
    return {
        "operation": run.operation.name,
        "stage": run.operation.stage.value,
        "stream": run.operation.stream.value,
        "batch": run.batch - step,
        "start_s": max(start, begin) - begin,
        "end_s": min(stop, end) - begin,
        "wait_s": max(start - float(run.ready[rank]), 0.0),
    }


def streams_of(rank: dict[str, Any]) -> list[str]:
    """Name the streams that a rank of the timeline uses, in their order."""
    used = {span["stream"] for span in rank["spans"]}
    return [stream.value for stream in STREAMS if stream.value in used]
