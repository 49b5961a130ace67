"""The base of all file records: frozen, strict about keys and numbers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Record(BaseModel):
    """A frozen record; unknown keys, NaN and infinities are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def replace(self, **changes: Any) -> Self:
        """Return a validated copy with some fields changed (what-if by copy)."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self).model_validate({**given, **changes})


def reject_text(value: object) -> object:
    """Numbers must be numbers: ``"12"`` and ``true`` are mistakes, not 12 and 1."""
    if isinstance(value, (str, bytes, bool)):
        raise ValueError("must be a number")
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise ValueError("is too large")
    return value


_MAX_BITS = 1000
_Number = BeforeValidator(reject_text)
MAX_BYTES = 10**18
MAX_ROWS = 10**14
MAX_RANKS = 65_536

Bytes = Annotated[int, _Number, Field(ge=0, le=MAX_BYTES)]
"""A capacity or size [bytes], up to 10^18."""
Bandwidth = Annotated[float, _Number, Field(ge=0, le=1e16)]
"""Bytes per second, one direction, decimal; 0 means "there is none"."""
PositiveBandwidth = Annotated[float, _Number, Field(gt=0, le=1e16)]
"""Bytes per second, one direction, decimal, above 0."""
Seconds = Annotated[float, _Number, Field(ge=0, le=3600)]
"""A duration [s]."""
Count = Annotated[int, _Number, Field(ge=1, le=MAX_RANKS)]
"""How many of something there are, at least one."""
Fraction = Annotated[float, _Number, Field(ge=0, le=1)]
"""A dimensionless share between 0 and 1."""
Name = Annotated[
    str,
    Field(
        min_length=1, max_length=200, pattern=r"^[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
    ),
]
"""A name: not empty, no white space at the start, no control characters."""
Rate = Annotated[float, _Number, Field(ge=0, le=1e18)]
"""Operations per second (FLOP/s, IOPS)."""
Number = Annotated[float, _Number]
"""Any finite number, but no text and no boolean."""
Integer = Annotated[int, _Number]
"""Any whole number (also written 1e6), but no text and no boolean."""
SchemaVersion = Annotated[Literal[1], _Number]
"""The version of a file format; 1 is the only one so far."""
Flag = Annotated[bool, Field(strict=True)]
"""True or false, and nothing that only looks like it."""
Rows = Annotated[int, _Number, Field(ge=1, le=MAX_ROWS)]
"""Rows of a table, 1 to 10^14."""
RankIndex = Annotated[int, _Number, Field(ge=0, lt=MAX_RANKS)]
"""The index of a rank or a host."""
