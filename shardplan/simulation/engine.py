"""Run a step's operations for several batches, all ranks at once.

Operations are issued in the order of the program; every stream of a rank works
them off in that order, so that one pass gives all times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.simulation.sharing import SharedLinks
from shardplan.simulation.timeline import Run, Timeline
from shardplan.steps.operation import STAGES, Stream
from shardplan.steps.queue import Issued

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.records.arrays import Floats
    from shardplan.steps.operation import Operation
    from shardplan.steps.queue import StepTask


_MOST_RETURNS = 100  # per task, never reached: each settles a later moment for good


def run_overlapped(program: Sequence[Operation], num_steps: int) -> Timeline:
    """Run batches with streams that work beside each other.

    Parameters
    ----------
    program : sequence of Operation
        One step, in order of issue. A communication that may run beside a
        computation must be issued before it.
    num_steps : int
        Steps to run; operations that lead run in steps before the first, too.

    Notes
    -----
    On each rank an operation starts when all that it waits for and the one before
    it on the stream have ended; a collective, when this holds on its last rank. It
    then takes the time of its slowest rank. What takes no time holds up nothing
    that does not wait for it by name. Computation that runs beside a
    communication proceeds at ``1 / (1 + slowdown)``.

    Operations of different streams that share links slow each other. Where a later
    one turns out to slow an earlier one, time goes back to that one, until nothing
    moves: what happens depends only on what happened before, so that each return
    is right for longer.
    """
    issued = Issued(program, num_steps)
    runs = _Clock(issued.tasks).runs()
    ends = [
        np.max([runs[i].end for i in issued.main_tasks[step]], axis=0)
        for step in range(num_steps)
    ]
    return Timeline(tuple(runs), np.array(ends), False)


def run_in_line(program: Sequence[Operation], num_steps: int) -> Timeline:
    """Run batches stage by stage; ranks meet only where a stage ends.

    Notes
    -----
    The step takes ``sum over stages of max over ranks of the rank's operations``.
    """
    ordered = sorted(program, key=lambda op: STAGES.index(op.stage))
    clock = np.zeros(len(program[0].seconds))
    runs: list[Run] = []
    step_end = []
    for step in range(num_steps):
        for operation in ordered:
            is_new = bool(runs) and runs[-1].operation.stage is not operation.stage
            start = np.full_like(clock, clock.max()) if is_new else clock
            end = start + operation.seconds
            before = (len(runs) - 1,) if runs else ()
            runs.append(
                Run(len(runs), operation, step, step, before, clock, start, end, end)
            )
            clock = end
        step_end.append(clock)
    return Timeline(tuple(runs), np.array(step_end), True)


class _Times(NamedTuple):
    """When a task could begin, began and ended, and its rank's own part did (W,)."""

    ready: Floats
    start: Floats
    end: Floats
    done: Floats


class _Clock:
    """The times of all tasks, and the communication that slows each of them."""

    def __init__(self, tasks: Sequence[StepTask]) -> None:
        self._tasks = tasks
        self._begin = np.zeros(len(tasks[0].operation.seconds))
        self._times: list[_Times] = []
        self._slowing: list[tuple[int, ...]] = [()]
        # How the pipeline fills does not matter for the steady state.
        filled = sum(task.step < 0 for task in tasks)
        self._shared = SharedLinks.of([task.operation for task in tasks], filled)

    def runs(self) -> list[Run]:
        """Return tasks with their times, worked out in order of issue.

        Notes
        -----
        From a task that slows an earlier one, time goes back to that one.
        """
        position, returns = 0, _MOST_RETURNS * len(self._tasks)
        while position < len(self._tasks):
            del self._times[position:], self._slowing[position + 1 :]
            self._work_out(position)
            position += 1
            if self._shared is not None and returns:
                slowed = self._shared.unsettled()
                if slowed is not None:
                    position, returns = slowed, returns - 1
        return self._listed()

    def _work_out(self, position: int) -> None:
        """Add the times of one task, and what slows those after it."""
        operation = self._tasks[position].operation
        ready = self._begin
        for other in self._tasks[position].waits_for:
            ready = np.maximum(ready, self._times[other].end)
        slowing = self._slowing[position]
        if operation.is_idle:
            self._times.append(_Times(ready, ready, ready, ready))
        else:
            slowing = self._still(slowing, operation, ready)
            self._times.append(self._run(position, operation, ready, slowing))
            if operation.slowdown:
                slowing = (*slowing, position)
        self._slowing.append(slowing)

    def _listed(self) -> list[Run]:
        return [
            Run(position, *task, *times)
            for position, (task, times) in enumerate(
                zip(self._tasks, self._times, strict=True)
            )
        ]

    def _run(
        self,
        position: int,
        operation: Operation,
        ready: Floats,
        slowing: tuple[int, ...],
    ) -> _Times:
        start = ready
        meeting = operation.meeting
        if meeting is not None:
            start = meeting.latest(ready)
        if operation.stream is Stream.COMPUTE:
            done = self._slowed(start, operation.seconds, slowing)
        elif self._shared is not None and position in self._shared.rows:
            done = self._shared.finish(position, operation, start)
        else:
            done = start + operation.seconds
        end = done if meeting is None else meeting.latest(done)
        return _Times(ready, start, end, done)

    def _still(
        self, slowing: tuple[int, ...], operation: Operation, start: Floats
    ) -> tuple[int, ...]:
        """Communication that has not ended when a computation starts.

        Computation starts in order on every rank: what has ended, has for good.
        """
        if operation.stream is not Stream.COMPUTE:
            return slowing
        return tuple(i for i in slowing if (self._times[i].end > start).any())

    def _slowed(
        self, start: Floats, seconds: Floats, slowing: tuple[int, ...]
    ) -> Floats:
        """End of computation that shares its ranks with communication."""
        time, left = start, seconds
        for other in slowing:
            slowdown = self._tasks[other].operation.slowdown
            alone = np.minimum(np.maximum(self._times[other].start - time, 0.0), left)
            time, left = time + alone, left - alone
            beside = np.maximum(self._times[other].end - time, 0.0) / (1.0 + slowdown)
            beside = np.minimum(beside, left)
            time, left = time + beside * (1.0 + slowdown), left - beside
        return time + left
