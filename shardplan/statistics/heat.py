"""How evenly lookups are spread over blocks of rows and over classes modulo ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats, Ints

BLOCKS = 1024
"""Equal blocks of the rows of a table, in the order of ids."""
MODULUS = 20_160
"""Rows are counted by their id modulo this: every number of ranks that divides it, all
up to 10 and most up to 64 among them, has its classes as sums of these."""


@dataclass(frozen=True, eq=False)
class Heat:
    """Lookups by blocks and by classes; those of several parts of a log add up.

    Attributes
    ----------
    blocks : int array of shape (BLOCKS,)
    classes : int array of shape (MODULUS,)
    """

    blocks: Ints
    classes: Ints

    @classmethod
    def none(cls) -> Self:
        """Return that of no lookup."""
        return cls(np.zeros(BLOCKS, np.int64), np.zeros(MODULUS, np.int64))

    @classmethod
    def of(cls, rows: Ints, counts: Ints, num_rows: int) -> Self:
        """Sum lookups of distinct rows, ascending, of a table of `num_rows` rows."""
        edges = -(-np.arange(BLOCKS + 1) * num_rows // BLOCKS)
        until = np.append(0, np.cumsum(counts))[np.searchsorted(rows, edges)]
        # NumPy divides by one number several times faster than it takes a remainder.
        classes = rows - rows // MODULUS * MODULUS
        return cls(
            np.diff(until), np.bincount(classes, counts, MODULUS).astype(np.int64)
        )

    def __add__(self, other: Self) -> Self:
        """Return that of both parts."""
        return type(self)(self.blocks + other.blocks, self.classes + other.classes)

    def shares(self) -> Floats:
        """Return the share of the lookups of each block; zeros without lookups."""
        return self.blocks / max(int(self.blocks.sum()), 1)

    def modulo_skew(self, ranks: int) -> float:
        """Return the lookups of the hottest class modulo `ranks`, over their mean.

        1 without lookups; `ranks` divides `MODULUS`.
        """
        total = int(self.classes.sum())
        each = self.classes.reshape(-1, ranks).sum(axis=0)
        return float(each.max() * ranks / total) if total else 1.0
