"""A first look at some samples of a log, which finds rows that are hot."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.statistics.count import ids_by_column, kept_rows
from shardplan.statistics.hot_rows import HotRows
from shardplan.statistics.ids import in_range
from shardplan.statistics.log_files import read_part
from shardplan.statistics.lookups import counts_together

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from shardplan.records.arrays import Ints
    from shardplan.records.log_mapping import LogMapping
    from shardplan.statistics.log_files import Part

_MOST_PARTS = 512
_SAMPLES = 1 << 15
"""Samples at the start of each of these parts."""
_AT_ONCE = 1 << 22
"""Lookups of all tables that are in memory at a time."""
_MOST_KNOWN = 8
"""Rows that are counted at most, for each hot row that is wanted."""


def pilot_places(num_parts: int) -> list[int]:
    """Return the parts to look at: all, or as many as are enough, evenly spaced."""
    count = min(num_parts, _MOST_PARTS)
    return [k * num_parts // count for k in range(count)]


def find_hot_rows(parts: Sequence[Part], mapping: LogMapping) -> dict[str, HotRows]:
    """Return the hottest rows of each table at the start of some parts.

    Raises
    ------
    InputError
        If a file lacks a column, or has no ids there.
    """
    # As many as drawn ones: errors of access curves are then least for what is kept.
    most = kept_rows(len(mapping.tables))
    known = {table.name: _RowCounts.none() for table in mapping.tables}
    waiting: dict[str, list[Ints]] = {name: [] for name in known}
    size = 0
    for part in parts:
        for block in _first_samples(part, mapping):
            for table in mapping.tables:
                for found in ids_by_column(block, mapping, table).values():
                    ids = in_range(found, table.num_embeddings)[0].ids
                    waiting[table.name].append(ids)
                    size += len(ids)
        if size >= _AT_ONCE or part is parts[-1]:
            for name, ids_of in waiting.items():
                known[name] = known[name].plus(ids_of).hottest(_MOST_KNOWN * most)
                ids_of.clear()
            size = 0
    return {name: HotRows.of(*counts, most) for name, counts in known.items()}


def _first_samples(part: Part, mapping: LogMapping) -> Iterator[Any]:
    """Yield as many as are looked at; what is damaged is said when all is counted."""
    left = _SAMPLES
    for table in read_part(part, mapping, []):
        yield table.slice(0, left)
        left -= table.num_rows
        if left <= 0:
            return


class _RowCounts(NamedTuple):
    """Rows, ascending, and their lookups."""

    rows: Ints
    counts: Ints

    @classmethod
    def none(cls) -> _RowCounts:
        zeros = np.zeros(0, dtype=np.int64)
        return cls(zeros, zeros)

    def plus(self, more: Sequence[Ints]) -> _RowCounts:
        """Count some lookups more."""
        if not more:
            return self
        found = np.unique(np.concatenate(more), return_counts=True)
        return _RowCounts(*counts_together(self, found))

    def hottest(self, most: int) -> _RowCounts:
        """Return so many rows, of equals the first."""
        if len(self.rows) <= most:
            return self
        kept = np.sort(np.argsort(-self.counts, kind="stable")[:most])
        return _RowCounts(self.rows[kept], self.counts[kept])
