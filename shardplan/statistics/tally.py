"""All that is counted of a table, block by block; parts of a log add up."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from shardplan.statistics.batches import AllBatches
from shardplan.statistics.gaps import Gaps
from shardplan.statistics.heat import Heat
from shardplan.statistics.hot_rows import HotRows
from shardplan.statistics.lengths import Lengths
from shardplan.statistics.lookups import sort_lookups
from shardplan.statistics.sampling import RowSample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.records.arrays import Ints


class Keeping(NamedTuple):
    """Which rows of a table to keep one by one.

    Attributes
    ----------
    most : int
        So many at most, besides the hot ones.
    hot : HotRows
    level : int
        That the sample of the whole log is known to have at least.
    """

    most: int
    hot: HotRows = HotRows.none()
    level: int = 0


@dataclass(frozen=True, eq=False)
class Tally:
    """Statistics of a table over a part of a log.

    Attributes
    ----------
    gaps : Gaps
        Between lookups of a row in the same block.
    block_rows : int
        Distinct rows, summed over blocks.
    out_of_range : int
        Lookups of rows that the table does not have; nothing else counts them.
    """

    lengths: Lengths
    gaps: Gaps
    block_rows: int
    sample: RowSample
    heat: Heat
    batches: AllBatches
    out_of_range: int

    @classmethod
    def none(cls, keep: int) -> Self:
        """Return the statistics of nothing, which keep so many rows."""
        empty = np.zeros(0, dtype=np.int64)
        return cls.of(empty, empty, 1, Keeping(keep))

    @classmethod
    def of(
        cls,
        ids: Ints,
        lengths: Ints,
        num_rows: int,
        keeping: Keeping,
        out_of_range: int = 0,
    ) -> Self:
        """Count a block of samples.

        Parameters
        ----------
        ids : int array of shape (N,)
            Rows that the table has, sample by sample.
        lengths : int array of shape (S,)
            Lookups of each sample; N in sum.
        num_rows : int
            Rows of the table.
        keeping : Keeping
            Which rows to keep.
        """
        found = sort_lookups(ids)
        return cls(
            Lengths.of(lengths),
            Gaps.of(found.gaps()),
            len(found.rows),
            RowSample.of(found, len(ids), *keeping),
            Heat.of(found.rows, found.counts, num_rows),
            AllBatches.of(found, ids, lengths),
            out_of_range,
        )

    @classmethod
    def sum(cls, parts: Sequence[Self]) -> Self:
        """Return the statistics of consecutive parts together.

        Rows are merged at once: their sums cost many times as much as others.
        """
        each = {f.name: [getattr(part, f.name) for part in parts] for f in fields(cls)}
        sample = RowSample.sum(each.pop("sample"))
        others = {name: reduce(add, found) for name, found in each.items()}
        return cls(sample=sample, **others)

    def __add__(self, later: Self) -> Self:
        """Return the statistics of this part and the next one."""
        return self.sum((self, later))

    @property
    def num_lookups(self) -> int:
        """Lookups of rows that the table has."""
        return self.lengths.total

    def inner_gaps(self) -> Gaps:
        """Return all gaps between lookups of a row, those between blocks as sampled."""
        hot, drawn = self.sample.gaps_across()
        return self.gaps + hot + drawn * self._each_drawn

    def border_gaps(self) -> Gaps:
        """Return the gaps of all rows to both ends of the log."""
        hot, drawn = self.sample.borders()
        return hot + drawn * self._each_drawn

    @property
    def _each_drawn(self) -> float:
        """How many rows a drawn one stands for.

        Notes
        -----
        Rows, summed over blocks, are known; they are rows seen and gaps between blocks,
        of both of which the sample has the same share, but for its own luck.
        """
        across = [int(gaps.counts.sum()) for gaps in self.sample.gaps_across()]
        num_hot = int(self.sample.is_hot.sum())
        hot, drawn = num_hot + across[0], len(self.sample.rows) - num_hot + across[1]
        return (self.block_rows - hot) / max(drawn, 1)
