"""Lookups of sampled rows by day: the same rows on every day, so that days compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from shardplan.errors import InputError
from shardplan.statistics.ids import as_array
from shardplan.statistics.lookups import counts_together
from shardplan.statistics.row_hash import LEVELS, row_level, sampled

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from shardplan.records.arrays import Ints
    from shardplan.records.log_mapping import LogMapping

MOST_DAYS = 1000


@dataclass(frozen=True, eq=False)
class Day:
    """Lookups of a table on one day.

    Attributes
    ----------
    lookups : int
        Of all rows.
    rows, counts : int arrays of shape (U,)
        Ascending sampled rows, and their lookups.
    """

    lookups: int
    rows: Ints
    counts: Ints

    def plus(self, other: Day) -> Day:
        """Return the lookups of both parts of the day."""
        own, others = (self.rows, self.counts), (other.rows, other.counts)
        return Day(self.lookups + other.lookups, *counts_together(own, others))

    def at(self, level: int) -> Day:
        """Return only the rows of a level."""
        kept = sampled(self.rows, level)
        return Day(self.lookups, self.rows[kept], self.counts[kept])


@dataclass(frozen=True, eq=False)
class DayRows:
    """Exact lookups of sampled rows on every day; those of several parts add up.

    The level rises until all days together have at most `most` rows, so that it is that
    of the whole log, whatever its parts were.

    Attributes
    ----------
    most : int
        Rows to keep, one on two days counted twice.
    level : int
        A share of 2^-level of all rows is kept, the same on every day.
    days : dict of label to Day
    """

    most: int
    level: int
    days: dict[str, Day]

    @classmethod
    def of(
        cls, labels: Sequence[str], day: Ints, ids: Ints, lengths: Ints, most: int
    ) -> Self:
        """Count a block of samples.

        Parameters
        ----------
        labels : sequence of D str
        day : int array of shape (S,)
            Index of each sample's label, -1 for one without a day: left out.
        ids : int array of shape (N,)
            Rows, sample by sample.
        lengths : int array of shape (S,)
            Lookups of each sample.
        """
        each = np.repeat(day, lengths)
        days = {}
        for index, label in enumerate(labels):
            own = ids[each == index]
            days[label] = Day(len(own), *np.unique(own, return_counts=True))
        return cls(most, 0, days).fitting()

    def __add__(self, other: Self) -> Self:
        """Return those of both parts.

        Raises
        ------
        InputError
            If there are more days than logs have.
        """
        level = max(self.level, other.level)
        days = {label: day.at(level) for label, day in self.days.items()}
        for label, day in other.days.items():
            now = day.at(level)
            days[label] = days[label].plus(now) if label in days else now
        _require_few(days)
        return type(self)(self.most, level, days).fitting()

    def fitting(self) -> Self:
        """Return the part at the least level that leaves few enough rows."""
        if sum(len(day.rows) for day in self.days.values()) <= self.most:
            return self
        levels = [row_level(day.rows) for day in self.days.values()]
        count = np.bincount(np.concatenate(levels), minlength=LEVELS + 1)
        fits = np.flatnonzero(np.cumsum(count[::-1])[::-1] <= self.most)
        level = int(fits[0]) if len(fits) else LEVELS
        days = {label: day.at(level) for label, day in self.days.items()}
        return type(self)(self.most, level, days)


def day_labels(column: Any, mapping: LogMapping, where: str) -> tuple[list[str], Ints]:
    """Return the days of a column, and the index of each sample's.

    Parameters
    ----------
    column : pyarrow.Array of S whole numbers, dates, points in time or texts
    where : str
        How messages name the file.

    Returns
    -------
    labels : list of str
    day : int array of shape (S,)
        -1 for a sample without a day.

    Raises
    ------
    InputError
        If days of a length are asked of values that are no whole numbers, or there are
        more days than logs have.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(column.type) and not mapping.day_length:
        column = column.cast(pa.date32(), safe=False)
    try:
        if mapping.day_length:
            text = pa.types.is_binary(column.type)
            number = (column.cast(pa.string()) if text else column).cast(pa.int64())
            coded = pc.divide(number, mapping.day_length).dictionary_encode()
        else:
            coded = column.cast(pa.string()).dictionary_encode()
    except pa.ArrowException as error:
        rule = f"has no days: {str(error).splitlines()[0]}"
        raise InputError.single(where, mapping.day, str(column.type), rule) from error
    labels = [str(value) for value in coded.dictionary.to_pylist()]
    _require_few(labels)
    codes = as_array(pc.fill_null(coded.indices, -1))
    return labels, codes.astype(np.int64)


def _require_few(days: Collection[str]) -> None:
    if len(days) > MOST_DAYS:
        rule = f"has more than {MOST_DAYS:,} days: give day_length, in its units"
        raise InputError.single("mapping", "day", next(iter(days)), rule)
