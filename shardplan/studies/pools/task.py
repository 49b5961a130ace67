"""What travels between a study and those who run its points: JSON, and little of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from shardplan.io.settings import Setting
from shardplan.records.record import dump
from shardplan.records.study import StudyBase
from shardplan.studies.point import StudyPoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Task(TypedDict):
    """A point to run.

    Attributes
    ----------
    id : str
    base : dict
        The changed base.
    settings : list of list
        Steps, value, and whether it adds or scales.
    """

    id: str
    base: dict[str, Any]
    settings: list[tuple[list[int | str], object, bool, bool]]


class PointOutcome(TypedDict):
    """What became of a point.

    Attributes
    ----------
    id, key : str
        The key is empty where the inputs could not be changed.
    values : dict or None
        Column to value; None if the key was known before.
    is_final : bool
        Running it again would bring the same.
    """

    id: str
    key: str
    values: dict[str, Any] | None
    is_final: bool


class Pool(Protocol):
    """Runs points, in any order and any number at a time."""

    def results(self, tasks: Iterable[Task]) -> Iterator[list[PointOutcome]]:
        """Yield what has finished, together where it finished together."""

    def close(self) -> None:
        """Let go of workers; what they are at is lost."""


def task_of(point: StudyPoint) -> Task:
    """Return what a worker must know of a point."""
    settings = [(list(s.steps), s.value, s.adds, s.scales) for s in point.settings]
    return Task(id=point.id, base=dump(point.base), settings=settings)


def point_of(task: Task) -> StudyPoint:
    """Return the point of a task, but for its number and axes."""
    settings = tuple(
        Setting(tuple(steps), value, adds, scales)
        for steps, value, adds, scales in task["settings"]
    )
    base = StudyBase.model_validate(task["base"])
    return StudyPoint(0, {}, base, settings, task["id"])
