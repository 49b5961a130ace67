"""Conditions on the columns of a study, such as ``hbm_fill <= 0.9``."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shardplan.errors import shorten
from shardplan.io.wording import suggest
from shardplan.studies.columns import COLUMNS
from shardplan.units import Dimension, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shardplan.studies.columns import StudyColumn

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
}
_RULE = re.compile(r"\s*(.+?)\s*(<=|>=|==|!=|<|>)\s*(.+?)\s*", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9][0-9_]*(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_DIMENSIONS = {
    "s": Dimension.SECONDS,
    "bytes": Dimension.BYTES,
    "bytes/s": Dimension.BANDWIDTH,
    "1": Dimension.FRACTION,
}
"""Of units; everything else is counted: ``1.5 M``."""


SHARES = ("link_busy", "hbm_fill", "ddr_fill", "ssd_fill", "goodput")
"""Columns that are never above 1: who compares them with 90 means 90 %."""


@dataclass(frozen=True)
class Constraint:
    """A column, a comparison, and what it is compared with.

    Attributes
    ----------
    column : str
    op : str
        One of `OPERATORS`.
    value : float, str or bool
        In the column's unit.
    text : str
        As it was written.
    """

    column: str
    op: str
    value: float | str | bool
    text: str

    def holds(self, row: Mapping[str, Any]) -> bool | None:
        """Tell whether the values of a row meet it; None where the column is empty."""
        found = row.get(self.column)
        return None if found is None else bool(OPERATORS[self.op](found, self.value))

    def slack(self, row: Mapping[str, Any]) -> float | None:
        """Return how far inside a row is, as a share of the value; below 0 outside.

        None where the column is empty, or is no number.
        """
        found, value = row.get(self.column), self.value
        if isinstance(value, (str, bool)) or not isinstance(found, (int, float)):
            return None
        more = float((found - value) / (abs(value) or 1.0))
        if self.op in ("<=", "<"):
            return -more
        if self.op in (">=", ">"):
            return more
        return -abs(more) if self.op == "==" else abs(more)

    def __str__(self) -> str:
        """Return the text as it was written."""
        return self.text


def parse_constraint(
    text: str, columns: Mapping[str, StudyColumn] = COLUMNS
) -> Constraint:
    """Read a condition: a column, a comparison and a value.

    Parameters
    ----------
    text : str
        Such as ``step_time_s <= 10 ms``, ``hbm_fill < 90 %`` or ``status == feasible``.
    columns : mapping of str to StudyColumn
        The columns that there are.

    Raises
    ------
    ValueError
        If it is none, or its column or value cannot be.
    """
    match = _RULE.fullmatch(text)
    if match is None:
        raise ValueError(
            f"must be COLUMN OPERATOR VALUE with one of {' '.join(OPERATORS)}"
        )
    name, op, value = match.groups()
    column = columns.get(name)
    if column is None:
        near = suggest(name, columns) or f"; known: {', '.join(columns)}"
        raise ValueError(f"{shorten(name)} is no column{near}")
    if column.kind in ("text", "flag") and op not in ("==", "!="):
        raise ValueError(f"{name} is no number: compare it with == or !=")
    return Constraint(name, op, _read(value, column), text)


def _read(text: str, column: StudyColumn) -> float | str | bool:
    """Read a value for a column."""
    if column.kind == "flag":
        if text not in ("true", "false"):
            raise ValueError(f"{column.name} is true or false, not {shorten(text)}")
        return text == "true"
    if column.kind == "text":
        return text.strip("\"'")
    if _NUMBER.fullmatch(text):
        number = float(text.replace("_", ""))
        if column.name in SHARES and number > 1.0:
            rule = f"write {number / 100.0:g} or {number:g} %"
            raise ValueError(f"{column.name} is a share from 0 to 1: {rule}")
        return number
    dimension = _DIMENSIONS.get(column.unit, Dimension.COUNT)
    try:
        return float(parse_quantity(text, dimension))
    except ValueError as error:
        raise ValueError(f"{column.name}: {error}") from None
