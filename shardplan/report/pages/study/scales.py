"""Axes of a figure of points: where a value lies, and round values between."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOG_FROM = 30.0
"""Values that differ by this factor and more are drawn over their logarithm."""
_MARGIN = 0.04
"""Share of the figure that stays free beyond the outermost values."""
_TINY = 1e-100
"""Nothing that is measured is so small, and margins below it would end at 0."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A range of values, even or in its logarithm.

    Attributes
    ----------
    low, high : float
        Values at the ends, in the unit of the column.
    """

    low: float
    high: float
    is_log: bool = False

    @classmethod
    def over(cls, values: Iterable[float]) -> Scale:
        """Choose a scale on which all values lie inside."""
        found = sorted(values)
        if not found:
            return cls(0.0, 1.0)
        low, high = found[0], found[-1]
        if low > _TINY and high / low >= _LOG_FROM:
            margin = (high / low) ** _MARGIN
            return cls(low / margin, high * margin, is_log=True)
        span = next(s for s in (high - low, abs(high), 1.0) if s > _TINY)
        start = low - _MARGIN * span
        return cls(0.0 if low >= 0 > start else start, high + _MARGIN * span)

    def share(self, value: float) -> float:
        """Return where a value lies, from 0 to 1; beyond the ends it is at an end."""
        if self.is_log:
            if value <= 0:
                return 0.0
            found = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            found = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, found))

    def ticks(self, most: int = 6) -> list[float]:
        """Choose round values inside: steps of 1, 2 or 5, or powers of ten."""
        if self.is_log:
            return self._powers(most)
        power = 10.0 ** math.floor(math.log10((self.high - self.low) / most))
        step = next(
            power * factor
            for factor in (1, 2, 5, 10)
            if self.high - self.low <= most * power * factor
        )
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        # Values that differ in their last digits alone have one tick.
        rounded = (float(f"{i * step:.12g}") for i in range(first, last + 1))
        return list(dict.fromkeys(rounded))

    def _powers(self, most: int) -> list[float]:
        """Choose 1, 2 and 5 of every power of ten, or fewer where these are many."""
        first = math.floor(math.log10(self.low))
        last = math.ceil(math.log10(self.high))
        for digits in ((1, 2, 5), (1, 3), (1,)):
            found = [
                float(f"{digit}e{power}")
                for power in range(first, last + 1)
                for digit in digits
                if self.low <= float(f"{digit}e{power}") <= self.high
            ]
            if len(found) <= most:
                return found
        return found[:: math.ceil(len(found) / most)]
