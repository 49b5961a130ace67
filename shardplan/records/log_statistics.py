"""What was measured of the tables of a log."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from shardplan.records.record import (
    Fraction,
    Name,
    Number,
    PositiveTally,
    Record,
    Rows,
    SchemaVersion,
    Tally,
)

_ROUNDING = 1e-6
Points = tuple[tuple[Number, Number], ...]


def _in_order(points: Points) -> Points:
    if any(after[0] < before[0] for before, after in pairwise(points)):
        raise ValueError("the first numbers of points must not fall")
    if any(min(point) < -_ROUNDING for point in points):
        raise ValueError("numbers of points must not be below 0")
    return points


def _are_shares(points: Points) -> Points:
    if any(share > 1 + _ROUNDING for _, share in points):
        raise ValueError("shares must not be above 1")
    return points


Curve = Annotated[Points, AfterValidator(_in_order)]
Shares = Annotated[Curve, AfterValidator(_are_shares)]
Error = Annotated[Number, Field(ge=0)]


class BatchStatistics(Record):
    """What batches of a number of samples in a row have of a table.

    Attributes
    ----------
    samples : int
    batches, measured : int
        How many the log has, and of how many the rest is.
    ids, unique_ids, unique_error : float
        Means of a batch; the error is that of unique ids, relative.
    most_ids, most_unique_ids : tuple of (partitions, ids)
        Of the fullest partition ``row % partitions`` of all measured batches.
    exceeded : float
        Share of all batches that may have more than these; 0 if all were measured.
    """

    samples: PositiveTally
    batches: PositiveTally
    measured: PositiveTally
    ids: Number
    unique_ids: Number
    unique_error: Error
    most_ids: Curve
    most_unique_ids: Curve
    exceeded: Fraction


class DayStatistics(Record):
    """Lookups of a table on one day, against the day before.

    Attributes
    ----------
    rows_seen, rows_seen_error : float
    moved, moved_error : float
        Total variation: share of the lookups that go to other rows than before.
    new_hot, new_hot_error : float
        Share of the hottest 1 % of rows that were not of the hottest 1 % before.
    new_rows, new_rows_error : float
        Share of the rows that no day before had.
    """

    day: str
    lookups: Tally
    rows_seen: Number
    rows_seen_error: Error
    moved: Fraction = 0.0
    moved_error: Error = 0.0
    new_hot: Fraction = 0.0
    new_hot_error: Error = 0.0
    new_rows: Fraction = 0.0
    new_rows_error: Error = 0.0


class TableStatistics(Record):
    """Statistics of one table; errors are bounds that hold in 95 of 100 logs.

    What has no error is exact.

    Attributes
    ----------
    num_embeddings : int
        Rows that the mapping declares.
    rows_seen, rows_seen_error : float
        Distinct rows looked up; an error of 0 is an exact count.
    lookups : int
        Of rows that the table has.
    out_of_range, unreadable : int
        Ids of other rows, and those that are no rows at all; neither is in the rest.
    coverage : float
        Share of the samples with a lookup.
    pooling_factor, pooling_variance : float
        Lookups of these samples.
    mean_length, mean_square, max_length : float, float, int
        E[L], E[L^2] and the most of all samples' lookups.
    length_quantiles : tuple of (share, length)
        Of samples with a lookup.
    access : tuple of (rows, share)
        Share of the lookups that the hottest rows get.
    unique_rows : tuple of (lookups, rows)
        Mean distinct rows of so many lookups in a row, in the order of the log.
    unique_rows_error : float
        Relative.
    batches : tuple of BatchStatistics
        By number of samples, none where the log has no whole batch.
    miss_ratio : tuple of (rows, ratio)
        Misses of an LRU cache of so many rows, in the order of the log.
    cold_ratio, cold_ratio_error : float
        Share of the lookups that are the first of their row: missed by every cache.
    block_heat : tuple of float
        Share of the lookups of equal blocks of rows, in the order of ids.
    modulo_skew : tuple of (ranks, skew)
        Lookups of the hottest class of ids modulo a number of ranks, over their mean.
    days : tuple of DayStatistics
        In order, if the mapping says what a day is.
    """

    name: Name
    num_embeddings: Rows
    rows_seen: Number
    rows_seen_error: Error
    lookups: Tally
    out_of_range: Tally
    unreadable: Tally
    coverage: Fraction
    pooling_factor: Number
    pooling_variance: Number
    mean_length: Number
    mean_square: Number
    max_length: Tally
    length_quantiles: Curve
    access: Shares
    access_error: Error
    unique_rows: Curve
    unique_rows_error: Error = 0.0
    batches: tuple[BatchStatistics, ...] = ()
    miss_ratio: Shares
    miss_ratio_error: Error = 0.0
    cold_ratio: Fraction
    cold_ratio_error: Error = 0.0
    block_heat: tuple[Number, ...]
    modulo_skew: Curve
    days: tuple[DayStatistics, ...] = ()

    @model_validator(mode="after")
    def _lookups_have_curves(self) -> TableStatistics:
        for name in ("access", "unique_rows", "miss_ratio"):
            if self.lookups and not getattr(self, name):
                raise ValueError(f"{name} has no point, but there are lookups")
        return self

    def errors(self) -> dict[str, float]:
        """Return the bound of the error of every statistic; 0 for an exact one."""
        names = [n for n in type(self).model_fields if not n.endswith("_error")]
        left_out = {"name", "num_embeddings", "batches", "days"}
        return {n: getattr(self, f"{n}_error", 0.0) for n in names if n not in left_out}


class Unread(Record):
    """What of a file was not read, and why."""

    path: str
    reason: str


class LogStatistics(Record):
    """Statistics of a log.

    Attributes
    ----------
    num_samples : int
    together : tuple of tuple of float
        Share of the samples that look up both of two tables.
    unread : tuple of Unread
    """

    schema_version: SchemaVersion
    name: Name
    num_samples: Tally
    tables: Annotated[tuple[TableStatistics, ...], Field(min_length=1)]
    together: tuple[tuple[Fraction, ...], ...]
    unread: tuple[Unread, ...] = ()

    @model_validator(mode="after")
    def _tables_differ(self) -> LogStatistics:
        names = [table.name for table in self.tables]
        if len(set(names)) < len(names):
            raise ValueError("tables: names must differ")
        if {len(names)} != {len(self.together), *map(len, self.together)}:
            raise ValueError("together has a row, and a column, for each table")
        return self
