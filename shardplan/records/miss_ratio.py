"""Which share of the lookups a cache misses, as measured in the order of a log."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field

from shardplan.records.record import Fraction, Number

_Rows = Annotated[Number, Field(ge=1, le=1e15)]


def _falls(
    points: tuple[tuple[float, float], ...],
) -> tuple[tuple[float, float], ...]:
    for (rows, ratio), (more_rows, less_ratio) in pairwise(points):
        if more_rows <= rows or less_ratio > ratio:
            raise ValueError("rows must increase strictly, and ratios never")
    return points


MissRatio = Annotated[
    tuple[tuple[_Rows, Fraction], ...],
    Field(max_length=1000),
    AfterValidator(_falls),
]
"""Points (rows, ratio): an LRU cache of so many rows misses this share of lookups."""
