"""Numbers of cost and network models: a value, its unit, and where it comes from."""

from __future__ import annotations

import datetime
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from shardplan.records.quantity import Quantity, Text
from shardplan.records.record import Integer, Name, Record
from shardplan.units import Dimension

MEASURES = {
    "fraction": Quantity(
        Dimension.FRACTION, 1e-6, 2, "a share is 1 at most, or hardly above", ("%",)
    ),
    "s": Quantity(
        Dimension.SECONDS,
        1e-10,
        1,
        "kernels, messages and steps take 1 us to 10 ms",
        ("us", "ms", "ns"),
    ),
    "s/id": Quantity(
        Dimension.SECONDS_PER_ID,
        1e-13,
        1e-4,
        "an id takes 0.1 ns to 1 us",
        ("ns/id", "us/id"),
    ),
    "bytes/s": Quantity(Dimension.BANDWIDTH),
    "bytes": Quantity(Dimension.BYTES),
    "count": Quantity(Dimension.COUNT),
}
"""How a coefficient's value is read, and what is believed, by its unit."""
_PURE = Quantity()
_Value = Annotated[float, Field(ge=0, le=1e18)]


class Coefficient(Record):
    """One number with its unit and where it comes from ("assumed" if nowhere).

    Attributes
    ----------
    value : float
        In `unit`, or text with a unit of the same dimension: "20 us" where it is "s".
    """

    unit: Literal[
        "fraction",
        "s",
        "s/id",
        "bytes/s",
        "1/s",
        "bytes",
        "ratio",
        "exponent",
        "count",
    ]
    value: _Value
    source: Name
    date: datetime.date | None = None

    def __repr__(self) -> str:
        """Show the number and its unit."""
        return f"<{type(self).__name__} {self.value:g} {self.unit}>"

    @field_validator("value", mode="before", json_schema_input_type=_Value | Text)
    @classmethod
    def _read(cls, value: object, info: ValidationInfo) -> object:
        return MEASURES.get(info.data.get("unit", ""), _PURE).read(value)


class PositiveCoefficient(Coefficient):
    """A coefficient that divides, so it must be above 0."""

    value: Annotated[float, Field(gt=0, le=1e18)]


class Spread(Record):
    """Factors of a rate between which systems of one description were seen to lie.

    Attributes
    ----------
    slow, fast : float
        1 is the rate that predictions use; `slow` is not above it, `fast` not below.
    """

    slow: Annotated[float, Field(gt=0, le=1)]
    fast: Annotated[float, Field(ge=1, le=100)]
    source: Name


class Curve(Record):
    """Measured times over message sizes, interpolated in log-log.

    Attributes
    ----------
    num_ranks : int
        Ranks that took part.
    message_bytes, time_s : tuple of float
        Sizes (NCCL's convention) and times [s]; sizes increase.
    """

    num_ranks: Annotated[Integer, Field(ge=2)]
    message_bytes: tuple[Annotated[float, Field(gt=0), Quantity(Dimension.BYTES)], ...]
    time_s: tuple[Annotated[float, Field(gt=0), MEASURES["s"]], ...]
    source: Name
    date: datetime.date | None = None

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if len(self.message_bytes) != len(self.time_s) or len(self.time_s) < 2:
            raise ValueError(
                "message_bytes and time_s need the same length, at least 2"
            )
        return self

    @field_validator("message_bytes")
    @classmethod
    def _increasing(cls, sizes: tuple[float, ...]) -> tuple[float, ...]:
        if any(b <= a for a, b in pairwise(sizes)):
            raise ValueError("message_bytes must increase strictly")
        return sizes


_UNITS_OF_NAMES = {
    "_rate": ("1/s",),
    "_s_per_id": ("s/id",),
    "_s": ("s",),
    "_bytes": ("bytes",),
    "_fraction": ("fraction",),
    "_efficiency": ("fraction", "ratio"),
}


class Section(Record):
    """Coefficients whose units are those that their names end in."""

    @model_validator(mode="after")
    def _units_follow_names(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            ends = [end for end in _UNITS_OF_NAMES if name.endswith(end)]
            if not ends or not isinstance(value, Coefficient):
                continue
            units = _UNITS_OF_NAMES[ends[0]]
            if value.unit not in units:
                known = " or ".join(map(repr, units))
                raise ValueError(f"{name} must have unit {known}, not {value.unit!r}")
        return self
