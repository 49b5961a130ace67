"""How two studies differ: what was asked, and what came out for the same points.

Points are the same if all axes have the same values. An axis that only one of the
files has is compared with the other one's base, if it is a field of [base]; an axis
that sets a field of an input has no value where it is not set.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shardplan.records.fingerprint import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from shardplan.records.record import Record
    from shardplan.studies.study import Study, StudyRow


@dataclass(frozen=True, slots=True)
class FileChange:
    """A key of the study file, or an input, that is not the same.

    Attributes
    ----------
    before, after : object
        None where it is not set.
    """

    key: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A column of a point that is not the same.

    Attributes
    ----------
    relative : float or None
        Change over the old value; infinite from 0; None where one of both is no number.
    """

    column: str
    before: Any
    after: Any
    relative: float | None

    @property
    def size(self) -> float:
        """Return how much it matters: a status most, what is no number not at all."""
        return math.inf if self.column == "status" else abs(self.relative or 0.0)


@dataclass(frozen=True, slots=True)
class PointChange:
    """A point that both studies have, with other results.

    Attributes
    ----------
    changes : tuple of ValueChange
        In the order of the columns.
    """

    before: StudyRow
    after: StudyRow
    changes: tuple[ValueChange, ...]

    @property
    def size(self) -> float:
        """Return the size of the largest change."""
        return max(change.size for change in self.changes)


@dataclass(frozen=True, slots=True)
class StudyDiff:
    """The difference of two studies.

    Attributes
    ----------
    asked : tuple of FileChange
        Of the study files, and of inputs by fingerprint.
    changed : tuple of PointChange
        Largest change first.
    num_same : int
        Points of both studies with the same results.
    removed, added : tuple of StudyRow
        Points of only the first and of only the second.
    """

    asked: tuple[FileChange, ...]
    changed: tuple[PointChange, ...]
    num_same: int
    removed: tuple[StudyRow, ...]
    added: tuple[StudyRow, ...]


def diff_studies(before: Study, after: Study) -> StudyDiff:
    """Compare what two studies asked and found."""
    axes = list(dict.fromkeys([*_axes(before), *_axes(after)]))
    old = {_place(row, axes): row for row in before.rows}
    new = {_place(row, axes): row for row in after.rows}
    pairs = [
        PointChange(row, new[place], tuple(_value_changes(row, new[place])))
        for place, row in old.items()
        if place in new
    ]
    changed = sorted((pair for pair in pairs if pair.changes), key=lambda p: -p.size)
    return StudyDiff(
        asked=tuple(_asked(before, after)),
        changed=tuple(changed),
        num_same=len(pairs) - len(changed),
        removed=tuple(row for place, row in old.items() if place not in new),
        added=tuple(row for place, row in new.items() if place not in old),
    )


def _axes(study: Study) -> Iterable[str]:
    """Return the names of a study's axes."""
    return next((row.point.values for row in study.rows), ())


def _place(row: StudyRow, axes: Sequence[str]) -> str:
    """Return what tells a row from the others: what every axis has there."""
    base = row.point.base
    values = [row.point.values.get(axis, getattr(base, axis, None)) for axis in axes]
    whole = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
    return json.dumps(whole, sort_keys=True)


def _asked(before: Study, after: Study) -> Iterator[FileChange]:
    """Yield what is not the same in the files and the inputs."""
    old, new = _question(before), _question(after)
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) != new.get(key):
            yield FileChange(key, old.get(key), new.get(key))


def _question(study: Study) -> dict[str, Any]:
    """Return all that a study asks, by flat keys."""
    asked = dict(_flat(study.spec.file.model_dump(mode="json", exclude_none=True), ""))
    sources = study.spec.sources
    kinds: dict[str, Mapping[str, Record]] = {
        "workload": sources.workloads,
        "topology": sources.topologies,
        "cost_model": sources.cost_models,
    }
    for kind, records in kinds.items():
        for name, record in records.items():
            asked[f"input {kind} {name}"] = fingerprint(record)
    return asked


def _flat(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        name = json.dumps(key) if "." in key else key
        inner = f"{path}.{name}" if path else name
        if isinstance(value, dict):
            yield from _flat(value, inner)
        else:
            yield inner, value


def _value_changes(before: StudyRow, after: StudyRow) -> Iterator[ValueChange]:
    """Yield the columns, axes aside, that are not the same."""
    axes = {*before.point.values, *after.point.values}
    for column in dict.fromkeys([*before.values, *after.values]):
        old, new = before.values.get(column), after.values.get(column)
        if column not in axes and old != new:
            yield ValueChange(column, old, new, _relative(old, new))


def _relative(before: Any, after: Any) -> float | None:
    """Return the change over the old value; None unless both are numbers."""
    for value in (before, after):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
    return (after - before) / abs(before) if before else math.inf
