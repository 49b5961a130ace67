"""A study with its results: rows of points, as a table and as data frames."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError
from shardplan.records.brief import Brief
from shardplan.studies.columns import COLUMNS, StudyColumn, axis_column
from shardplan.studies.constraints import parse_constraint
from shardplan.studies.expand import axis_names
from shardplan.studies.front import study_front
from shardplan.units import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from shardplan.studies.front import Front
    from shardplan.studies.point import StudyPoint
    from shardplan.studies.spec import StudySpec


@dataclass(frozen=True, slots=True)
class StudyRow:
    """A finished point.

    Attributes
    ----------
    point : StudyPoint
    values : dict of str to object
        Axes, results, and what follows from them; None where there is nothing to say.
    """

    point: StudyPoint
    values: Mapping[str, Any]

    @property
    def status(self) -> str:
        """``feasible``, ``infeasible``, ``not_found``, ``error`` or ``implied``."""
        return str(self.values["status"])


def make_row(
    spec: StudySpec, point: StudyPoint, results: Mapping[str, Any]
) -> StudyRow:
    """Join the axes of a point, its results, and what the study says of money.

    An axis such as ``hosts`` keeps its value where there is no result of that name.
    """
    values = dict(point.values)
    if spec.file.prices or spec.file.failures:
        from shardplan.studies.derived import derive

        results = {**results, **derive(spec, point, results)}
    for name in COLUMNS:
        found = results.get(name)
        if found is not None or name not in values:
            values[name] = found
    return StudyRow(point, values)


@dataclass(frozen=True, eq=False, repr=False)
class Study(Brief):
    """What is known of a study.

    Attributes
    ----------
    spec : StudySpec
    rows : tuple of StudyRow
        Finished points in the order of the file.
    missing : tuple of StudyPoint
        Points without a result: not run, or lost.
    lost : dict of int to str
        Why points of the last run have none, by number.
    """

    spec: StudySpec
    rows: tuple[StudyRow, ...]
    missing: tuple[StudyPoint, ...] = ()
    lost: Mapping[int, str] = field(default_factory=dict)

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        return {
            "name": self.spec.file.name,
            "points": plural(self.num_points, "point"),
            **{status: f"{n:,} {status}" for status, n in self.counts.items()},
            "missing": f"{self.num_points - len(self.rows):,} missing",
        }

    @property
    def num_points(self) -> int:
        """How many points there are in the end: a co-design chooses them as it runs."""
        codesign = self.spec.file.codesign
        return codesign.points if codesign else len(self.rows) + len(self.missing)

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each status that occurs, in the order in which they come."""
        return dict(Counter(row.status for row in self.rows))

    @property
    def columns(self) -> tuple[StudyColumn, ...]:
        """Axes in the order of the file, then results."""
        return table_columns(self.spec, (row.values for row in self.rows))

    def best(self, column: str | None = None) -> StudyRow | None:
        """Return the row that is best in a column; None if none can be.

        The column is by default the first objective of a co-design, else throughput.
        Of those that have a plan and meet all conditions; the first of equal ones.

        Raises
        ------
        InputError
            For a column that has no better end.
        """
        if column is None:
            codesign = self.spec.file.codesign
            goals = (*codesign.minimise, *codesign.maximise) if codesign else ()
            column = next(iter(goals), "throughput_samples_per_s")
        sense = COLUMNS[column].sense if column in COLUMNS else None
        if sense is None:
            known = ", ".join(name for name, c in COLUMNS.items() if c.sense)
            rule = f"has no better end; these have: {known}"
            raise InputError.single("study", "column", column, rule)
        rules = [parse_constraint(text) for text in self.spec.conditions]
        rows = [
            row
            for row in self.rows
            if row.values["feasible"] and row.values[column] is not None
            if all(rule.holds(row.values) for rule in rules)
        ]
        choose = max if sense == "max" else min
        return choose(rows, key=lambda row: row.values[column], default=None)

    def pareto(self, x: str | None = None, y: str | None = None) -> Front[StudyRow]:
        """Return the points that no other one beats; see `front.study_front`."""
        return study_front(self, x, y)

    def to_frame(self) -> pd.DataFrame:
        """One row per finished point; ``attrs["units"]`` has the unit of a column."""
        import pandas as pd

        columns = self.columns
        frame = pd.DataFrame(
            {c.name: [row.values[c.name] for row in self.rows] for c in columns},
            index=pd.Index([row.point.number for row in self.rows], name="point"),
        )
        frame.attrs["units"] = {column.name: column.unit for column in columns}
        return frame


def table_columns(
    spec: StudySpec, rows: Iterable[Mapping[str, Any]]
) -> tuple[StudyColumn, ...]:
    """Return the columns of a study: its axes as what they hold, then results."""
    rows = list(rows)
    factors = {
        setting.path
        for axis in spec.axes
        for setting in axis.choices[0].settings
        if setting.scales and setting.path in axis.columns
    }
    axes = axis_names(spec)
    named = [
        axis_column(name, [row[name] for row in rows], scales=name in factors)
        for name in axes
    ]
    return (*named, *(c for name, c in COLUMNS.items() if name not in axes))
