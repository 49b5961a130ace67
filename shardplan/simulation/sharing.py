"""Operations of different streams that share links slow each other down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.communication.fair_share import fair_speeds
from shardplan.steps.operation import STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.steps.operation import Operation, Stream


_NOTHING = np.zeros(1)
_ROOM = 1.0 + 1e-9  # of a link: more than this is contention
_SAME = 1e-11  # of the time so far: what moves less stays


@dataclass(eq=False)
class SharedLinks:
    """When operations use links that others may want too, as far as is known yet.

    Attributes
    ----------
    stream : int array (K,)
        Of the K runs that contend with some run of another stream.
    position : int array (K,)
        Of the runs in the timeline, increasing.
    rows : dict of int to int
        Row of a run by its position.
    start, done : float arrays (K, W)
        When each rank begins and ends its own part [s].
    first, last : float arrays (K,)
        The first begin and the last end of all ranks [s].
    uses : float array (K, L, W)
        Of the L links that may be overfull.
    """

    stream: Ints
    position: Ints
    rows: dict[int, int]
    start: Floats
    done: Floats
    first: Floats
    last: Floats
    uses: Floats
    _unsettled: int | None = None

    @classmethod
    def of(cls, operations: Sequence[Operation], first: int = 0) -> SharedLinks | None:
        """Collect runs that may contend; None if none may.

        Parameters
        ----------
        operations : sequence of Operation
            In order of issue.
        first : int
            Those before it do not count.

        Notes
        -----
        Streams that together never use more than a whole link do not contend: then
        nothing needs to be worked out.
        """
        most = _most(operations)
        links = _overfull(most)
        if not links.any():
            return None
        users = [
            (position, operation)
            for position, operation in enumerate(operations)
            if position >= first and _contends(operation, most, links)
        ]
        shape = (len(users), len(operations[0].seconds))
        return cls(
            stream=np.array([STREAMS.index(user.stream) for _, user in users]),
            position=np.array([position for position, _ in users]),
            rows={position: row for row, (position, _) in enumerate(users)},
            start=np.full(shape, np.inf),
            done=np.full(shape, np.inf),
            first=np.full(len(users), np.inf),
            last=np.full(len(users), -np.inf),
            uses=np.array([_uses(user)[links] for _, user in users]),
        )

    def finish(self, position: int, operation: Operation, start: Floats) -> Floats:
        """Return when each rank ends its part of an operation, and note it (W,) [s].

        Notes
        -----
        Between the moments at which others begin and end, all proceed at their
        max-min fair speeds, each rank with links of its own.
        """
        row = self.rows[position]
        time, left = start + operation.seconds, _NOTHING
        if len(self._beside(row, start, time)):
            slowest = time + (len(STREAMS) - 1) * operation.seconds
            others = self._beside(row, start, slowest)
            time, left = start, operation.seconds
        while left.any():
            speed, until = self._speed(row, others, time)
            room = (until - time) * speed
            ends = left <= room
            time = np.where(ends, time + left / speed, until)
            left = np.where(ends, 0.0, left - room)
        self._note(row, start, time)
        return time

    def unsettled(self) -> int | None:
        """Return the first position that what was noted since would change."""
        found, self._unsettled = self._unsettled, None
        return found

    def _note(self, row: int, start: Floats, done: Floats) -> None:
        """Keep the times of a run; those issued before it that it meets are open."""
        last = float(done.max())
        if self._moved(row, start, done, _SAME * last):
            low, high = start, done
            if self.first[row] < np.inf:
                low = np.minimum(start, self.start[row])
                high = np.maximum(done, self.done[row])
            met = self._beside(row, low, high)
            if len(met) and met[0] < row:
                open_ = int(self.position[met[0]])
                if self._unsettled is None or open_ < self._unsettled:
                    self._unsettled = open_
        self.start[row], self.done[row] = start, done
        self.first[row], self.last[row] = start.min(), last

    def _moved(self, row: int, start: Floats, done: Floats, least: float) -> bool:
        """Whether the times of a run are not those that others knew."""
        if self.first[row] == np.inf:
            return True
        moved = np.abs(done - self.done[row]).max() > least
        return bool(moved or np.abs(start - self.start[row]).max() > least)

    def _speed(self, row: int, others: Ints, time: Floats) -> tuple[Floats, Floats]:
        """Speed of a run at a moment of each rank, and until when it holds (W,)."""
        start, done = self.start[others], self.done[others]
        is_on = (start <= time) & (done > time)
        uses = np.concatenate(
            [self.uses[row][None], self.uses[others] * is_on[:, None]]
        )
        changes = np.where(is_on, done, np.where(start > time, start, np.inf))
        return fair_speeds(uses)[0], changes.min(axis=0)

    def _beside(self, row: int, start: Floats, end: Floats) -> Ints:
        """Rows of other streams that overlap an interval on some rank."""
        near = (self.last > start.min()) & (self.first < end.max())
        rows = np.flatnonzero(near & (self.stream != self.stream[row]))
        if not len(rows):
            return rows
        overlap = (self.done[rows] > start) & (self.start[rows] < end)
        return np.asarray(rows[overlap.any(axis=1)])


def _uses(operation: Operation) -> Floats:
    assert operation.uses is not None
    return operation.uses


def _most(operations: Iterable[Operation]) -> dict[Stream, Floats]:
    """Largest share of each link that a stream's operations take (L, W)."""
    most: dict[Stream, Floats] = {}
    for operation in operations:
        if operation.uses is not None and not operation.is_idle:
            before = most.get(operation.stream, operation.uses)
            most[operation.stream] = np.maximum(before, operation.uses)
    return most


def _overfull(most: dict[Stream, Floats]) -> Bools:
    """Links that two streams could fill beyond what one of them can, on a rank."""
    if len(most) < 2:
        return np.zeros(1, dtype=bool)
    total = np.sum(list(most.values()), axis=0)
    return np.asarray((total > _ROOM).any(axis=1))


def _contends(operation: Operation, most: dict[Stream, Floats], links: Bools) -> bool:
    """Whether an operation and the greediest of other streams overfill a link."""
    if operation.uses is None or operation.is_idle:
        return False
    own = operation.uses[links]
    others = sum(
        uses[links] for stream, uses in most.items() if stream is not operation.stream
    )
    return bool(((own > 0) & (own + others > _ROOM)).any())
