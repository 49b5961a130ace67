"""The longest path through a step that repeats, over its operations and ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from shardplan.steps.queue import Issued

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.records.arrays import Floats
    from shardplan.steps.meeting import Meeting
    from shardplan.steps.operation import Operation
    from shardplan.steps.queue import StepTask


_MOST_STEPS = 24
"""Nearly all are steady after four."""
_SAME = 1e-13
"""Of the time so far: what differs by less is equal."""


class Wait(NamedTuple):
    """What an operation waits for: another one, so many steps before."""

    operation: int
    steps: int


@dataclass(frozen=True, eq=False)
class StepGraph:
    """What waits for what in a step of K operations, in this step or earlier ones.

    Attributes
    ----------
    waits : tuple of K tuples of Wait
        In order of issue, without those that follow from others.
    first : tuple of tuples of K tuples of Wait or None
        The same of the steps in which the pipeline fills; None for what does not run
        yet.
    ends : tuple of int
        The operations of which the last one ends a step.
    carried : tuple of int
        The operations that those of later steps wait for.
    depth : int
        The most steps that an operation waits back.

    Notes
    -----
    On a rank, an operation starts when all that it waits for has ended there. Ranks
    that meet in it start when this holds on the last of them, and end with the slowest.
    The steady step is the largest mean weight of a circuit in this graph of operations
    and ranks, where one that returns to its operation m steps later counts for 1/m.
    Every circuit is a lower bound of the step, whatever the times are.

    References
    ----------
    Baccelli, Cohen, Olsder, Quadrat 1992, Synchronization and Linearity, section 3.2.
    """

    waits: tuple[tuple[Wait, ...], ...]
    first: tuple[tuple[tuple[Wait, ...] | None, ...], ...]
    ends: tuple[int, ...]
    carried: tuple[int, ...]
    depth: int

    @classmethod
    def of(cls, program: Sequence[Operation]) -> Self:
        """Take the graph of a program.

        Parameters
        ----------
        program : sequence of Operation
            As `build_program` makes it. What takes no time in it must not take any
            later: it does not occupy its stream.
        """
        position = {operation.name: i for i, operation in enumerate(program)}
        lead = max(operation.lead for operation in program)
        tasks = Issued(program, lead + 2).tasks
        found: dict[tuple[str, int], tuple[Wait, ...]] = {}
        for task, needed in zip(tasks, _needed(tasks), strict=True):
            found[task.operation.name, task.step] = tuple(
                Wait(position[tasks[i].operation.name], task.step - tasks[i].step)
                for i in needed
            )
        *first, _ = (
            tuple(found.get((name, step)) for name in position)
            for step in range(-lead, lead + 2)
        )
        waits = [found[name, lead + 1] for name in position]
        edges = [wait for needed in waits for wait in needed]
        inner = {wait.operation for wait in edges if not wait.steps}
        last = {i for i, operation in enumerate(program) if not operation.lead}
        return cls(
            tuple(waits),
            first=tuple(first),
            ends=tuple(sorted(last - inner)),
            carried=tuple(sorted({wait.operation for wait in edges if wait.steps})),
            depth=max(wait.steps for wait in edges),
        )

    def step(
        self, seconds: Floats, meetings: Sequence[Meeting | None] | None = None
    ) -> Floats:
        """Return the steady step.

        Parameters
        ----------
        seconds : float array (K, ...)
            What every operation takes, for any number of plans or ranks at once [s].
        meetings : sequence of K Meeting or None, optional
            Which ranks meet in each operation; `seconds` are then (K, W).

        Returns
        -------
        float array (...)
            From the end of one step to the end of the next [s]. Ranks that meet have
            the same; the step of all is the largest.
        """
        steps = _Steps.run(self, seconds, meetings)
        return steps.pace.reshape(seconds.shape[1:])

    def circuit(
        self, seconds: Floats, meetings: Sequence[Meeting | None] | None = None
    ) -> Floats:
        """Return how often the longest path passes each operation in a step.

        Parameters
        ----------
        seconds : float array (K,) or (K, W)
            [s].
        meetings : sequence of K Meeting or None, optional
            As in `step`.

        Returns
        -------
        float array like `seconds`
            How often it does on each rank; of ranks that meet, on the slowest.

        Notes
        -----
        The step is the sum of the products with `seconds`, and this its derivative. The
        path changes ranks only where they meet. Of several longest paths the one is
        taken that is found first.
        """
        steps = _Steps.run(self, seconds, meetings)
        return steps.circuit().reshape(seconds.shape)


def _needed(tasks: Sequence[StepTask]) -> list[tuple[int, ...]]:
    """Return what each task waits for, less what that waits for itself."""
    before: list[int] = []  # of each task: bits of all that ended before it starts
    needed = []
    for task in tasks:
        implied = whole = 0
        for i in task.waits_for:
            implied |= before[i]
            whole |= 1 << i
        needed.append(tuple(i for i in task.waits_for if not implied >> i & 1))
        before.append(implied | whole)
    return needed


class _Visit(NamedTuple):
    """An operation on a rank; where ranks meet, on the first of them."""

    operation: int
    rank: int


@dataclass(frozen=True, eq=False)
class _Steps:
    """The first steps of a graph, until they are alike.

    Attributes
    ----------
    seconds : float array (K, W)
    meetings : sequence of K Meeting or None
    done : list of float arrays (K, W)
        When every operation of every step ends [s].
    """

    graph: StepGraph
    seconds: Floats
    meetings: Sequence[Meeting | None]
    done: list[Floats]

    @classmethod
    def run(
        cls,
        graph: StepGraph,
        seconds: Floats,
        meetings: Sequence[Meeting | None] | None,
    ) -> Self:
        """Run steps until what is carried from one to the next moves by the same time.

        Notes
        -----
        If it does so on a rank for as many steps as an operation waits back, it always
        will: ends are maxima of sums, which move with their terms.
        """
        times = seconds.reshape(len(seconds), -1)
        found = cls(graph, times, meetings or [None] * len(seconds), [])
        slowest = [
            row if meeting is None else meeting.latest(row)
            for row, meeting in zip(times, found.meetings, strict=True)
        ]
        while len(found.done) < _MOST_STEPS and not found._is_steady():
            found._add(slowest)
        return found

    def _add(self, seconds: Sequence[Floats]) -> None:
        """Run one more step."""
        step, first = len(self.done), self.graph.first
        all_waits = first[step] if step < len(first) else self.graph.waits
        ends = np.zeros((len(seconds), len(seconds[0])))
        self.done.append(ends)
        for end, waits, takes, meeting in zip(
            ends, all_waits, seconds, self.meetings, strict=True
        ):
            if waits is None:
                continue
            for wait in waits:
                before = self.done[step - wait.steps][wait.operation]
                np.maximum(end, before, out=end)
            if meeting is not None:
                end[:] = meeting.latest(end)
            end += takes

    def _is_steady(self) -> bool:
        depth, carried = self.graph.depth, list(self.graph.carried)
        filling = len(self.graph.first) // 2  # as many before step 0 as after it
        if len(self.done) <= filling + depth:
            return False
        ends = np.array([done[carried] for done in self.done[-depth - 1 :]])
        moved = np.diff(ends, axis=0)
        return bool(np.ptp(moved, axis=(0, 1)).max() <= _SAME * ends.max())

    @property
    def pace(self) -> Floats:
        """From the end of a step to the end of the next, on each rank (W,) [s]."""
        ends = list(self.graph.ends)
        early, late = (done[ends].max(axis=0) for done in self.done[-2:])
        return np.asarray(late - early)

    def circuit(self) -> Floats:
        """Go back from the end of a step over what each operation waited for.

        Since steps are alike, each operation waits for the same one in all of them.
        """
        at, back = self._last(), 0
        seen: dict[_Visit, tuple[int, int]] = {}
        while at not in seen:
            seen[at] = len(seen), back
            at, steps = self._before(at)
            back += steps
        number, begun = seen[at]
        counts = np.zeros_like(self.seconds)
        for node in list(seen)[number:]:
            ranks = self._ranks(node)
            slowest = ranks.start + self.seconds[node.operation, ranks].argmax()
            counts[node.operation, slowest] += 1.0 / (back - begun)
        return counts

    def _last(self) -> _Visit:
        """Return what ends a step on the ranks that are slowest from step to step."""
        ends, pace = self.done[-1][list(self.graph.ends)], self.pace
        slow = pace >= pace.max() - _SAME * ends.max()
        latest = np.where(slow, ends, -np.inf)
        operation, rank = np.unravel_index(latest.argmax(), latest.shape)
        return self._node(self.graph.ends[operation], int(rank))

    def _before(self, node: _Visit) -> tuple[_Visit, int]:
        """Return what a visit waited for, and how many steps before that was."""
        ranks, waits = self._ranks(node), self.graph.waits[node.operation]
        ends = np.array([self.done[-1 - w.steps][w.operation, ranks] for w in waits])
        which, rank = np.unravel_index(ends.argmax(), ends.shape)
        wait = waits[which]
        return self._node(wait.operation, ranks.start + int(rank)), wait.steps

    def _node(self, operation: int, rank: int) -> _Visit:
        return _Visit(operation, self._ranks(_Visit(operation, rank)).start)

    def _ranks(self, node: _Visit) -> slice:
        """Return the ranks that a visit stands for."""
        meeting = self.meetings[node.operation]
        if meeting is None:
            return slice(node.rank, node.rank + 1)
        return meeting.ranks(node.rank)
