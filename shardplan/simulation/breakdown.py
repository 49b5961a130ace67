"""Where the time of a step goes, averaged over the ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.steps.operation import STAGES, STREAMS, Stage, Stream

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats
    from shardplan.simulation.timeline import Run, Timeline


@dataclass(frozen=True, eq=False)
class Breakdown:
    """Mean seconds of a rank's step; all but the hidden ones add up to the step.

    Attributes
    ----------
    compute_s : dict of Stage to float
        Computing, whatever else runs beside it.
    exposed_communication_s : dict of Stage to float
        Exchanging bytes while not computing.
    exposed_copy_s : dict of Stage to float
        Copying from the host while neither computing nor exchanging.
    overhead_s : float
        The runtime's time.
    idle_s : float
        Waiting for ranks that come later or exchange more.
    hidden_communication_s : float
        Exchanging bytes while computing; not part of the sum.
    """

    compute_s: dict[Stage, float]
    exposed_communication_s: dict[Stage, float]
    exposed_copy_s: dict[Stage, float]
    overhead_s: float
    idle_s: float
    hidden_communication_s: float

    @property
    def total_s(self) -> float:
        """The step [s]."""
        parts = (self.compute_s, self.exposed_communication_s, self.exposed_copy_s)
        exposed = sum(sum(part.values()) for part in parts)
        return exposed + self.overhead_s + self.idle_s

    def to_dict(self) -> dict[str, Any]:
        """Return the breakdown as JSON-able data."""
        return {
            "compute_s": _named(self.compute_s),
            "exposed_communication_s": _named(self.exposed_communication_s),
            "exposed_copy_s": _named(self.exposed_copy_s),
            "overhead_s": self.overhead_s,
            "idle_s": self.idle_s,
            "hidden_communication_s": self.hidden_communication_s,
        }


@dataclass(frozen=True, eq=False)
class Exposure:
    """How a run spends the steady step on every rank, (W,) arrays [s].

    Attributes
    ----------
    busy : working, alone or not
    exposed : working while the streams of higher order rest
    waiting : occupying the stream without work of its own, exposed likewise
    """

    run: Run
    busy: Floats
    exposed: Floats
    waiting: Floats


def exposures(timeline: Timeline) -> list[Exposure]:
    """Measure every run inside the steady step.

    Notes
    -----
    Computation comes first, then communication, then copies: an interval counts as
    exposed where no stream before it is busy. A rank that needs less time for a
    collective than the slowest one works for its share of the interval and waits
    for the rest of it.
    """
    window = timeline.window
    spans = {stream: _spans(timeline, stream) for stream in Stream}
    found = []
    for order, stream in enumerate(STREAMS):
        for run in spans[stream][0]:
            start, end = _clip(run.start, run.end, window)
            length = end - start
            hiding = [spans[other] for other in STREAMS[:order]]
            exposed = length - _covered(start, end, hiding)
            share = _own_share(run)
            found.append(
                Exposure(run, length * share, exposed * share, exposed * (1.0 - share))
            )
    return found


def breakdown(timeline: Timeline, parts: list[Exposure]) -> Breakdown:
    """Add up exposures by stage."""
    begin, end = timeline.window
    compute, communication, copy = (dict.fromkeys(STAGES, 0.0) for _ in range(3))
    by_stream = {
        Stream.COMPUTE: compute,
        Stream.COMMUNICATION: communication,
        Stream.REDUCTION: communication,
        Stream.COPY: copy,
    }
    hidden = 0.0
    for part in parts:
        operation = part.run.operation
        by_stream[operation.stream][operation.stage] += float(part.exposed.mean())
        if by_stream[operation.stream] is communication:
            hidden += float((part.busy - part.exposed).mean())
    overhead = compute.pop(Stage.OVERHEAD)
    parts_s = (compute, communication, copy)
    busy = sum(sum(stages.values()) for stages in parts_s) + overhead
    return Breakdown(
        compute_s=_used(compute),
        exposed_communication_s=_used(communication),
        exposed_copy_s=_used(copy),
        overhead_s=overhead,
        idle_s=max(end - begin - busy, 0.0),
        hidden_communication_s=max(hidden, 0.0),
    )


Spans = tuple[list["Run"], "Floats", "Floats"]


def _spans(timeline: Timeline, stream: Stream) -> Spans:
    """Return the runs of a stream inside the window, with starts and ends (K, W)."""
    begin, finish = timeline.window
    runs = [
        run
        for run in timeline.runs
        if run.operation.stream is stream
        and not run.operation.is_idle
        and run.end.max() > begin
        and run.start.min() < finish
    ]
    shape = (len(runs), len(timeline.step_end[0]))
    clipped = [_clip(run.start, run.end, (begin, finish)) for run in runs]
    starts = np.array([start for start, _ in clipped]).reshape(shape)
    ends = np.array([end for _, end in clipped]).reshape(shape)
    return runs, starts, ends


def _clip(
    start: Floats, end: Floats, window: tuple[float, float]
) -> tuple[Floats, Floats]:
    return np.clip(start, *window), np.clip(end, *window)


def _covered(start: Floats, end: Floats, hiding: list[Spans]) -> Floats:
    """Seconds of intervals (W,) in which one of several streams is busy.

    In order of their begins, each interval adds what lies behind all ends so far.
    """
    if not hiding:
        return np.zeros(len(start))
    low = np.concatenate([np.maximum(starts, start) for _, starts, _ in hiding])
    high = np.concatenate([np.minimum(ends, end) for _, _, ends in hiding])
    order = np.argsort(low, axis=0)
    low, high = (np.take_along_axis(part, order, axis=0) for part in (low, high))
    reached = np.maximum.accumulate(high, axis=0)
    low[1:] = np.maximum(low[1:], reached[:-1])
    return np.asarray(np.maximum(high - low, 0.0).sum(axis=0))


def _own_share(run: Run) -> Floats:
    """Share of a run's interval in which each rank has work of its own."""
    length = run.end - run.start
    if run.operation.meets is None:
        return np.ones(len(length))
    own = (run.done - run.start) / np.where(length > 0, length, 1.0)
    return np.minimum(own, 1.0)


def _used(stages: dict[Stage, float]) -> dict[Stage, float]:
    return {stage: value for stage, value in stages.items() if value > 0}


def _named(stages: dict[Stage, float]) -> dict[str, float]:
    return {stage.value: value for stage, value in stages.items()}
