"""Queues placed in lockstep: the next shard of each, in the same arrays.

The ranks of one attempt are so few numbers that starting an operation takes longer than
what it works out; for all attempts at once it takes hardly longer. Only what `Placer`
does without a second thought is done here, to the same numbers.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise, starmap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.problems.loads import Loads
from shardplan.problems.problem import Assignment
from shardplan.solvers.levels import norm
from shardplan.solvers.tolerances import ROUNDOFF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shardplan.records.arrays import Floats, Ints
    from shardplan.solvers.queue import Queue


CLOCK_EVERY = 100
"""Shards of each queue between two looks at the clock."""


class Placed(NamedTuple):
    """A queue that has been placed.

    Attributes
    ----------
    queue : Queue
    places : int array (L,)
        Of one shard of the queue after another.
    loads : Loads
    """

    queue: Queue
    places: Ints
    loads: Loads

    def assignment(self) -> Assignment:
        """Return the placed options as an assignment."""
        order, choice = self.queue.order, self.queue.choice
        ends = np.cumsum(self.queue.problem.options.num_copies[choice[order]])
        places = [np.zeros(0, dtype=np.int64)] * len(choice)
        parts = np.split(self.places, ends[:-1])
        for bundle, own in zip(order.tolist(), parts, strict=False):
            places[bundle] = own
        return Assignment(choice, tuple(places))


def place_in_lockstep(
    ways: Sequence[tuple[Queue, float]], give_up: Callable[[], bool]
) -> list[Placed | None]:
    """Place queues of one problem, each with a norm by which ranks are compared.

    Parameters
    ----------
    ways : sequence of Queue and float
        See `Placer` for the latter.
    give_up : callable
        Is asked now and then; says whether to leave them all.

    Returns
    -------
    list of Placed or None
        What `place_all` comes to, for each; None where it has to be asked.
    """
    found: list[Placed | None] = [None] * len(ways)
    # Long queues first: what is behind the last one that goes on is not worked out.
    order = sorted(range(len(ways)), key=lambda n: (ways[n][1], -len(ways[n][0].item)))
    lockstep = _Lockstep([ways[number] for number in order])
    if lockstep.run(give_up):
        for number, placed in zip(order, lockstep.placed(), strict=True):
            found[number] = placed
    return found


class _Lockstep:
    """Levels of A queues in D dimensions, of which the last one is HBM: see `Levels`.

    Parameters
    ----------
    ways : sequence of Queue and float
        Those with the same norm follow each other.
    """

    def __init__(self, ways: Sequence[tuple[Queue, float]]) -> None:
        self._queues = [queue for queue, _ in ways]
        self._problem = self._queues[0].problem
        level = np.stack([queue.first_level for queue in self._queues], axis=1)
        self._level = np.repeat(level[:, :, None], self._problem.world_size, axis=2)
        powers = [power for _, power in ways]
        first = {power: powers.index(power) for power in powers}
        rows = starmap(slice, pairwise([*first.values(), len(ways)]))
        self._norms = list(zip(first, rows, strict=True))
        scopes = {scope for queue in self._queues for scope in queue.scope.tolist()}
        self._scopes = sorted(scopes, reverse=True)
        self._places = [np.zeros(q.start[-1], dtype=np.int64) for q in self._queues]

    def run(self, give_up: Callable[[], bool]) -> bool:
        """Place everything, the widest scope first; say whether it came to the end."""
        return all(self._run(scope, give_up) for scope in self._scopes)

    def _run(self, scope: int, give_up: Callable[[], bool]) -> bool:
        """Place the shards of a scope; queues that end early go on with nothing."""
        own = [np.flatnonzero(queue.scope == scope) for queue in self._queues]
        added, apart = self._steps(own)
        size = self._problem.cluster.groups(scope).num_ranks.item(0)
        first = np.arange(len(own)) * (self._problem.world_size // size)
        found = np.empty((len(added), len(own)), dtype=np.int64)
        total, score = np.empty_like(self._level), np.empty(self._level.shape[1:])
        # The ranks of a place follow each other.
        shape = len(self._level), -1, size
        level, levels = self._level.reshape(shape), total.reshape(shape)
        norms = [
            (power, rows.start, self._ends(own, rows)) for power, rows in self._norms
        ]
        for step in range(len(added)):
            if step % CLOCK_EVERY == CLOCK_EVERY - 1 and give_up():
                return False
            np.add(self._level, added[step], total)
            for power, start, ends in norms:
                if step < len(ends):
                    rows = slice(start, ends[step])
                    norm(total[:, rows], power, score[rows])
            fullest = score
            if size > 1:
                fullest = np.maximum.reduce(score.reshape(len(own), -1, size), 2)
            found[step] = best = fullest.argmin(axis=1) + first
            level[:, best] = levels.take(best, axis=1)
            for row, places in apart.get(step, ()):
                places[:] = fullest[row].argsort(kind="stable")[: len(places)]
                best = places + first[row]
                level[:, best] = levels[:, best]
        for row, (queue, some) in enumerate(zip(self._queues, own, strict=True)):
            self._places[row][queue.start[some]] = found[: len(some), row] - first[row]
        return True

    @staticmethod
    def _ends(own: Sequence[Ints], rows: slice) -> list[int]:
        """Row after the last one of some that still goes on, for each step."""
        lengths = np.array([len(some) for some in own[rows]])
        steps = np.arange(lengths.max())[:, None]
        last = len(lengths) - (lengths > steps)[:, ::-1].argmax(axis=1)
        found: list[int] = (rows.start + last).tolist()
        return found

    def _steps(
        self, own: Sequence[Ints]
    ) -> tuple[Floats, dict[int, list[tuple[int, Ints]]]]:
        """List what each step adds (S, D, A, 1), and rows that then fill many places.

        Parameters
        ----------
        own : sequence of A int arrays
            Shards of each queue.
        """
        added = np.zeros((max(map(len, own)), *self._level.shape[:2], 1))
        apart: dict[int, list[tuple[int, Ints]]] = defaultdict(list)
        for row, (queue, some) in enumerate(zip(self._queues, own, strict=True)):
            added[: len(some), :, row, 0] = queue.added[some]
            for step in np.flatnonzero(queue.count[some] > 1).tolist():
                start, end = queue.start[some[step] :][:2]
                apart[step].append((row, self._places[row][start:end]))
        return added, apart

    def placed(self) -> Iterator[Placed | None]:
        """Yield what became of each queue; None if a rank got more than it holds."""
        problem, queues = self._problem, self._queues
        load = self._loads()
        room = problem.rooms[0] * (1.0 - ROUNDOFF)
        for queue, places, own in zip(queues, self._places, load, strict=True):
            if (own[:, -1] > room).any():
                yield None
                continue
            loads = Loads.empty(
                problem.cluster, problem.capacity.rank_pool, problem.num_phases
            )
            loads.cost[:], loads.hbm[:] = own[:, :-1], own[:, -1]
            yield Placed(queue, places, loads)

    def _loads(self) -> Floats:
        """Add up seconds per phase and bytes on every rank, in order (A, W, P + 1)."""
        problem, menu, queues = self._problem, self._problem.options, self._queues
        first = np.array([queue.first_load for queue in queues])
        load = np.repeat(first[:, None], problem.world_size, axis=1)
        item = np.concatenate([np.repeat(q.item, q.count) for q in queues])
        scope = np.concatenate([np.repeat(q.scope, q.count) for q in queues])
        place = np.concatenate(self._places)
        row = np.repeat(np.arange(len(queues)), [len(p) for p in self._places])
        own = np.c_[menu.item_cost[item, 0], menu.item_bytes[item, 0]]
        kinds = np.arange(own.shape[1])
        for kind in self._scopes:
            some = np.flatnonzero(scope == kind)
            which, rank = problem.ranks_of(kind, place[some])
            some = some[which]
            cell = (row[some] * problem.world_size + rank) * len(kinds)
            np.add.at(
                load.reshape(-1), (cell[:, None] + kinds).ravel(), own[some].ravel()
            )
        return load
