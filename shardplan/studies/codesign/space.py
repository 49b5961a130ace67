"""What a search over designs may choose: the knobs, as coordinates of an optimiser."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shardplan.studies.fields import read_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.records.study import Codesign, Knob

Coordinates = tuple[float, ...]
"""A design as the optimiser has it: a number for every variable."""

_DIGITS = 3
"""Of a value without a step: what data sheets tell apart."""
_ROOM = 1e-9
"""Steps that the last value may be beyond the end: ends are met, whatever rounding."""


@dataclass(frozen=True)
class DesignVariable:
    """One knob.

    The coordinate of a range is the value itself, that of choices their index.

    Attributes
    ----------
    key : str
        Field of the base, or dotted path.
    choices : tuple of object
        Values to choose from; empty for a range.
    low, high : float
        The ends of a range.
    is_log : bool
        Drawn evenly in the logarithm.
    step : float
        Values are `low` and so many steps more; 0 for any value, rounded.
    """

    key: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    is_log: bool = False
    step: float = 0.0

    @property
    def size(self) -> float:
        """How many values there are; infinite without choices or a step."""
        if self.choices:
            return len(self.choices)
        return self._steps + 1 if self.step else math.inf

    @property
    def bounds(self) -> tuple[float, float]:
        """Ends of the coordinate of a range: half a step beyond its own.

        So the first and the last value are as likely as those between.
        """
        low, high = self.low - self.step / 2, self.high + self.step / 2
        return (max(low, self.low / 2) if self.is_log else low), high

    def settle(self, coordinate: float) -> float:
        """Return the coordinate of the nearest value."""
        if self.choices:
            return coordinate
        if self.step:
            count = round((coordinate - self.low) / self.step)
            value = self.low + self.step * min(max(count, 0), self._steps)
            return float(f"{value:.12g}")  # 0.1 + 2 x 0.1 is 0.3
        value = float(f"{coordinate:.{_DIGITS}g}")
        return min(max(value, self.low), self.high)

    def value(self, coordinate: float) -> Any:
        """Return what a settled coordinate means; whole numbers are integers."""
        if self.choices:
            return self.choices[int(coordinate)]
        return int(coordinate) if float(coordinate).is_integer() else coordinate

    @property
    def _steps(self) -> int:
        return math.floor((self.high - self.low) / self.step + _ROOM)


@dataclass(frozen=True)
class DesignSpace:
    """All knobs of a study."""

    variables: tuple[DesignVariable, ...]

    @classmethod
    def of(cls, codesign: Codesign) -> DesignSpace:
        """Return the space of a study's knobs.

        Raises
        ------
        ValueError
            For a knob that `read_knob` refuses.
        """
        return cls(tuple(read_knob(key, knob) for key, knob in codesign.knobs.items()))

    @property
    def size(self) -> float:
        """How many designs there are; may be infinite."""
        return math.prod(variable.size for variable in self.variables)

    def settle(self, raw: Sequence[float]) -> Coordinates:
        """Return the nearest design."""
        pairs = zip(self.variables, raw, strict=True)
        return tuple(variable.settle(number) for variable, number in pairs)

    def values(self, design: Coordinates) -> dict[str, Any]:
        """Return what a design sets, by key."""
        pairs = zip(self.variables, design, strict=True)
        return {v.key: v.value(coordinate) for v, coordinate in pairs}


def read_knob(key: str, knob: Knob) -> DesignVariable:
    """Return the variable of a knob.

    Raises
    ------
    ValueError
        With the rule that its ends, step or choices break.
    """
    if knob.choices:
        if len({repr(value) for value in knob.choices}) < len(knob.choices):
            raise ValueError("has a choice twice")
        return DesignVariable(key, knob.choices)
    low, high = read_number(key, knob.low), read_number(key, knob.high)
    step = read_number(key, knob.step) if knob.step is not None else int(knob.integer)
    if not low < high:
        raise ValueError("low must be below high")
    if knob.log and low <= 0:
        raise ValueError("log needs low above 0")
    if knob.step is not None and not 0 < step <= high - low:
        raise ValueError("step must be above 0, and not beyond high")
    if knob.integer and not all(float(end).is_integer() for end in (low, step)):
        raise ValueError("integer needs whole numbers for low and step")
    return DesignVariable(key, (), low, high, knob.log, step)
