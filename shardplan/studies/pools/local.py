"""Points one after the other in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.studies.pools.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from shardplan.studies.pools.task import PointOutcome, Task
    from shardplan.studies.spec import StudySpec


class LocalPool:
    """Needs nothing else, and starts at once."""

    def __init__(self, spec: StudySpec, known: Collection[str] = ()) -> None:
        self._workshop = Workshop(spec, known)

    def results(self, tasks: Iterable[Task]) -> Iterator[list[PointOutcome]]:
        """Yield the outcome of each task."""
        for task in tasks:
            yield [self._workshop.run(task)]

    def close(self) -> None:
        """Nothing is held."""
