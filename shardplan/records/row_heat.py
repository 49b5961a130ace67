"""How the lookups of a table are spread over blocks of its rows."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from shardplan.records.record import Fraction, Integer, Number, Record

_ROUNDING = 1e-3


class RowRouting(StrEnum):
    """Where popular rows are: in front, dealt out to row shards in turn, or anywhere.

    `blocks`: ids are numbered by popularity, and row shards are blocks of them.
    `modulo`: ids are numbered by popularity, and shard i of k has ids i, i + k, ...
    `hash`: popularity says nothing of the place.
    """

    BLOCKS = "blocks"
    MODULO = "modulo"
    HASH = "hash"


class RowSkew(Record):
    """What the hottest of some row shards was seen to have.

    Attributes
    ----------
    ratio : float
        Lookups of the hottest row shard over those of the mean one.
    shards : int
        Row shards that the ratio was measured with.
    """

    ratio: Annotated[Number, Field(ge=1, le=65_536)]
    shards: Annotated[Integer, Field(ge=2, le=65_536)]

    @model_validator(mode="after")
    def _is_a_share(self) -> RowSkew:
        if self.ratio > self.shards:
            raise ValueError("the hottest of n row shards has at most n times the mean")
        return self


def _adds_up(shares: tuple[float, ...]) -> tuple[float, ...]:
    if shares and abs(sum(shares) - 1.0) > _ROUNDING:
        raise ValueError(f"shares of lookups must add up to 1, not {sum(shares):.6g}")
    return shares


BlockHeat = Annotated[
    tuple[Fraction, ...], Field(max_length=65_536), AfterValidator(_adds_up)
]
"""Shares of the lookups that equal blocks of rows get, in the order of the rows."""
