"""The points of a study as columns: what the table, its filters and the maps show."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shardplan.report.study_values import TIMES, axis_labels, value_text
from shardplan.studies.columns import COLUMNS, StudyColumn
from shardplan.units import format_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shardplan.records.study import StudyFile
    from shardplan.studies.study import Study, StudyRow

WHY = StudyColumn("why", "", "why there is no plan", None, "text")
"""What is short and which tables need it, or the message, in one cell."""
_SHOWN = {
    "status",
    "step_time_s",
    "throughput_samples_per_s",
    "bottleneck",
    "hbm_fill",
    "cost_per_hour",
    "cost_per_1e9_samples",
    "goodput",
    WHY.name,
}
"""Columns that the table shows before anybody chooses."""
_DIGITS = 7


@dataclass(frozen=True, eq=False)
class PointColumn:
    """A column of the page.

    Attributes
    ----------
    label : str
        The shortest end of a path that only this column has; else the name.
    column : StudyColumn or None
        None for an axis that is no column of results.
    cells : list
        A cell per point; of columns with `words`, the index of its word.
    words : list, optional
        The different values of an axis or of text, as they come.
    is_axis, is_shown, is_factor : bool
        Whether it is an axis; whether the table begins with it; whether its values
        are factors of the input's own number.
    """

    name: str
    label: str
    title: str
    column: StudyColumn | None
    cells: list[Any]
    words: list[Any] | None
    is_axis: bool
    is_shown: bool
    is_factor: bool = False

    def value(self, row: int) -> Any:
        """Return the value of a cell."""
        cell = self.cells[row]
        return cell if self.words is None or cell is None else self.words[cell]

    def text(self, row: int) -> str:
        """Return a cell with its unit."""
        return self.text_of(self.value(row))

    def text_of(self, value: Any) -> str:
        """Write a value of this column with its unit."""
        if self.is_factor and value is not None:
            return f"{TIMES}{value:g}"
        return value_text(None if self.is_axis else self.column, value)

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return all(type(word) in (int, float) for word in self.words or ())

    def choices(self) -> list[str]:
        """Return the texts of all words."""
        return [self.text_of(word) for word in self.words or ()]

    def data(self) -> dict[str, Any]:
        """Collect what the script needs."""
        unit = "" if self.is_axis or self.column is None else self.column.unit
        return {
            "name": self.name,
            "label": self.label,
            "title": self.title,
            "unit": TIMES if self.is_factor else unit,
            "number": self.is_number,
            "axis": self.is_axis,
            "shown": self.is_shown,
            "cells": self.cells,
            "words": self.words,
        }


def point_columns(study: Study) -> list[PointColumn]:
    """Return the axes, and the columns of results that have any value."""
    rows = study.rows
    axes = dict.fromkeys(name for row in rows for name in row.point.values)
    labels = axis_labels(axes)
    factors = _factors(study.spec.file)
    found = []
    for name in axes:
        cells, words = _coded(row.point.values.get(name) for row in rows)
        found.append(
            PointColumn(
                *(name, labels[name], "axis", COLUMNS.get(name), cells, words),
                is_axis=True,
                is_shown=True,
                is_factor=name in factors,
            )
        )
    for name, column in {**COLUMNS, WHY.name: WHY}.items():
        values = [why(row) if column is WHY else row.values.get(name) for row in rows]
        if name not in axes and any(value is not None for value in values):
            found.append(_result(name, column, values))
    return found


def _factors(file: StudyFile) -> set[str]:
    """Return the names of the axes whose values are factors."""
    groups = [file.axes, *file.zip.values()]
    axes = [item for group in groups for item in group.items()]
    return {name for name, axis in axes if axis.scale is not None}


def _result(name: str, column: StudyColumn, values: list[Any]) -> PointColumn:
    is_text = column.kind == "text"
    cells, words = _coded(values) if is_text else (list(map(_short, values)), None)
    return PointColumn(
        *(name, name, column.title, column, cells, words),
        is_axis=False,
        is_shown=name in _SHOWN,
    )


def _coded(values: Iterable[Any]) -> tuple[list[int | None], list[Any]]:
    """Give the different values numbers as they come; None stays."""
    codes: dict[str, int] = {}
    words: list[Any] = []
    cells: list[int | None] = []
    for value in values:
        if value is None:
            cells.append(None)
            continue
        key = json.dumps(value, sort_keys=True)
        if key not in codes:
            codes[key] = len(words)
            words.append(value)
        cells.append(codes[key])
    return cells, words


def _short(value: Any) -> Any:
    """Leave out digits that no text shows."""
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def why(row: StudyRow) -> str | None:
    """Return why a point has no plan, in a line; None if it has one."""
    values = row.values
    if values.get("status") == "feasible":
        return None
    tier, missing = values.get("shortfall_tier"), values.get("shortfall_bytes")
    if tier is None or missing is None:
        message = values.get("message")
        return None if message is None else str(message)
    tables = values.get("shortfall_tables")
    needs = f" for {tables}" if tables else ""
    return f"{str(tier).upper()} is {format_bytes(missing)} too small{needs}"
