"""Some columns and rows of a study, in some order."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from shardplan.errors import Fault, InputError
from shardplan.io.wording import suggest
from shardplan.studies.constraints import parse_constraint
from shardplan.studies.expand import axis_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shardplan.studies.columns import StudyColumn
    from shardplan.studies.study import Study

ALL = "all"
"""The name that means all columns."""
_MAIN = (
    "status",
    "step_time_s",
    "throughput_samples_per_s",
    "bottleneck",
    "hbm_fill",
    "cost_per_hour",
)
"""Results that are shown unless columns are chosen: those that any row has."""
_WHERE = "study table"


@dataclass(frozen=True)
class Selection:
    """A table made from a study.

    Attributes
    ----------
    columns : tuple of StudyColumn
    rows : list of dict
        With at least these columns.
    """

    columns: tuple[StudyColumn, ...]
    rows: list[Mapping[str, Any]]

    @classmethod
    def of(
        cls,
        study: Study,
        names: Sequence[str] | None = None,
        sort: str | None = None,
        where: Iterable[str] = (),
    ) -> Self:
        """Choose columns and rows.

        Parameters
        ----------
        names : sequence of str, optional
            Columns, or ``all``; by default axes that vary, main results, and `sort`.
        sort : str, optional
            A column: best first, or smallest; rows where it is empty come last.
        where : iterable of str
            Rules that rows must meet.

        Raises
        ------
        InputError
            For unknown columns and rules that are none.
        """
        known = {column.name: column for column in study.columns}
        rows = [row.values for row in study.rows]
        problems = [
            _unknown("columns", name, known)
            for name in names or ()
            if name != ALL and name not in known
        ]
        if sort is not None and sort not in known:
            problems.append(_unknown("sort", sort, known))
        for text in where:
            try:
                rule = parse_constraint(text, known)
            except ValueError as error:
                problems.append(Fault(_WHERE, "where", repr(text), str(error)))
            else:
                rows = [row for row in rows if rule.holds(row)]
        if problems:
            raise InputError(problems)
        if sort is not None:
            rows = _sorted(rows, known[sort])
        if names is None:
            names = _main(axis_names(study.spec), [row.values for row in study.rows])
            names += [] if sort is None else [sort]
        chosen = list(known) if ALL in names else list(dict.fromkeys(names))
        return cls(tuple(known[name] for name in chosen), rows)

    def to_dict(self) -> dict[str, Any]:
        """Return columns and rows as JSON-able data."""
        names = [column.name for column in self.columns]
        return {
            "columns": [asdict(column) for column in self.columns],
            "rows": [{name: row[name] for name in names} for row in self.rows],
        }


def _unknown(option: str, name: str, known: Iterable[str]) -> Fault:
    names = list(known)
    near = suggest(name, names) or f"; known: {', '.join(names)}"
    return Fault(_WHERE, option, repr(name), f"unknown column{near}")


def _sorted(
    rows: list[Mapping[str, Any]], column: StudyColumn
) -> list[Mapping[str, Any]]:
    """Sort rows by a column, those where it is empty last."""
    name = column.name
    filled = [row for row in rows if row[name] is not None]
    if column.kind == "text":
        filled.sort(key=lambda row: str(row[name]))
    else:
        filled.sort(key=lambda row: row[name], reverse=column.sense == "max")
    return [*filled, *(row for row in rows if row[name] is None)]


def _main(axes: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the axes that vary, and the main results that there are."""
    varying = [name for name in axes if len({repr(row[name]) for row in rows}) > 1]
    filled = [name for name in _MAIN if any(row[name] is not None for row in rows)]
    return [*varying, *(filled or _MAIN)]
