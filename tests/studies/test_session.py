"""Points that are asked for: found, or run once, and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shardplan.studies.expand import expand
from shardplan.studies.journal import Entry, Journal
from shardplan.studies.pools.task import PointOutcome
from shardplan.studies.session import Session
from tests.studies import quick

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from shardplan.studies.pools.task import Task
    from shardplan.studies.spec import StudySpec


class Reversed:
    """A pool that finishes tasks last first, two at a time; some are lost."""

    def __init__(self, lost: str = "") -> None:
        self.ran: list[str] = []
        self.is_open, self._lost = True, lost

    def results(self, tasks: Iterable[Task]) -> Iterator[list[PointOutcome]]:
        names = [task["id"] for task in tasks][::-1]
        self.ran += names
        for start in range(0, len(names), 2):
            yield [self._outcome(name) for name in names[start : start + 2]]

    def close(self) -> None:
        self.is_open = False

    def _outcome(self, name: str) -> PointOutcome:
        is_lost = name == self._lost
        values = quick.values("error" if is_lost else "feasible", message="x")
        return PointOutcome(id=name, key=name, values=values, is_final=not is_lost)


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    return quick.spec(tmp_path)


def session(spec: StudySpec, journal: Journal, pool: Any) -> Session:
    return Session(spec, expand(spec), journal, None, lambda spec, known: pool)


def test_rows_come_in_the_order_asked(spec: StudySpec) -> None:
    """Whatever finishes first, each point is run once."""
    pool, points = Reversed(), expand(spec)[:5]
    asked = session(spec, Journal(), pool)
    for _ in range(2):
        rows = asked.rows([*points, points[0]])
        assert [row.point for row in rows] == [*points, points[0]]
    assert pool.ran == [point.id for point in points][::-1]
    asked.close()
    assert not pool.is_open


def test_what_is_known_is_not_run(spec: StudySpec) -> None:
    points = expand(spec)
    journal = Journal()
    for point in points:
        journal.add(Entry(point.id, "", quick.values()))

    def fail(spec: object, known: object) -> Any:
        pytest.fail("workers are started for nothing")

    rows = Session(spec, points, journal, None, fail).rows(points)
    assert len(rows) == len(points)


def test_lost_points_are_tried_once_in_a_run(spec: StudySpec) -> None:
    """They have a row for the moment, and none in the journal."""
    points, journal = expand(spec)[:3], Journal()
    pool = Reversed(lost=points[1].id)
    asked = session(spec, journal, pool)
    for _ in range(2):
        assert [row.status for row in asked.rows(points)] == [
            *("feasible", "error", "feasible")
        ]
    assert pool.ran.count(points[1].id) == 1
    assert list(asked.lost) == [points[1].id]
    assert points[1].id not in journal.by_id


def test_without_a_pool_missing_rows_are_left_out(spec: StudySpec) -> None:
    points, journal = expand(spec), Journal()
    journal.add(Entry(points[2].id, "", quick.values()))
    rows = Session(spec, points, journal).rows(points)
    assert [row.point.number for row in rows] == [2]
