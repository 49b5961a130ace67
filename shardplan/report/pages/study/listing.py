"""Tables of points: the front, what misses a constraint, and all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shardplan.report.study_front import miss_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shardplan.report.pages.study.points import PointColumn
    from shardplan.report.pages.study.subject import PageSubject, PointPage

FIRST_ROWS = 200
"""Rows of the table of all points without a script."""
NEAREST = 20
"""Points that miss a constraint and are listed."""
_MOST_CHOICES = 50
"""Values of an axis that a filter lists."""
_LISTED = ("step_time_s", "hbm_fill", "cost_per_1e9_samples", "bottleneck")
"""Columns of the tables of few points, beside goals and constraints."""


@dataclass(frozen=True, slots=True)
class ListedPoint:
    """A row of a table: its cells in the order of the columns.

    Attributes
    ----------
    more : tuple of str
        Cells of its own behind those of the columns.
    """

    number: int
    cells: tuple[str, ...]
    page: PointPage | None
    is_knee: bool = False
    more: tuple[str, ...] = ()


def listed_columns(subject: PageSubject) -> list[PointColumn]:
    """Choose the columns of the tables of few points."""
    front = subject.front
    names = [goal.column for goal in front.goals]
    names += [constraint.column for constraint in front.constraints]
    found = [subject.column(name) for name in dict.fromkeys([*names, *_LISTED])]
    return [*subject.axes, *(c for c in found if c is not None and not c.is_axis)]


def list_points(
    subject: PageSubject,
    columns: Sequence[PointColumn],
    numbers: Iterable[int],
    more: Iterable[tuple[str, ...]] = (),
) -> list[ListedPoint]:
    """Write the rows of some points.

    Parameters
    ----------
    more : iterable of tuple of str, optional
        What else a row says, for each point.
    """
    knee = subject.front.knee
    knee_number = None if knee is None else knee.point.number
    behind = list(more)
    return [
        ListedPoint(
            number,
            tuple(column.text(subject.place[number]) for column in columns),
            subject.pages.get(number),
            number == knee_number,
            behind[index] if behind else (),
        )
        for index, number in enumerate(numbers)
    ]


def near_points(
    subject: PageSubject, columns: Sequence[PointColumn], near: list[dict[str, Any]]
) -> list[ListedPoint]:
    """Write the rows of the nearest points that miss a constraint.

    Parameters
    ----------
    near : list of dict
        Of the report of the front, see `front_data`.
    """
    shown = near[:NEAREST]
    more = [
        (
            ", ".join(map(miss_text, entry["misses"])),
            "on the front" if entry["joins"] else "dominated",
        )
        for entry in shown
    ]
    return list_points(subject, columns, [entry["point"] for entry in shown], more)


def all_points(subject: PageSubject) -> dict[str, Any]:
    """Return the table of all points: its filters, and its first rows."""
    shown = [column for column in subject.columns if column.is_shown]
    return {
        "columns": subject.columns,
        "shown": shown,
        "filters": [column for column in subject.columns if _is_filter(column)],
        "total": len(subject.numbers),
        "rows": list_points(subject, shown, subject.numbers[:FIRST_ROWS]),
    }


def _is_filter(column: PointColumn) -> bool:
    """Whether a list of values is a good filter for a column."""
    is_sorted = column.is_axis or column.name in ("status", "bottleneck")
    return is_sorted and 1 < len(column.words or ()) <= _MOST_CHOICES
