"""Sparse rows of a linear program, collected before they are given to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike

    from shardplan.certify.highs import Highs
    from shardplan.records.arrays import Floats, Ints


class ProgramRows:
    """Rows of a program, at least something each, until all are given to it.

    Attributes
    ----------
    labels : list
        What each row stands for.
    """

    def __init__(self) -> None:
        self._least: list[Floats] = []
        self._most: list[Floats] = []
        self._terms: list[tuple[Ints, Ints, Floats]] = []
        self.labels: list[Hashable] = []

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def add(
        self,
        least: Floats,
        row: ArrayLike,
        column: ArrayLike,
        value: ArrayLike,
        *,
        equal: bool = False,
        labels: Sequence[Hashable] | None = None,
    ) -> int:
        """Add rows, with terms by their number among these; return the first's.

        Labels say what they stand for, by default their numbers.
        """
        first = len(self.labels)
        self.labels += range(first, first + len(least)) if labels is None else labels
        self._least.append(least)
        self._most.append(least if equal else np.full(len(least), np.inf))
        rows = first + np.asarray(row, dtype=np.int64)
        self._terms.append((rows, np.asarray(column), np.asarray(value, dtype=float)))
        return first

    def give(self, model: Highs, num_columns: int) -> None:
        """Add all rows to a model."""
        from scipy.sparse import csr_array

        row, column, value = (
            np.concatenate(part) for part in zip(*self._terms, strict=True)
        )
        shape = len(self.labels), num_columns
        matrix = csr_array((value, (row, column)), shape=shape)
        model.add_rows(np.concatenate(self._least), np.concatenate(self._most), matrix)
