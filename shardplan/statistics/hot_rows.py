"""The hottest rows of a log, with bounds of their lookups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.statistics.lookups import union

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
            least = np.partition(counts, len(counts) - most - 1)[len(counts) - most - 1]
            kept = counts > least
            equal = np.flatnonzero(counts == least)[: most - int(kept.sum())]
            kept[equal] = True
            missed += int(least)
            rows, counts = rows[kept], counts[kept]
        return cls(most, rows, counts, missed)

    def __add__(self, other: Self) -> Self:
        """Return the hottest rows of both parts together."""
        rows = union(self.rows, other.rows)
        counts = np.zeros(len(rows), dtype=np.int64)
        for part in (self, other):
            counts[np.searchsorted(rows, part.rows)] += part.counts
        return self.of(rows, counts, self.most, self.missed + other.missed)
