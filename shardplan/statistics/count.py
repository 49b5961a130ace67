"""Count a part of a log, block by block."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import reduce
from operator import add, or_
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.errors import Fault
from shardplan.statistics.days import DayRows, day_labels
from shardplan.statistics.hot_rows import HotRows
from shardplan.statistics.ids import Ids, column_ids, in_range
from shardplan.statistics.log_files import name_of, read_part
from shardplan.statistics.tally import Keeping, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from shardplan.records.arrays import Bools, Ints
    from shardplan.records.log_mapping import LogMapping, LogTable
    from shardplan.statistics.formats.piece import Damage
    from shardplan.statistics.log_files import Part

BLOCK = 1 << 17
"""Samples that are counted at a time; gaps between lookups within are exact."""
KEPT_ROWS = 1 << 21
"""Rows of all tables together that are drawn at most, besides as many hot ones."""
_TEXT = (
    "is no whole number of 64 bits: for text, name the hash function of the training "
    "job in the mapping"
)
_LEAST_KEPT, _MOST_KEPT = 1 << 14, 1 << 19
_BLOCKS_AT_ONCE = 4
"""Blocks whose rows are merged by one sort: half of a part of Parquet files, for memory
where there are many tables."""


@dataclass(eq=False)
class PartStatistics:
    """What was counted of a part of a log; those of consecutive parts add up.

    Attributes
    ----------
    tallies : dict of table name to Tally
    together : int array of shape (T, T)
        Samples that look up both of two tables.
    unreadable : Counter of table name
    damaged : list of Damage
    numbers : set of str
        Columns with an id that can be read.
    texts : dict of column to Fault
        The first text of columns, where no id of a block is a number.
    days : dict of table name to DayRows
        Empty if the mapping has no days.
    """

    tallies: dict[str, Tally]
    together: Ints
    unreadable: Counter[str] = field(default_factory=Counter)
    damaged: list[Damage] = field(default_factory=list)
    numbers: set[str] = field(default_factory=set)
    texts: dict[str, Fault] = field(default_factory=dict)
    days: dict[str, DayRows] = field(default_factory=dict)

    @classmethod
    def none(cls, mapping: LogMapping) -> PartStatistics:
        """Return the statistics of nothing."""
        keep = kept_rows(len(mapping.tables))
        tallies = {table.name: Tally.none(keep) for table in mapping.tables}
        size = len(mapping.tables)
        return cls(tallies, np.zeros((size, size), dtype=np.int64))

    @classmethod
    def sum(cls, parts: Sequence[PartStatistics]) -> PartStatistics:
        """Return the statistics of consecutive parts together, at least one."""
        names = parts[0].tallies
        return cls(
            {name: Tally.sum([part.tallies[name] for part in parts]) for name in names},
            reduce(add, (part.together for part in parts)),
            reduce(add, (part.unreadable for part in parts)),
            [damage for part in parts for damage in part.damaged],
            reduce(or_, (part.numbers for part in parts)),
            reduce(or_, (part.texts for part in reversed(parts))),
            cls._days(parts),
        )

    @staticmethod
    def _days(parts: Sequence[PartStatistics]) -> dict[str, DayRows]:
        none = DayRows(kept_rows(len(parts[0].tallies)), 0, {})
        names = dict.fromkeys(name for part in parts for name in part.days)
        each = {name: [part.days.get(name, none) for part in parts] for name in names}
        return {name: reduce(add, days) for name, days in each.items()}

    def __add__(self, later: PartStatistics) -> PartStatistics:
        """Return the statistics of this part and the next one."""
        return self.sum((self, later))


def kept_rows(num_tables: int) -> int:
    """Return how many rows of each table are kept one by one."""
    return max(_LEAST_KEPT, min(_MOST_KEPT, KEPT_ROWS // num_tables))


class KeptRows:
    """Which rows of all tables are kept; what is counted makes it known better.

    Parameters
    ----------
    mapping : LogMapping
    hot : dict of table name to HotRows, optional
    levels : dict of table name to int, optional
        That the samples of the whole log are known to have at least.
    """

    def __init__(
        self,
        mapping: LogMapping,
        hot: Mapping[str, HotRows] | None = None,
        levels: Mapping[str, int] | None = None,
    ) -> None:
        self._most = kept_rows(len(mapping.tables))
        self._hot = hot or {}
        self.levels: Counter[str] = Counter(levels or {})

    def of(self, table: str) -> Keeping:
        """Return what is kept of a table."""
        hot = self._hot.get(table, HotRows.none())
        return Keeping(self._most, hot, self.levels[table])

    def learn(self, found: PartStatistics) -> None:
        """Take note of a part of the log: the level of the whole is no lower."""
        for name, tally in found.tallies.items():
            self.levels[name] = max(self.levels[name], tally.sample.level)


def folded(
    parts: Iterable[PartStatistics],
    mapping: LogMapping,
    kept: KeptRows,
    at_once: int = 2,
) -> PartStatistics:
    """Add parts up in their order, `at_once` of equal size at a time.

    A sum of large and small parts costs as much as one of large ones.
    """
    sizes: list[list[PartStatistics]] = []
    for part in parts:
        total = part
        for waiting in sizes:
            waiting.append(total)
            if len(waiting) < at_once:
                break
            total = PartStatistics.sum(waiting)
            kept.learn(total)
            waiting.clear()
        else:
            sizes.append([total])
    left = [part for waiting in reversed(sizes) for part in waiting]
    if len(left) == 1:
        return left[0]
    return PartStatistics.sum(left) if left else PartStatistics.none(mapping)


def count_part(part: Part, mapping: LogMapping, kept: KeptRows) -> PartStatistics:
    """Count a part of a log whose samples are in order."""
    damaged: list[Damage] = []
    found = count_tables(read_part(part, mapping, damaged), mapping, kept)
    found.damaged += damaged
    return found


def _blocks(tables: Iterable[Any]) -> Iterator[Any]:
    """Cut and join tables to BLOCK samples each, but for the last of each schema."""
    import pyarrow as pa

    waiting: list[Any] = []
    size = 0
    for table in tables:
        if size and table.schema != waiting[0].schema:
            yield pa.concat_tables(waiting)
            waiting, size = [], 0
        waiting.append(table)
        size += table.num_rows
        if size >= BLOCK:
            whole = pa.concat_tables(waiting)
            for start in range(0, size - BLOCK + 1, BLOCK):
                yield whole.slice(start, BLOCK)
            waiting, size = [whole.slice(size - size % BLOCK)], size % BLOCK
    if size:
        yield pa.concat_tables(waiting)


def count_tables(
    tables: Iterable[Any], mapping: LogMapping, kept: KeptRows
) -> PartStatistics:
    """Count samples that are in order, however they are cut into tables."""
    counted = (_count_block(block, mapping, kept) for block in _blocks(tables))
    return folded(counted, mapping, kept, _BLOCKS_AT_ONCE)


def _count_block(block: Any, mapping: LogMapping, kept: KeptRows) -> PartStatistics:
    """Count a block: its features by table, and which tables samples look up."""
    where = name_of(block)
    tallies, present = {}, []
    unreadable: Counter[str] = Counter()
    numbers: set[str] = set()
    texts: dict[str, Fault] = {}
    days: dict[str, DayRows] = {}
    labels = None
    if name := mapping.day_column:
        labels = day_labels(block[name].combine_chunks(), mapping, where)
    for table in mapping.tables:
        rows, keeping = table.num_embeddings, kept.of(table.name)
        ids = ids_by_column(block, mapping, table)
        for column, own in ids.items():
            if len(own.ids):
                numbers.add(column)
            if own.text:
                texts[column] = Fault(where, column, own.text, _TEXT)
        found = _joined(list(ids.values()))
        unreadable[table.name] += found.unreadable
        found, others = in_range(found, rows)
        tally = Tally.of(found.ids, found.lengths, rows, keeping, others)
        tallies[table.name] = tally
        present.append(found.lengths > 0)
        if labels is not None:
            most = keeping.most
            days[table.name] = DayRows.of(*labels, found.ids, found.lengths, most)
    together = _together(np.stack(present))
    return PartStatistics(
        tallies, together, unreadable, numbers=numbers, texts=texts, days=days
    )


def ids_by_column(block: Any, mapping: LogMapping, table: LogTable) -> dict[str, Ids]:
    """Return the lookups of a table in some samples."""
    where, rows = name_of(block), table.num_embeddings
    features = {f.column: f for f in mapping.features if f.table == table.name}
    return {
        column: column_ids(block[column].combine_chunks(), feature, rows, where)
        for column, feature in features.items()
    }


def _together(present: Bools) -> Ints:
    """Return how many samples look up both of two tables.

    Parameters
    ----------
    present : bool array of shape (T, S)
    """
    alone = present.sum(axis=1)
    # Where all samples look up one of the tables, both are as many as the other's.
    together: Ints = np.minimum.outer(alone, alone)
    varies = np.flatnonzero(alone < present.shape[1])
    some = present[varies].astype(np.float32)
    together[np.ix_(varies, varies)] = np.rint(some @ some.T)
    return together


def _joined(found: list[Ids]) -> Ids:
    """Put the lookups of several features in the order of their samples."""
    if len(found) == 1:
        return found[0]
    sample = np.concatenate(
        [np.repeat(np.arange(len(f.lengths)), f.lengths) for f in found]
    )
    ids = np.concatenate([each.ids for each in found])
    lengths = np.sum([each.lengths for each in found], axis=0)
    unreadable = sum(each.unreadable for each in found)
    return Ids(ids[np.argsort(sample, kind="stable")], lengths, unreadable)
