"""Where the cells of one table live: blocks of columns, ranks and memory tiers."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import (
    Field,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from shardplan.errors import shorten
from shardplan.records.record import MAX_RANKS, Fraction, Integer, Name, Record
from shardplan.records.sharding import ComputeKernel, ShardingType
from shardplan.records.tables import DType

if TYPE_CHECKING:
    from shardplan.records.arrays import Ints

N = TypeVar("N", int, "Ints")

_LONGEST_RANGE = 100
"""Digits, zeros in front included."""


@lru_cache(maxsize=1024)
def parse_ranks(text: str) -> tuple[int, ...]:
    """Read a rank list such as ``"0-7,12"``; equal texts share one tuple."""
    ranks: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise ValueError("ranks must look like '0-7,12'")
        is_long = len(part) > _LONGEST_RANGE
        low, high = (0, MAX_RANKS) if is_long else (int(first), int(last or first))
        if high < low or high >= MAX_RANKS:
            raise ValueError(
                f"rank range {shorten(part)} must grow and end below {MAX_RANKS}"
            )
        if len(ranks) + high - low >= MAX_RANKS:
            raise ValueError(f"names more than {MAX_RANKS} ranks")
        ranks.extend(range(low, high + 1))
    return tuple(ranks)


def _read_ranks(value: object, handler: ValidatorFunctionWrapHandler) -> Any:
    """Text is checked as a whole: a rank at a time, 65,536 would take 0.1 s."""
    return parse_ranks(value) if isinstance(value, str) else handler(value)


def format_ranks(ranks: tuple[int, ...]) -> str:
    """Write ranks in order, runs of consecutive ones as ``first-last``."""
    first, last = ranks[0], ranks[-1]
    if len(ranks) > 1 and ranks == tuple(range(first, last + 1)):
        return f"{first}-{last}"
    runs: list[list[int]] = []
    for rank in ranks:
        if runs and rank == runs[-1][1] + 1:
            runs[-1][1] = rank
        else:
            runs.append([rank, rank])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


Ranks = Annotated[
    tuple[Annotated[Integer, Field(ge=0, lt=MAX_RANKS)], ...],
    Field(min_length=1, max_length=MAX_RANKS),
    WrapValidator(_read_ranks, json_schema_input_type=str),
    PlainSerializer(format_ranks, return_type=str),
]
"""Ranks in order, written as text: ``"0-7"``, ``"3"``, ``"5,1,8-11"``."""


def rows_each(rows: N, num_ranks: N) -> N:
    """Return the rows that each rank holds of evenly cut ones, but for the last ranks.

    Parameters
    ----------
    rows, num_ranks : int or int arrays

    Returns
    -------
    int or int array
        ``ceil(rows / num_ranks)``.
    """
    return -(-rows // num_ranks)


def even_rows(rows: int, num_ranks: int) -> tuple[int, ...]:
    """Return the rows of every rank where :func:`rows_each` cuts them."""
    each = rows_each(rows, num_ranks)
    return tuple(min(each, max(0, rows - i * each)) for i in range(num_ranks))


class ColumnBlock(Record):
    """A run of columns and the ranks that hold it.

    The rows of a block are cut over its ranks in order, ceil(rows / ranks) each
    (the last may hold fewer), unless `row_sizes` says otherwise; for
    `data_parallel` every rank holds all rows.

    Attributes
    ----------
    column_offset, num_columns : int
    ranks : tuple of int
    row_sizes : tuple of int or None
        Rows on each of `ranks`, where heat decides where rows are cut, and for plans
        made elsewhere.
    """

    column_offset: Annotated[Integer, Field(ge=0)] = 0
    num_columns: Annotated[Integer, Field(ge=1)]
    ranks: Ranks
    row_sizes: tuple[Annotated[Integer, Field(ge=0)], ...] | None = None


class TierSplit(Record):
    """Share of a table's rows in each tier; shares of caches come on top of 1."""

    hbm: Fraction = 0.0
    ddr: Fraction = 0.0
    ssd: Fraction = 0.0


class TablePlacement(Record):
    """What a plan decides for one table."""

    name: Name
    sharding_type: ShardingType
    compute_kernel: ComputeKernel
    dtype: DType
    tiers: TierSplit
    blocks: Annotated[tuple[ColumnBlock, ...], Field(min_length=1)]
