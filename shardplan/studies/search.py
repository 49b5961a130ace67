"""Search along one axis of a study: for all combinations of the others, the best value.

Best is the least, or the greatest, value with which a point meets all conditions of
the study. Every combination is a line of points; all lines are walked at once, so that
workers have something to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shardplan.errors import InputError, shorten
from shardplan.io.settings import parse_path
from shardplan.studies.constraints import parse_constraint
from shardplan.studies.derived import why_empty
from shardplan.studies.fields import read_number
from shardplan.studies.monotone import Trial, best, next_trials, sign
from shardplan.studies.study import StudyRow, make_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.studies.constraints import Constraint
    from shardplan.studies.point import StudyPoint
    from shardplan.studies.session import Session
    from shardplan.studies.spec import StudySpec


@dataclass(frozen=True, eq=False)
class SearchLine:
    """Points that differ along the axis of the search alone.

    Attributes
    ----------
    spec : StudySpec
    key : str
        The axis.
    points : tuple of StudyPoint
        From the most wanted value to the one that should meet the conditions easiest.
    positions : tuple of float
        The values as numbers.
    conditions : tuple of Constraint
    rows : dict of int to StudyRow
        Those that were run, by number of the value.
    """

    spec: StudySpec
    key: str
    points: tuple[StudyPoint, ...]
    positions: tuple[float, ...]
    conditions: tuple[Constraint, ...]
    rows: dict[int, StudyRow] = field(default_factory=dict)

    @property
    def trials(self) -> dict[int, Trial]:
        """What was run, as the search sees it."""
        return {i: self._trial(row) for i, row in self.rows.items()}

    @property
    def answer(self) -> int | None:
        """Number of the best value; None where nothing that was run meets all."""
        return best(self.trials)

    @property
    def asked(self) -> tuple[int, ...]:
        """What to run next; nothing when the search has ended."""
        return next_trials(self.trials, self.positions)

    @property
    def warning(self) -> str:
        """The sign that the axis is not monotone, in words; empty if there is none."""
        found = sign(self.trials)
        if found is None:
            return ""
        wanted, easy = self.value(found.wanted), self.value(found.easy)
        what = "has a plan, and {1} has none"
        if found.condition is not None:
            what = f"is better at {self.conditions[found.condition]} than {{1}}"
        text = f"{self.key} = {wanted} {what.format(0, easy)}"
        return f"not monotone: {text}; everything that could be better was run"

    def value(self, number: int) -> object:
        """Return a value of the axis as the study has it."""
        return self.points[number].values[self.key]

    def table(self) -> list[StudyRow]:
        """Return a row for every point: of those not run, why, once that is known."""
        if self.asked:
            return list(self.rows.values())
        return [
            self.rows.get(i) or make_row(self.spec, point, self._implied(i))
            for i, point in enumerate(self.points)
        ]

    def missed(self, number: int) -> str:
        """Say in which way a value that was run fails."""
        row = self.rows[number]
        if row.status != "feasible":
            return f"is {row.status}"
        texts = [str(c) for c in self.conditions if not c.holds(row.values)]
        return f"misses {' and '.join(texts)}"

    def _implied(self, number: int) -> dict[str, object]:
        """Return the results of a point that was not run."""
        answer = self.answer
        if answer is not None and number > answer:
            text = f"{self.key} = {self.value(answer)} meets all conditions already"
        else:
            tried = self.trials
            failing = min(i for i in tried if i > number and tried[i].holds is not None)
            shown = f"{self.key} = {self.value(failing)} {self.missed(failing)}"
            text = f"{shown}, and should do better"
        return {"status": "implied", "message": f"not run: {text}"}

    def _trial(self, row: StudyRow) -> Trial:
        if row.status == "error":
            return Trial(None)
        if row.status != "feasible":
            return Trial(False)
        holds = [condition.holds(row.values) for condition in self.conditions]
        slacks = (condition.slack(row.values) for condition in self.conditions)
        numbers = (
            (1.0 if held else -1.0) if slack is None else slack
            for held, slack in zip(holds, slacks, strict=True)
        )
        return Trial(all(holds), tuple(numbers))


def search(session: Session) -> Sequence[StudyRow]:
    """Walk along the axis of the study's search; a strategy, see `strategies`."""
    lines = walk(session)
    rows = [row for line in lines for row in line.table()]
    return sorted(rows, key=lambda row: row.point.number)


def walk(session: Session) -> tuple[SearchLine, ...]:
    """Run what the search asks for, all lines at once, until it asks for nothing.

    Raises
    ------
    InputError
        If the axis has values that are no numbers, or a condition cannot be judged
        for want of a price or the like.
    """
    lines = lines_of(session.spec, session.points)
    waiting = list(lines)
    while waiting:
        asked = [(line, i) for line in waiting for i in line.asked]
        rows = session.rows(line.points[i] for line, i in asked)
        found = {row.point.number: row for row in rows}
        for line, i in asked:
            row = found.get(line.points[i].number)
            if row is not None:
                _refuse_unpriced(session.spec, line.conditions, row)
                line.rows[i] = row
        # A session that runs nothing leaves rows out: such a line stays where it is.
        stuck = {id(ln) for ln, i in asked if i not in ln.rows}
        waiting = [line for line in waiting if line.asked and id(line) not in stuck]
    return lines


def lines_of(spec: StudySpec, points: Sequence[StudyPoint]) -> tuple[SearchLine, ...]:
    """Group the points of a study into lines along the axis of its search."""
    asked = spec.file.search
    assert asked is not None
    key = asked.minimise if asked.minimise is not None else asked.maximise
    assert key is not None
    conditions = tuple(map(parse_constraint, spec.conditions))
    moving = next(axis.columns for axis in spec.axes if key in axis.columns)
    groups: dict[str, list[tuple[float, StudyPoint]]] = {}
    for point in points:
        others = {k: v for k, v in point.values.items() if k not in moving}
        number = _position(spec, point, key)
        groups.setdefault(repr(others), []).append((number, point))
    lines = []
    for group in groups.values():
        group.sort(key=lambda pair: pair[0], reverse=asked.maximise is not None)
        positions, members = zip(*group, strict=True)
        lines.append(SearchLine(spec, key, members, positions, conditions))
    return tuple(lines)


def _position(spec: StudySpec, point: StudyPoint, key: str) -> float:
    """Return the value of the axis as a number; a factor as it is."""
    value, steps = point.values[key], parse_path(key)
    if any(setting.scales and setting.steps == steps for setting in point.settings):
        assert isinstance(value, (int, float))
        return value
    try:
        return read_number(key, value)
    except ValueError:
        rule = f"searches among numbers, and an axis of it has {shorten(value)}"
        side = "minimise" if spec.file.search and spec.file.search.minimise else None
        at = f"search.{side or 'maximise'}"
        raise InputError.single(spec.where, at, key, rule) from None


def _refuse_unpriced(
    spec: StudySpec, conditions: Sequence[Constraint], row: StudyRow
) -> None:
    """Refuse conditions on columns that are empty for want of a price or the like."""
    if row.status != "feasible":
        return
    for condition in conditions:
        if condition.holds(row.values) is None:
            reason = why_empty(spec, row.point, row.values).get(condition.column)
            if reason is not None:
                rule = f"cannot be judged: {reason}"
                raise InputError.single(spec.where, "subject_to", str(condition), rule)


def lines_from(spec: StudySpec, rows: Sequence[StudyRow]) -> tuple[SearchLine, ...]:
    """Return the lines of a search that has been run, from the rows of its study."""
    lines = lines_of(spec, [row.point for row in rows])
    found = {row.point.number: row for row in rows if row.status != "implied"}
    for line in lines:
        numbers = [point.number for point in line.points]
        line.rows.update(
            (i, found[number]) for i, number in enumerate(numbers) if number in found
        )
    return lines
