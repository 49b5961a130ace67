"""Rows that are kept one by one whatever else is: the hottest of a first look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.statistics.row_hash import row_hash

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.records.arrays import Bools, Ints

_ROOM = 4
"""Places for each row at least: most rows then have one of their own."""
_MARK_SHIFT = np.uint64(24)
"""A mark is 16 bits of a hash, those next to where the largest set finds its place."""


@dataclass(frozen=True, eq=False)
class HotRows:
    """A set of rows: those whose hash has the mark that is at its place.

    So a row in 65,536 that has a place of another is in the set as well.

    Attributes
    ----------
    marks : uint16 array of shape (P,)
        0 where no row has its place; P is a power of two.
    """

    marks: NDArray[np.uint16]

    @classmethod
    def none(cls) -> Self:
        """Return the empty set."""
        return cls(np.zeros(1, dtype=np.uint16))

    @classmethod
    def of(cls, rows: Ints, counts: Ints, most: int) -> Self:
        """Return the rows with most lookups, of those that have two and more.

        Of rows with the same place the hottest is taken.

        Parameters
        ----------
        rows, counts : int arrays of shape (U,)
            Distinct rows, ascending, and their lookups.
        most : int
            Rows to take.
        """
        order = np.argsort(counts, kind="stable")[max(0, len(rows) - most) :]
        hashes = row_hash(rows[order[counts[order] > 1]])
        marks = np.zeros(1 << (_ROOM * len(hashes)).bit_length(), dtype=np.uint16)
        # The last of equal places stays, which is the hottest.
        marks[_place(hashes, len(marks))] = _mark(hashes)
        return cls(marks)

    def has(self, hashes: Ints) -> Bools:
        """Tell which rows are in the set, by their `row_hash` of shape (N,)."""
        found: Bools = self.marks[_place(hashes, len(self.marks))] == _mark(hashes)
        return found


def _place(hashes: Ints, size: int) -> Ints:
    """Return the trailing bits; the leading ones decide about samples."""
    place: Ints = (hashes & np.uint64(size - 1)).astype(np.int64)
    return place


def _mark(hashes: Ints) -> NDArray[np.uint16]:
    """Return 1 to 65,535."""
    mark: NDArray[np.uint16] = (hashes >> _MARK_SHIFT).astype(np.uint16)
    np.maximum(mark, 1, out=mark)
    return mark
