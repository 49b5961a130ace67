"""Which columns of a log are lookups of which tables."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from shardplan.records.record import (
    Integer,
    Name,
    Record,
    Rows,
    SchemaVersion,
)


class IdHash(StrEnum):
    """How a job makes a row of an id; all but `HEX` and `MODULO` take text.

    ``hex`` is a hexadecimal number, ``modulo`` a decimal one; both are taken modulo the
    rows of the table, as are the values of the others.
    """

    HEX = "hex"
    MODULO = "modulo"
    CRC32 = "crc32"
    MD5 = "md5"
    MURMUR3 = "murmur3_32"
    XXH64 = "xxh64"


SEEDED = (IdHash.CRC32, IdHash.MURMUR3, IdHash.XXH64)
"""Functions that take a seed."""


class LogTable(Record):
    """A table whose lookups a log has.

    Attributes
    ----------
    num_embeddings : int
        Rows; ids from here on, and below 0, are counted as out of range.
    """

    name: Name
    num_embeddings: Rows


class LogFeature(Record):
    """A column of a log.

    Attributes
    ----------
    column : str
    table : str
        Whose rows its ids are; several features may share a table.
    separator : str
        Between the ids of a cell of text; none for one id in each.
    hash : IdHash or None
        None takes whole numbers as rows.
    seed : int
        Of the hash function.
    """

    column: Name
    table: Name
    separator: Annotated[str, Field(max_length=8)] = ""
    hash: IdHash | None = None
    seed: Annotated[Integer, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _seed_has_a_use(self) -> LogFeature:
        if self.seed and self.hash not in SEEDED:
            raise ValueError(f"seed goes with hash = {', '.join(SEEDED)}")
        return self


class LogFormat(StrEnum):
    """How a log is written; compressed text by its suffix.

    ``criteo`` is TSV without a header: label, I1 to I13, C1 to C26. ``npy`` is an array
    of samples x features, ``npz`` has one of samples x ids for each feature, ``pt``
    indices, offsets and lengths of tables, and ``libffm`` lines of
    ``label field:feature:value``.
    """

    PARQUET = "parquet"
    CSV = "csv"
    TSV = "tsv"
    CRITEO = "criteo"
    NPY = "npy"
    NPZ = "npz"
    PT = "pt"
    LIBFFM = "libffm"


CRITEO_COLUMNS = (
    "label",
    *(f"I{i}" for i in range(1, 14)),
    *(f"C{i}" for i in range(1, 27)),
)


DAY_OF_PATH = "\x01day of path"
"""A column beside those of a file: no mapping can name it."""


class LogMapping(Record):
    """What a log is, and which tables its columns look up.

    Attributes
    ----------
    format : LogFormat or None
        None is that of a file's suffix.
    columns : tuple of str
        Names of the columns of text files without a header.
    time : str
        Column that samples are sorted by, those of equal time as they lie; empty takes
        them as they lie.
    day : str
        Column that says of which day a sample is; empty compares no days.
    day_length : int
        Units of that column, of whole numbers, that make a day; 0 takes each value, or
        the date of a point in time, as a day.
    day_path : str
        A regular expression that finds the day in the path of a file: its first group,
        or all that it matches. Excludes `day`.
    """

    schema_version: SchemaVersion
    name: Name
    description: str = ""
    format: LogFormat | None = None
    columns: tuple[Name, ...] = ()
    time: str = ""
    day: str = ""
    day_length: Annotated[Integer, Field(ge=0, le=10**15)] = 0
    day_path: Annotated[str, Field(max_length=200)] = ""
    tables: Annotated[tuple[LogTable, ...], Field(min_length=1)]
    features: Annotated[tuple[LogFeature, ...], Field(min_length=1)]

    @field_validator("tables")
    @classmethod
    def _names_differ(cls, tables: tuple[LogTable, ...]) -> tuple[LogTable, ...]:
        names = [table.name for table in tables]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"names must differ; {twice!r} is there twice")
        return tables

    @field_validator("day_path")
    @classmethod
    def _is_an_expression(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return pattern

    @field_validator("columns", "features")
    @classmethod
    def _each_is_there_once(cls, items: tuple[Any, ...]) -> tuple[Any, ...]:
        for item in items:
            if items.count(item) > 1:
                name = item if isinstance(item, str) else item.column
                raise ValueError(f"must differ; {name!r} is there twice")
        return items

    @model_validator(mode="after")
    def _features_have_tables(self) -> LogMapping:
        known = {table.name for table in self.tables}
        for feature in self.features:
            if feature.table not in known:
                raise ValueError(
                    f"feature {feature.column!r} looks up {feature.table!r}, which is "
                    "none of the tables"
                )
        unused = known - {feature.table for feature in self.features}
        if unused:
            raise ValueError(f"no feature looks up {', '.join(sorted(unused))}")
        return self

    @model_validator(mode="after")
    def _days_are_said_once(self) -> LogMapping:
        if self.day_length and not self.day:
            raise ValueError("day_length goes with day, the name of a column")
        if self.day and self.day_path:
            raise ValueError("give only one of day and day_path")
        return self

    @property
    def day_column(self) -> str:
        """The column of days, in a file or beside its columns; empty without any."""
        return DAY_OF_PATH if self.day_path else self.day

    def day_of(self, path: str) -> str:
        """Return the day that `day_path` finds in the path of a file; empty if none."""
        if (found := re.search(self.day_path, path)) is None:
            return ""
        return found.group(1 if found.re.groups else 0) or ""

    def needed_columns(self) -> tuple[str, ...]:
        """Return the columns to read, each once, time and day last."""
        names = dict.fromkeys(feature.column for feature in self.features)
        if self.time:
            names[self.time] = None
        if self.day:
            names.setdefault(self.day)
        return tuple(names)
