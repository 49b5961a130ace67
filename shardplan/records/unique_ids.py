"""How many different ids a batch of ids has, as measured."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field

from shardplan.records.record import Number

_Ids = Annotated[Number, Field(ge=1, le=1e15)]


def _can_be_counted(
    points: tuple[tuple[float, float], ...],
) -> tuple[tuple[float, float], ...]:
    for ids, unique in points:
        if unique > ids:
            raise ValueError(
                f"{unique:g} unique among {ids:g} ids: must be at most ids"
            )
    for (ids, unique), (more_ids, more_unique) in pairwise(points):
        if more_ids <= ids or more_unique < unique:
            raise ValueError("points must increase: ids strictly")
    return points


UniqueIds = Annotated[
    tuple[tuple[_Ids, _Ids], ...],
    Field(max_length=1000),
    AfterValidator(_can_be_counted),
]
"""Points (ids, unique) of a batch of one rank; both increase."""
