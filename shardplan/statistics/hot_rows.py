"""The hottest rows of a log, with bounds of their lookups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Ints


@dataclass(frozen=True, eq=False)
class HotRows:
    """Rows with the most lookups; those of several parts of a log merge.

    A row that is kept has between `counts` and ``counts + missed`` lookups, any other
    at most `missed`.

    Attributes
    ----------
    most : int
        Rows to keep.
    rows, counts : int arrays of shape (H,)
        Ascending rows.
    missed : int
        Lookups that a row can have had while it was not kept.

    References
    ----------
    Agarwal, Cormode, Huang, Phillips, Wei, Yi 2013, Mergeable Summaries, ACM TODS 38(4)
    (why errors of such summaries add up and no more).
    """

    most: int
    rows: Ints
    counts: Ints
    missed: int

    @classmethod
    def of(cls, rows: Ints, counts: Ints, most: int, missed: int = 0) -> Self:
        """Keep the hottest of distinct rows, ascending; of equals the first."""
        if len(rows) > most:
            order = np.lexsort((rows, -counts))
            missed += int(counts[order[most]])
            kept = np.sort(order[:most])
            rows, counts = rows[kept], counts[kept]
        return cls(most, rows, counts, missed)

    def __add__(self, other: Self) -> Self:
        """Return the hottest rows of both parts together."""
        rows, place = np.unique(
            np.concatenate((self.rows, other.rows)), return_inverse=True
        )
        counts = np.zeros(len(rows), dtype=np.int64)
        np.add.at(counts, place, np.concatenate((self.counts, other.counts)))
        return self.of(rows, counts, self.most, self.missed + other.missed)

    def sure(self, error: float) -> tuple[Ints, Ints]:
        """Return rows whose lookups are known within a relative error, ascending."""
        known = self.counts * error >= self.missed
        return self.rows[known], self.counts[known]
