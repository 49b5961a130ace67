"""Run a step's operations for several batches, all ranks at once.

Operations are issued in the order of the program; every stream of a rank works
them off in that order, so that one pass gives all times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.simulation.operation import STAGES, Stream
from shardplan.simulation.timeline import Run, Timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shardplan.simulation.operation import Operation

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


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
    """
    schedule = _Schedule(len(program[0].seconds))
    for step in range(-max(op.lead for op in program), num_steps):
        for operation in program:
            if step >= 0 or step + operation.lead >= 0:
                schedule.issue(operation, step)
    return Timeline(tuple(schedule.runs), schedule.step_end(num_steps), False)


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
                Run(len(runs), operation, step, step, before, clock, start, end)
            )
            clock = end
        step_end.append(clock)
    return Timeline(tuple(runs), np.array(step_end), True)


class _Schedule:
    """The runs issued so far, and where to find what the next one waits for."""

    def __init__(self, world_size: int) -> None:
        self.runs: list[Run] = []
        self._world_size = world_size
        self._by_batch: dict[tuple[str, int], int] = {}
        self._by_step: dict[tuple[str, int], int] = {}
        self._main_runs: dict[int, list[int]] = {}
        self._last: dict[Stream, int] = {}
        self._slowing: list[Run] = []

    def issue(self, operation: Operation, step: int) -> None:
        """Add one operation of a step and work out its times."""
        position, batch = len(self.runs), step + operation.lead
        waits_for = self._waits_for(operation, step, batch)
        ready = np.zeros(self._world_size)
        for other in waits_for:
            ready = np.maximum(ready, self.runs[other].end)
        start, end = self._times(operation, ready)
        run = Run(position, operation, step, batch, waits_for, ready, start, end)
        self.runs.append(run)
        if operation.slowdown and not operation.is_idle:
            self._slowing.append(run)
        self._by_batch[operation.name, batch] = position
        self._by_step[operation.name, step] = position
        if not operation.is_idle:
            self._last[operation.stream] = position
        if not operation.lead:
            self._main_runs.setdefault(step, []).append(position)

    def step_end(self, num_steps: int) -> Floats:
        """When each rank ended each step: all but the work for later batches."""
        return np.array(
            [
                np.max([self.runs[i].end for i in self._main_runs[step]], axis=0)
                for step in range(num_steps)
            ]
        )

    def _waits_for(
        self, operation: Operation, step: int, batch: int
    ) -> tuple[int, ...]:
        found = [self._by_batch[name, batch] for name in operation.after]
        for name in operation.behind:
            if (name, step) in self._by_step:
                found.append(self._by_step[name, step])
        if not operation.after and not operation.behind:
            found += self._main_runs.get(step - 1, [])
        if operation.stream in self._last and not operation.is_idle:
            found.append(self._last[operation.stream])
        return tuple(dict.fromkeys(found))

    def _times(self, operation: Operation, ready: Floats) -> tuple[Floats, Floats]:
        if operation.meets is not None:
            start = _group_max(ready, operation.meets)
            return start, start + _group_max(operation.seconds, operation.meets)
        if operation.stream is Stream.COMPUTE:
            return ready, self._slowed(ready, operation.seconds)
        return ready, ready + operation.seconds

    def _slowed(self, start: Floats, seconds: Floats) -> Floats:
        """End of computation that shares its ranks with communication."""
        time, left = start, seconds
        # Computation starts in order on every rank: what has ended, has for good.
        self._slowing = [run for run in self._slowing if (run.end > start).any()]
        for run in self._slowing:
            slowdown = run.operation.slowdown
            alone = np.clip(run.start - time, 0.0, left)
            time, left = time + alone, left - alone
            beside = np.maximum(run.end - time, 0.0) / (1.0 + slowdown)
            beside = np.minimum(beside, left)
            time, left = time + beside * (1.0 + slowdown), left - beside
        return time + left


def _group_max(values: Floats, group: Ints) -> Floats:
    """Largest value among the ranks of each rank's group."""
    largest = np.full(int(group.max()) + 1, -np.inf)
    np.maximum.at(largest, group, values)
    return largest[group]
