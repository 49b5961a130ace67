"""Maps of two axes: a table per column of results, coloured by its values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from shardplan.report.pages.study.points import PointColumn

MOST_VALUES = 60
"""Values of an axis that fit on a map."""
LEVELS = 10
_LOG_FROM = 30.0
_MAPPED = (
    "throughput_samples_per_s",
    "step_time_s",
    "hbm_fill",
    "cost_per_1e9_samples",
    "kwh_per_1e9_samples",
    "goodput_samples_per_s",
    "exposed_comm_s",
    "bottleneck",
)
"""Columns that have a map, beside those of the front."""
SIGNS = {
    "infeasible": "does not fit",
    "not_found": "none found",
    "error": "error",
    "implied": "implied",
}
"""What stands for a result that is no plan."""


@dataclass(frozen=True)
class MapCell:
    """A cell of a map.

    Attributes
    ----------
    text, kind : str
        What it says, and its class in the style.
    title : str
        Which point it is.
    href : str, optional
        The point's page.
    on_front : bool
    """

    text: str
    kind: str
    title: str = ""
    href: str | None = None
    on_front: bool = False


@dataclass(frozen=True, eq=False)
class Mapped:
    """What a map shows: a column, and how its values become levels of colour.

    Attributes
    ----------
    least, most : float or None
        Over all points, so that maps of other values of the axes can be compared;
        None for text.
    is_log : bool
        Levels are even in the logarithm.
    """

    column: PointColumn
    least: float | None
    most: float | None
    is_log: bool

    @classmethod
    def of(cls, column: PointColumn) -> Mapped:
        """Find the range of a column."""
        if column.words is not None:
            return cls(column, None, None, is_log=False)
        values = [value for value in column.cells if value is not None]
        least, most = min(values), max(values)
        return cls(column, least, most, least > 0 and most / least >= _LOG_FROM)

    def level(self, row: int) -> int:
        """Return the level of a cell with a value, from 0 to `LEVELS` less 1."""
        value = self.column.cells[row]
        if self.least is None or self.most is None:
            return int(value % LEVELS)
        if self.most == self.least:
            return LEVELS // 2
        if self.is_log:
            share = math.log(value / self.least) / math.log(self.most / self.least)
        else:
            share = (value - self.least) / (self.most - self.least)
        return min(LEVELS - 1, int(LEVELS * share))

    def legend(self) -> str:
        """Say what the colours mean."""
        if self.least is None or self.most is None:
            return "a colour per word"
        ends = [self.column.text_of(self.least), self.column.text_of(self.most)]
        sense = self.column.column.sense if self.column.column else None
        better = {"min": "; less is better", "max": "; more is better", None: ""}[sense]
        log = ", over the logarithm" if self.is_log else ""
        return f"light is {ends[0]}, dark is {ends[1]}{log}{better}"

    def data(self) -> dict[str, Any]:
        """Collect what the script needs."""
        return {
            "column": self.column.name,
            "min": self.least,
            "max": self.most,
            "log": self.is_log,
        }


@dataclass(frozen=True, eq=False)
class Maps:
    """All maps of a study over two of its axes.

    Attributes
    ----------
    axes : tuple of PointColumn
        That a map can have: with several values, and not too many.
    crowded : tuple of PointColumn
        Those with too many.
    held : dict of str to int
        Index of the value that each axis has where it is not shown.
    maps : tuple of Mapped
    """

    axes: tuple[PointColumn, ...]
    crowded: tuple[PointColumn, ...]
    held: Mapping[str, int]
    maps: tuple[Mapped, ...]

    @classmethod
    def of(
        cls, columns: Sequence[PointColumn], first: Collection[str], best: int | None
    ) -> Maps:
        """Choose axes and columns.

        Parameters
        ----------
        first : collection of str
            Columns that come first: those of the front.
        best : int, optional
            The row whose values the axes have that are not shown.
        """
        varied = _independent([c for c in columns if c.is_axis])
        axes = [c for c in varied if len(c.words or ()) <= MOST_VALUES]
        names = dict.fromkeys([*first, *_MAPPED])
        by_name = {column.name: column for column in columns if not column.is_axis}
        held = {c.name: c.cells[best] or 0 if best is not None else 0 for c in varied}
        return cls(
            axes=tuple(axes),
            crowded=tuple(c for c in varied if c not in axes),
            held=held,
            maps=tuple(Mapped.of(by_name[n]) for n in names if n in by_name),
        )

    @property
    def down(self) -> PointColumn | None:
        """The axis whose values are the rows; None if there is only one axis."""
        return self.axes[0] if len(self.axes) > 1 else None

    @property
    def across(self) -> PointColumn:
        """The axis whose values are the columns."""
        return self.axes[1] if len(self.axes) > 1 else self.axes[0]

    def cells(
        self,
        mapped: Mapped,
        status: PointColumn,
        numbers: Sequence[int],
        pages: Mapping[int, str],
        front: Collection[int],
    ) -> list[tuple[str, list[MapCell]]]:
        """Fill a map: the name and the cells of each of its rows."""
        places = {}
        for row in range(len(numbers)):
            if all(c.cells[row] == self.held[c.name] for c in self.kept):
                down = self.down.cells[row] if self.down else 0
                places[self.across.cells[row], down] = row
        names = self.down.choices() if self.down else [mapped.column.name]
        return [
            (
                name,
                [
                    _cell(mapped, status, places.get((i, j)), numbers, pages, front)
                    for i in range(len(self.across.words or ()))
                ],
            )
            for j, name in enumerate(names)
        ]

    @property
    def every(self) -> tuple[PointColumn, ...]:
        """All axes with several values."""
        return (*self.axes, *self.crowded)

    @property
    def kept(self) -> list[PointColumn]:
        """The axes that are held at a value."""
        shown = (self.across, self.down)
        return [axis for axis in self.every if axis not in shown]


def _independent(axes: Sequence[PointColumn]) -> list[PointColumn]:
    """Return the axes with several values; of those that move together, the first."""
    found: list[PointColumn] = []
    for axis in axes:
        is_new = all(axis.cells != other.cells for other in found)
        if len(axis.words or ()) > 1 and is_new:
            found.append(axis)
    return found


def _cell(
    mapped: Mapped,
    status: PointColumn,
    row: int | None,
    numbers: Sequence[int],
    pages: Mapping[int, str],
    front: Collection[int],
) -> MapCell:
    if row is None:
        return MapCell("", "none", "not a finished point of the study")
    number, state = numbers[row], str(status.value(row))
    title = f"point {number}"
    if mapped.column.cells[row] is None:
        text = SIGNS.get(state, "-")
        return MapCell(text, f"status {state}", f"{title}: {state}")
    return MapCell(
        mapped.column.text(row),
        f"level l{mapped.level(row)}",
        title,
        pages.get(number),
        number in front,
    )
