"""Runs that are sorted by time, merged: with a little of each run in memory."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class TimeRun(NamedTuple):
    """Samples in the order of time.

    Attributes
    ----------
    place : int
        In the log: of equal times the run before comes first.
    first, last : int
        Ranks of its times among those of all runs; nothing without a time.
    valid : int
        Samples with a time; those without one come after them.
    nans : int
        Samples after those whose time is no number.
    read : callable
        Yields tables from a sample on.
    """

    place: int
    first: int
    last: int
    valid: int
    nans: int
    rows: int
    read: Callable[[int], Iterator[Any]]

    @property
    def begin(self) -> tuple[int, int]:
        """Where its first sample comes among those of all runs."""
        return self.first, self.place

    @property
    def end(self) -> tuple[int, int]:
        """Where its last sample comes among those of all runs."""
        return self.last, self.place


def overlapping(runs: list[TimeRun]) -> set[int]:
    """Return the places of the runs whose times are not apart from those of others."""
    timed = sorted((run for run in runs if run.valid), key=lambda run: run.begin)
    found: set[int] = set()
    latest: TimeRun | None = None
    for run in timed:
        if latest is not None and latest.end > run.begin:
            found |= {latest.place, run.place}
        latest = run if latest is None or run.end > latest.end else latest
    return found


def merged(runs: list[TimeRun], time: str, schema: Any) -> Iterator[Any]:
    """Yield all samples as tables in the order of time, those of the same as they lie.

    Parameters
    ----------
    time : str
        The column.
    schema : pyarrow.Schema
        Of all samples; those of runs are cast to it.
    """
    waiting = deque(sorted((r for r in runs if r.valid), key=lambda run: run.begin))
    upcoming = _opened(waiting, time, schema)
    is_open: list[_OpenRun] = []
    while is_open or upcoming:
        for run in is_open:
            run.fill()
        is_open = [run for run in is_open if len(run.keys)]
        # Nothing that is not in memory comes before the earliest of these.
        limits = [run.end for run in is_open if not run.is_at_end]
        limits += [upcoming.begin] if upcoming else []
        limit = min(limits, default=None)
        taken = [run.take(limit) for run in is_open]
        if found := [each for each in taken if each[0].num_rows]:
            yield _in_time(found)
        if upcoming and limit == upcoming.begin:
            is_open = sorted([*is_open, upcoming], key=lambda run: run.place)
            upcoming = _opened(waiting, time, schema)
    for each in runs:
        yield from _slice(each, each.valid, each.valid + each.nans, schema)
    for each in runs:
        yield from _slice(each, each.valid + each.nans, each.rows, schema)


class _OpenRun:
    """A run that is read; some of its samples are in memory, with their times."""

    def __init__(self, run: TimeRun, time: str, schema: Any) -> None:
        self.place, self.is_at_end = run.place, False
        self.table: Any = schema.empty_table()
        self.keys: Any = np.zeros(0)
        self._left, self._time, self._schema = run.valid, time, schema
        self._read = run.read(0)
        self._enough = 0

    @property
    def begin(self) -> tuple[Any, int]:
        """Time and place of the first sample in memory."""
        return self.keys[0], self.place

    @property
    def end(self) -> tuple[Any, int]:
        """Time and place of the last sample in memory."""
        return self.keys[-1], self.place

    def fill(self) -> None:
        """Read on if little of what is read at a time is left."""
        import pyarrow as pa

        while not self.is_at_end and len(self.keys) <= self._enough // 2:
            table = next(self._read, None) if self._left else None
            if table is None:
                self.is_at_end = True
                return
            table = _cast(table.slice(0, self._left), self._schema)
            self._left -= table.num_rows
            self.is_at_end = not self._left
            self._enough = max(self._enough, table.num_rows)
            self.table = pa.concat_tables([self.table, table])
            self.keys = (
                np.concatenate((self.keys, _keys(table[self._time])))
                if len(self.keys)
                else _keys(table[self._time])
            )

    def take(self, limit: tuple[Any, int] | None) -> tuple[Any, Any]:
        """Remove and return the samples up to a limit, with their times."""
        size = len(self.keys)
        if limit is not None:
            side: Any = "right" if self.place <= limit[1] else "left"
            size = int(np.searchsorted(self.keys, limit[0], side))
        taken = self.table.slice(0, size), self.keys[:size]
        self.table, self.keys = self.table.slice(size), self.keys[size:]
        return taken


def _opened(waiting: deque[TimeRun], time: str, schema: Any) -> _OpenRun | None:
    """Open the next run that has a sample."""
    while waiting:
        run = _OpenRun(waiting.popleft(), time, schema)
        run.fill()
        if len(run.keys):
            return run
    return None


def _in_time(found: list[tuple[Any, Any]]) -> Any:
    """Join samples of several runs in the order of time."""
    import pyarrow as pa

    if len(found) == 1:
        return found[0][0]
    order = np.argsort(np.concatenate([keys for _, keys in found]), kind="stable")
    return pa.concat_tables([table for table, _ in found]).combine_chunks().take(order)


def _keys(times: Any) -> Any:
    """Return times as an array that can be compared: numbers, dates, or objects."""
    return times.combine_chunks().to_numpy(zero_copy_only=False)


def _cast(table: Any, schema: Any) -> Any:
    return table.select(schema.names).cast(schema)


def _slice(run: TimeRun, start: int, stop: int, schema: Any) -> Iterator[Any]:
    """Yield the samples of a run from one to another."""
    left = stop - start
    for table in run.read(start) if left else ():
        yield _cast(table.slice(0, left), schema)
        left -= min(left, table.num_rows)
        if not left:
            return
