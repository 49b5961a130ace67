"""The hottest rows of a log, with bounds of their lookups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.statistics.lookups import in_groups

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    @classmethod
    def sum(cls, parts: Sequence[Self]) -> Self:
        """Return the hottest rows of several parts together."""
        order, rows, new = in_groups(np.concatenate([part.rows for part in parts]))
        counts = np.concatenate([part.counts for part in parts])[order]
        starts = np.flatnonzero(new)
        total = np.add.reduceat(counts, starts) if len(starts) else counts
        missed = sum(part.missed for part in parts)
        return cls.of(rows[starts], total, parts[0].most, missed)

    def __add__(self, later: Self) -> Self:
        """Return the hottest rows of both parts together."""
        return self.sum((self, later))
