"""The base of all file records: frozen, strict about keys and numbers."""

from __future__ import annotations

import reprlib
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from shardplan.records.quantity import Quantity
from shardplan.units import Dimension


class _Short(reprlib.Repr):
    """Shows long lists by their first entries and long texts by their ends."""

    def __init__(self) -> None:
        super().__init__()
        self.maxtuple = self.maxdict = 4
        self.maxstring, self.maxother = 60, 400


_SHORT = _Short()


class Record(BaseModel):
    """A frozen record; unknown keys, NaN and infinities are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __repr__(self) -> str:
        """Show what is not at its default, long lists by their ends."""
        shown = [
            f"{name}={_SHORT.repr(getattr(self, name))}"
            for name, field in type(self).model_fields.items()
            if getattr(self, name) != field.get_default(call_default_factory=True)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __str__(self) -> str:
        """Show the same as `repr`."""
        return repr(self)

    def replace(self, **changes: Any) -> Self:
        """Return a validated copy with some fields changed (what-if by copy)."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self).model_validate({**given, **changes})


MAX_BYTES = 10**18
MAX_ROWS = 10**14
MAX_RANKS = 65_536

Bytes = Annotated[int, Field(ge=0, le=MAX_BYTES), Quantity(Dimension.BYTES)]
"""A capacity or size [bytes], up to 10^18."""
PositiveBandwidth = Annotated[
    float, Field(gt=0, le=1e16), Quantity(Dimension.BANDWIDTH)
]
"""Bytes per second, one direction, decimal, above 0."""
Fraction = Annotated[float, Field(ge=0, le=1), Quantity(Dimension.FRACTION)]
"""A dimensionless share between 0 and 1."""
PositiveFraction = Annotated[float, Field(gt=0, le=1), Quantity(Dimension.FRACTION)]
"""A dimensionless share above 0, up to 1."""
Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=r"^[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$",
    ),
]
"""A name: not empty, no white space at the start, no control characters."""
Number = Annotated[float, Quantity()]
"""Any finite number, but no text and no boolean."""
Integer = Annotated[int, Quantity()]
"""Any whole number (also written 1e6), but no text and no boolean."""
Count = Annotated[Integer, Field(ge=1, le=MAX_RANKS)]
"""How many of something there are, at least one."""
SchemaVersion = Annotated[Literal[1], Quantity()]
"""The version of a file format; 1 is the only one so far."""
Flag = Annotated[bool, Field(strict=True)]
"""True or false, and nothing that only looks like it."""
Rows = Annotated[int, Field(ge=1, le=MAX_ROWS), Quantity(Dimension.COUNT)]
"""Rows of a table, 1 to 10^14."""
Seconds = Annotated[float, Field(ge=0, le=1e9), Quantity(Dimension.SECONDS)]
"""A time limit or the like, at least 0 [s]."""
Tally = Annotated[int, Field(ge=0, le=10**15), Quantity(Dimension.COUNT)]
"""How often, or how much work, at most; 0 for never."""
PositiveTally = Annotated[int, Field(ge=1, le=10**15), Quantity(Dimension.COUNT)]
"""How often, or how many, at least once."""
Factor = Annotated[Number, Field(gt=0, le=1e9)]
"""A dimensionless multiplier above 0."""
Weight = Annotated[Number, Field(ge=0, le=1e9)]
"""A dimensionless number of at least 0, such as a weight or an exponent."""
RankIndex = Annotated[Integer, Field(ge=0, lt=MAX_RANKS)]
"""The index of a rank or a host."""


def dump(record: Record) -> dict[str, Any]:
    """Return a record as JSON-able data, without the defaults of a schema."""
    return record.model_dump(mode="json", exclude_defaults=True)
