"""A run of a study: asks for points, runs those that are missing, keeps what comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from shardplan.studies.journal import Entry
from shardplan.studies.pools.task import task_of
from shardplan.studies.study import StudyRow, make_row

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from shardplan.studies.journal import Journal, JournalWriter
    from shardplan.studies.point import StudyPoint
    from shardplan.studies.pools.task import PointOutcome, Pool
    from shardplan.studies.spec import StudySpec

    PoolMaker = Callable[[StudySpec, Collection[str]], Pool]


class RunObserver(Protocol):
    """Is told how far a run is; must not change anything."""

    def planned(self, points: int, known: int) -> None:
        """Take note that so many more points are asked for, some of them known."""

    def finished(self, row: StudyRow) -> None:
        """Take note of a point that was run."""


class Unobserved:
    """The observer that ignores everything."""

    def planned(self, points: int, known: int) -> None:
        """Ignore it."""

    def finished(self, row: StudyRow) -> None:
        """Ignore it."""


class Session:
    """Finds the rows of points: in the journal, or by running them.

    Parameters
    ----------
    spec : StudySpec
    points : sequence of StudyPoint
        Those that the study asks for by itself.
    journal : Journal
        What is known; grows.
    writer : JournalWriter, optional
        Keeps what is run.
    make_pool : callable, optional
        Called when the first point is missing; without it nothing is run, and rows of
        missing points are left out.
    observer : RunObserver, optional

    Attributes
    ----------
    lost : dict of str to dict
        Values by id of points that failed for now: the next run tries them again.
    """

    def __init__(
        self,
        spec: StudySpec,
        points: Sequence[StudyPoint],
        journal: Journal,
        writer: JournalWriter | None = None,
        make_pool: PoolMaker | None = None,
        observer: RunObserver | None = None,
    ) -> None:
        self.spec, self.points = spec, tuple(points)
        self.lost: dict[str, dict[str, Any]] = {}
        self._journal, self._writer = journal, writer
        self._make_pool = make_pool
        self._pool: Pool | None = None
        self._observer = observer or Unobserved()

    def rows(self, points: Iterable[StudyPoint]) -> list[StudyRow]:
        """Return the rows of points in their order; run those that are missing.

        Raises
        ------
        InputError
            If the journal cannot be written, or the workers are gone.
        """
        points = list(points)
        if self._make_pool is not None:
            missing = {
                point.id: point
                for point in points
                if not self.is_known(point) and point.id not in self.lost
            }
            self._observer.planned(len(points), len(points) - len(missing))
            self._run(missing)
        return [row for point in points if (row := self.row(point)) is not None]

    def add(self, points: Iterable[StudyPoint]) -> None:
        """Take note of points that are chosen on the way."""
        self.points += tuple(points)

    def is_known(self, point: StudyPoint) -> bool:
        """Whether a point has a result that stays."""
        return point.id in self._journal.by_id

    def row(self, point: StudyPoint) -> StudyRow | None:
        """Return the row of a point if it was run."""
        entry = self._journal.by_id.get(point.id)
        values = entry.values if entry else self.lost.get(point.id)
        return None if values is None else make_row(self.spec, point, values)

    def close(self) -> None:
        """Let go of the workers."""
        if self._pool is not None:
            self._pool.close()

    def _run(self, missing: dict[str, StudyPoint]) -> None:
        if not missing:
            return
        if self._pool is None:
            assert self._make_pool is not None
            self._pool = self._make_pool(self.spec, self._journal.by_key.keys())
        tasks = (task_of(point) for point in missing.values())
        for outcomes in self._pool.results(tasks):
            self._keep(outcomes)
            for outcome in outcomes:
                row = self.row(missing[outcome["id"]])
                assert row is not None
                self._observer.finished(row)

    def _keep(self, outcomes: list[PointOutcome]) -> None:
        entries = []
        for outcome in outcomes:
            name, key, values = outcome["id"], outcome["key"], outcome["values"]
            if values is None:
                values = self._journal.by_key[key].values
            if outcome["is_final"]:
                entries.append(Entry(name, key, values))
            else:
                self.lost[name] = values
        if self._writer is not None:
            self._writer.append(entries)
        else:
            for entry in entries:
                self._journal.add(entry)
