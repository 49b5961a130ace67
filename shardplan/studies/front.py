"""The front of a study: the points that no other point beats.

Constraints come first: a point that misses one, or of which a constraint cannot be
judged because a column is empty, is on no front and dominates nobody. A point
dominates another if it is as good in every goal and better in one; so points with
the same values are on the front together.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from shardplan.errors import Fault, InputError
from shardplan.io.wording import suggest
from shardplan.studies.columns import COLUMNS
from shardplan.studies.constraints import parse_constraint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shardplan.records.study import StudyFile
    from shardplan.studies.constraints import Constraint
    from shardplan.studies.study import Study, StudyRow


class Valued(Protocol):
    """What a front is made of: something with the values of its columns."""

    @property
    def values(self) -> Mapping[str, Any]:
        """Values by the names of columns; None where there is none."""
        ...


R = TypeVar("R", bound=Valued)


@dataclass(frozen=True, slots=True)
class Goal:
    """A column and which of its values are good.

    Attributes
    ----------
    sense : str
        ``min`` or ``max``.
    """

    column: str
    sense: str

    def cost(self, values: Mapping[str, Any]) -> float | None:
        """Return the value so that less is better; None if there is no number."""
        value = values.get(self.column)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if not math.isfinite(value):
            return None
        return -float(value) if self.sense == "max" else float(value)


@dataclass(frozen=True, slots=True)
class Miss:
    """By how much a row misses a constraint.

    Attributes
    ----------
    share : float
        Distance from the constraint's value over that value, or the distance itself
        if the value is 0; infinite for texts.
    """

    constraint: Constraint
    share: float


@dataclass(frozen=True, slots=True)
class NearMiss(Generic[R]):
    """A row that some constraints keep from the front.

    Attributes
    ----------
    misses : tuple of Miss
        In the order of the constraints.
    joins : bool
        Whether it would be on the front if the constraints allowed it.
    """

    row: R
    misses: tuple[Miss, ...]
    joins: bool

    @property
    def share(self) -> float:
        """Return the largest share by which it misses a constraint."""
        return max(miss.share for miss in self.misses)


@dataclass(frozen=True, slots=True)
class Dominated(Generic[R]):
    """A row that meets the constraints, and one of the front that beats it."""

    row: R
    by: R


@dataclass(frozen=True, slots=True)
class Front(Generic[R]):
    """The rows that no other one beats, and why the others are not among them.

    Attributes
    ----------
    goals : tuple of Goal
        One or two.
    rows : tuple
        The front, best in the first goal first; equals in the order they came.
    knee : row or None
        Of a front of two goals with three points or more, the row that is farthest
        from the line between its ends, both goals scaled to the front's range.
    near : tuple of NearMiss
        Rows that miss a constraint: those that would be on the front first, then by
        the share they miss by, then by their goals.
    dominated : tuple of Dominated
        In the order they came.
    unjudged : tuple
        Feasible rows without a value of a goal or of a constraint's column.
    """

    goals: tuple[Goal, ...]
    constraints: tuple[Constraint, ...]
    rows: tuple[R, ...]
    knee: R | None
    near: tuple[NearMiss[R], ...]
    dominated: tuple[Dominated[R], ...]
    unjudged: tuple[R, ...]


def study_front(
    study: Study, x: str | None = None, y: str | None = None
) -> Front[StudyRow]:
    """Find the front of a study, subject to all its conditions.

    Parameters
    ----------
    x, y : str, optional
        Columns instead of those of the file; see `study_goals`.

    Raises
    ------
    InputError
        If a column is unknown or has no better end.
    """
    file = study.spec.file
    constraints = [parse_constraint(rule) for rule in study.spec.conditions]
    return find_front(study.rows, study_goals(file, x, y), constraints)


def study_goals(
    file: StudyFile, x: str | None = None, y: str | None = None
) -> tuple[Goal, ...]:
    """Choose the goals of a study's front.

    Parameters
    ----------
    x, y : str, optional
        Columns instead of those that the file names under [pareto] or [codesign].
        Without any, they are price, or hosts where there are no prices, and
        throughput.

    Raises
    ------
    InputError
        If a column is unknown or has no better end.
    """
    names = list(_named(file)[:2])
    if x is not None:
        names[0] = x
    if y is not None:
        names[1:] = [y]
    faults = [fault for name in names if (fault := _fault(name)) is not None]
    if faults:
        raise InputError(faults)
    return tuple(Goal(name, str(COLUMNS[name].sense)) for name in dict.fromkeys(names))


def _named(file: StudyFile) -> tuple[str, ...]:
    """Return the columns that a file is about."""
    if file.pareto is not None:
        return (file.pareto.x, file.pareto.y)
    if file.codesign is not None:
        return (*file.codesign.minimise, *file.codesign.maximise)
    priced = any(price.per_host_hour is not None for price in file.prices.values())
    return ("cost_per_hour" if priced else "hosts", "throughput_samples_per_s")


def _fault(name: str) -> Fault | None:
    """Say why a column is no goal."""
    column = COLUMNS.get(name)
    if column is None:
        rule = f"is no column of results{suggest(name, COLUMNS)}"
    elif column.sense is None:
        known = ", ".join(c.name for c in COLUMNS.values() if c.sense is not None)
        rule = f"has no better end; a goal is one of {known}"
    else:
        return None
    return Fault("goal", "", name, rule)


def find_front(
    rows: Sequence[R], goals: Sequence[Goal], constraints: Sequence[Constraint] = ()
) -> Front[R]:
    """Find the front of the feasible ones among `rows`.

    Notes
    -----
    Sorted by the first goal, a row is on the front if its second goal is better than
    that of all rows before it (Kung, Luccio and Preparata 1975, On Finding the Maxima
    of a Set of Vectors, JACM 22(4)): O(n log n).
    """
    met: list[R] = []
    missed: list[tuple[R, tuple[Miss, ...]]] = []
    unjudged: list[R] = []
    for row in rows:
        if row.values.get("status") != "feasible":
            continue
        costs = [goal.cost(row.values) for goal in goals]
        holds = [constraint.holds(row.values) for constraint in constraints]
        if None in costs or None in holds:
            unjudged.append(row)
        elif all(holds):
            met.append(row)
        else:
            missed.append((row, _misses(row.values, constraints, holds)))
    best = _Best(met, goals)
    near = [NearMiss(row, misses, best.rival(row) is None) for row, misses in missed]
    near.sort(key=lambda m: (not m.joins, m.share, best.place(m.row)))
    rivals = [(row, best.rival(row)) for row in met]
    return Front(
        goals=tuple(goals),
        constraints=tuple(constraints),
        rows=tuple(best.rows),
        knee=best.knee(),
        near=tuple(near),
        dominated=tuple(Dominated(r, by) for r, by in rivals if by is not None),
        unjudged=tuple(unjudged),
    )


def _misses(
    values: Mapping[str, Any],
    constraints: Sequence[Constraint],
    holds: Sequence[bool | None],
) -> tuple[Miss, ...]:
    """Return how far values are from the constraints that they miss."""
    found = []
    for constraint, held in zip(constraints, holds, strict=True):
        if not held:
            slack = constraint.slack(values)
            found.append(Miss(constraint, math.inf if slack is None else -slack))
    return tuple(found)


class _Best(Generic[R]):
    """A front, ready to be asked who dominates a row.

    A front of one goal is one of two, of which the second is the same for all.
    """

    def __init__(self, rows: Sequence[R], goals: Sequence[Goal]) -> None:
        self.goals = goals
        self.rows: list[R] = []
        self.places: list[tuple[float, float]] = []
        for place, _, row in sorted(
            (self.place(row), number, row) for number, row in enumerate(rows)
        ):
            if not self.places or place == self.places[-1]:
                is_best = True
            else:
                is_best = place[1] < self.places[-1][1]
            if is_best:
                self.rows.append(row)
                self.places.append(place)

    def place(self, row: R) -> tuple[float, float]:
        """Return the two goals of a row so that less is better."""
        costs = [goal.cost(row.values) or 0.0 for goal in self.goals]
        return (costs[0], costs[1] if len(costs) > 1 else 0.0)

    def rival(self, row: R) -> R | None:
        """Return the row of the front that dominates a row; None if none does.

        Of those that are as good in the first goal, the last is best in the second.
        """
        x, y = place = self.place(row)
        at = bisect_right(self.places, (x, math.inf)) - 1
        if at < 0 or self.places[at][1] > y or self.places[at] == place:
            return None
        return self.rows[at]

    def knee(self) -> R | None:
        """Return the row farthest from the line between the ends."""
        if len(set(self.places)) < 3:
            return None
        (x0, y0), (x1, y1) = self.places[0], self.places[-1]
        # On the line the sum of the scaled goals is 1; below it is better.
        sums = [(x - x0) / (x1 - x0) + (y - y1) / (y0 - y1) for x, y in self.places]
        least = min(sums)
        return self.rows[sums.index(least)] if least < 1.0 - 1e-9 else None
