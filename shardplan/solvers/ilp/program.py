"""Variables and rows of an integer program, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False, slots=True)
class Variable:
    """A column.

    Attributes
    ----------
    index : int
        Its place in a solution.
    """

    index: int
    name: str
    lower: float
    upper: float
    is_integer: bool


Terms = list[tuple[Variable, float]]


class Row(NamedTuple):
    """lower <= sum of the terms <= upper."""

    name: str
    terms: Terms
    lower: float
    upper: float


@dataclass
class Program:
    """A linear objective to minimise, and what limits it.

    Attributes
    ----------
    variables : list of Variable
    objective : list of (Variable, factor)
    rows : list of Row
    accuracy : float
        Values may be off by this share of themselves, so that a solution as near the
        bound is as good as any.
    """

    variables: list[Variable] = field(default_factory=list)
    objective: Terms = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    accuracy: float = 0.0

    def add(self, name: str, upper: float, *, is_integer: bool = True) -> Variable:
        """Add a variable from 0 to a most."""
        variable = Variable(len(self.variables), name, 0.0, upper, is_integer)
        self.variables.append(variable)
        return variable

    def matrix(self) -> csr_array:
        """Return the factors: rows times variables."""
        terms = [term for row in self.rows for term in row.terms]
        column = np.array([variable.index for variable, _ in terms], dtype=np.int32)
        value = np.array([factor for _, factor in terms], dtype=np.float64)
        start = np.cumsum([0, *(len(row.terms) for row in self.rows)], dtype=np.int32)
        shape = (len(self.rows), len(self.variables))
        return csr_array((value, column, start), shape=shape)
