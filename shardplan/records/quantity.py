"""A field that is a quantity: its dimension, and the range in which it is believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from pydantic_core import core_schema

from shardplan.units import (
    Dimension,
    format_power,
    format_quantity,
    parse_quantity,
    unit_scale,
)

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

_MAX_BITS = 1000
_TEXT_PATTERN = (
    r"^\s*[+-]?[0-9][0-9_]*(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?\s*[^\s0-9.,].*$"
)


Text = Annotated[str, Field(pattern=_TEXT_PATTERN)]
"""A number with a unit, in JSON Schemas."""


@dataclass(frozen=True)
class Quantity:
    """Metadata of a field: a number in base units, or text with a unit.

    Attributes
    ----------
    dimension : Dimension
        What the field measures.
    low, high : float
        Numbers outside are taken for slips of units; 0 ("there is none") never is.
    reason : str
        Why the range is as it is.
    units : tuple of str
        Units in which people have the number at hand, the likeliest first; they make
        the "did you mean". Equally likely ones are in one text: ``"Gb/s GB/s"``.
    """

    dimension: Dimension = Dimension.NONE
    low: float = 0.0
    high: float = float("inf")
    reason: str = ""
    units: tuple[str, ...] = ()

    def read(self, value: object) -> object:
        """Turn text with a unit into a number, and refuse what cannot be meant.

        Raises
        ------
        ValueError
            For text that is no such quantity, for booleans, and for numbers outside
            of the range.
        """
        if isinstance(value, str):
            value = parse_quantity(value, self.dimension)
        elif isinstance(value, (bytes, bool)):
            raise ValueError("must be a number")
        if isinstance(value, int) and value.bit_length() > _MAX_BITS:
            raise ValueError("is too large")
        if isinstance(value, (int, float)):
            self.check(value)
        return value

    def check(self, value: float) -> None:
        """Raise ValueError for a number [base unit] that is a slip of units."""
        if not value > 0 or value == float("inf") or self.low <= value <= self.high:
            return
        meant = self._meant(value)
        advice = f"; did you mean {' or '.join(meant)}?" if meant else ""
        raise ValueError(
            f"must be in {self.dimension.value}, {self.range}: {self.reason}{advice}"
        )

    @property
    def range(self) -> str:
        """The range in words, for example ``100 MB to 10 TB``."""
        ends = (self.low, self.high)
        return " to ".join(format_quantity(end, self.dimension) for end in ends)

    def _meant(self, value: float) -> list[str]:
        """Return the value in the first units that bring it into the range."""
        for units in self.units:
            scaled = {u: value * unit_scale(u, self.dimension) for u in units.split()}
            found = {u: v for u, v in scaled.items() if self.low <= v <= self.high}
            if found:
                text = f"{value:.12g}"
                return [f'"{text} {u}" = {format_power(v)}' for u, v in found.items()]
        return []

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Read before the field's own type and bounds are looked at."""
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow text with a unit beside numbers."""
        number = handler(schema)
        if self.dimension is Dimension.NONE:
            return number
        return {"anyOf": [number, {"type": "string", "pattern": _TEXT_PATTERN}]}
