"""Traces of a simulation for Perfetto and chrome://tracing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shardplan.io.atomic import write_text_atomically
from shardplan.steps.operation import STREAMS

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from shardplan.simulation.result import Simulation
    from shardplan.simulation.timeline import Run

DEFAULT_RANKS = 16
_DIGITS = 3  # of a microsecond
_LINKS = ("scale_up", "pcie", "nic", "host_copy")


def default_ranks(simulation: Simulation) -> tuple[int, ...]:
    """Return the critical rank and the first others, at most 16."""
    world = simulation.evaluation.cluster.world_size
    others = [r for r in range(world) if r != simulation.critical_rank]
    return tuple(sorted([simulation.critical_rank, *others[: DEFAULT_RANKS - 1]]))


def trace_events(
    simulation: Simulation, ranks: Sequence[int] | None = None
) -> dict[str, Any]:
    """Return all simulated batches in the Chrome trace format.

    Parameters
    ----------
    simulation : Simulation
    ranks : sequence of int, optional
        Processes of the trace; default: :func:`default_ranks`.

    Returns
    -------
    dict
        JSON-able; times in microseconds from the begin of the first batch. Each
        rank is a process, each stream a thread. Before a collective a rank may
        have an event ``wait``; arrows lead from what its last rank did before.

    Raises
    ------
    ValueError
        If the plan has no such rank.

    References
    ----------
    Google, Trace Event Format (phases X, M, C, s and f).
    """
    world = simulation.evaluation.cluster.world_size
    chosen = default_ranks(simulation) if ranks is None else tuple(ranks)
    unknown = [rank for rank in chosen if not 0 <= rank < world]
    if unknown:
        raise ValueError(f"ranks must be between 0 and {world - 1}, got {unknown}")
    events = [event for rank in chosen for event in _names(simulation, rank)]
    events += [_memory_counter(simulation, rank) for rank in chosen]
    for run in simulation.timeline.runs:
        if not run.operation.is_idle:
            for rank in chosen:
                events += _slices(run, rank)
                events += _link_counter(run, rank)
            events += _arrows(simulation, run, chosen)
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {
            "step_time_s": simulation.step_time_s,
            "critical_rank": simulation.critical_rank,
        },
    }


def write_trace(
    simulation: Simulation,
    path: str | os.PathLike[str],
    ranks: Sequence[int] | None = None,
) -> None:
    """Write a trace file, whole or not at all; see :func:`trace_events`.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    text = json.dumps(trace_events(simulation, ranks), separators=(",", ":"))
    write_text_atomically(path, text + "\n")


def _names(simulation: Simulation, rank: int) -> Iterator[dict[str, Any]]:
    """Yield what processes and threads are called, and their order."""
    host = int(simulation.evaluation.cluster.rank_host[rank])
    yield _meta("process_name", rank, 0, name=f"rank {rank} (host {host})")
    yield _meta("process_sort_index", rank, 0, sort_index=rank)
    for thread, stream in enumerate(STREAMS):
        yield _meta("thread_name", rank, thread, name=stream.value)
        yield _meta("thread_sort_index", rank, thread, sort_index=thread)


def _meta(kind: str, rank: int, thread: int, **args: Any) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": rank, "tid": thread, "args": args}


def _slices(run: Run, rank: int) -> Iterator[dict[str, Any]]:
    """Yield the run on one rank, and the wait before it."""
    operation = run.operation
    ready, start, end = (
        _microseconds(times[rank]) for times in (run.ready, run.start, run.end)
    )
    place = {"ph": "X", "pid": rank, "tid": STREAMS.index(operation.stream)}
    about = {"operation": operation.name, "step": run.step, "batch": run.batch}
    if start > ready:
        dur = round(start - ready, _DIGITS)
        yield {"name": "wait", "cat": "wait", **place, "ts": ready, "dur": dur} | {
            "args": about
        }
    if end > start:
        own = _microseconds(operation.seconds[rank])
        yield {
            "name": operation.name,
            "cat": operation.stage.value,
            **place,
            "ts": start,
            "dur": round(end - start, _DIGITS),
            "args": {**about, "own_us": own},
        }


def _link_counter(run: Run, rank: int) -> Iterator[dict[str, Any]]:
    """Yield the bytes per second on a rank's links while it moves its part."""
    start, done = float(run.start[rank]), float(run.done[rank])
    traffic = run.operation.traffic
    if traffic is None or done <= start:
        return
    fuller = traffic.by_rank[:, :, rank].max(axis=1)
    moved = dict(zip(_LINKS, (*fuller, traffic.copied[rank]), strict=True))
    name = f"link load, {run.operation.stream.value} [bytes/s]"
    counter = {"name": name, "ph": "C", "pid": rank, "tid": 0}
    for time, share in ((start, 1.0), (done, 0.0)):
        rates = {link: round(share * b / (done - start)) for link, b in moved.items()}
        yield {**counter, "ts": _microseconds(time), "args": rates}


def _memory_counter(simulation: Simulation, rank: int) -> dict[str, Any]:
    """Return what a rank's device memory holds of embeddings and their buffers."""
    held = {"hbm_bytes": float(simulation.memory.hbm_bytes[rank])}
    counter = {"name": "memory", "ph": "C", "pid": rank, "tid": 0}
    return {**counter, "ts": 0.0, "args": held}


def _arrows(
    simulation: Simulation, run: Run, ranks: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """Yield flows from the last rank's work before a collective to other ranks."""
    timeline, thread = simulation.timeline, STREAMS.index(run.operation.stream)
    for rank in ranks:
        straggler = timeline.straggler(run, rank)
        if straggler == rank or straggler not in ranks:
            continue
        cause = timeline.cause(run, straggler)
        start, end = (_microseconds(t[rank]) for t in (run.start, run.end))
        if cause is None or end <= start:
            continue
        middle = (cause.start[straggler] + cause.end[straggler]) / 2
        flow = {
            "name": "straggler",
            "cat": "straggler",
            "id": f"{run.position}.{rank}",
        }
        yield flow | {
            "ph": "s",
            "pid": straggler,
            "tid": STREAMS.index(cause.operation.stream),
            "ts": _microseconds(middle),
        }
        yield flow | {"ph": "f", "bp": "e", "pid": rank, "tid": thread, "ts": start}


def _microseconds(seconds: float) -> float:
    return round(float(seconds) * 1e6, _DIGITS)
