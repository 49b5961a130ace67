"""The values of an axis, from its list or from the rule that makes them."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from shardplan.records.study import MAX_POINTS
from shardplan.studies.fields import read_number

if TYPE_CHECKING:
    from shardplan.records.study import Axis

_KINDS = ("values", "scale", "geometric", "linear")
_ROOM = 1e-9
"""Steps that the last value may be beyond the end: ends are met, whatever rounding."""


def count_of(key: str, axis: Axis) -> int:
    """Return how many values `values_of` would return, and make none."""
    kind = kind_of(axis)
    if kind in ("values", "scale"):
        return len(getattr(axis, kind))
    return len(_range(key, axis)[1])


def values_of(key: str, axis: Axis) -> list[Any]:
    """Return the values of the axis of a key; factors for one of factors.

    Raises
    ------
    ValueError
        For ends that are no numbers, or between which there are none or too many.
    """
    kind = kind_of(axis)
    if kind in ("values", "scale"):
        return list(getattr(axis, kind))
    first, steps, by = _range(key, axis)
    # Decimal steps leave no binary dust: three of 0.1 are 0.3.
    start, change = Decimal(repr(first)), Decimal(repr(by))
    if kind == "linear":
        return [_plain(start + change * i, first) for i in steps]
    return [_plain(start * change**i, first) for i in steps]


def kind_of(axis: Axis) -> str:
    """Return which kind of axis it is."""
    return next(kind for kind in _KINDS if getattr(axis, kind) is not None)


def _range(key: str, axis: Axis) -> tuple[float, range, float]:
    """Return the first value of a rule, its steps, and the step or factor."""
    first, last = (read_number(key, end) for end in axis.geometric or axis.linear or ())
    if axis.geometric:
        by = axis.factor or 0.0
        if not 0 < first <= last:
            raise ValueError("geometric = [FIRST, LAST] needs 0 < FIRST <= LAST")
        count = math.log(last / first) / math.log(by)
    else:
        by = read_number(key, axis.step)
        if not (first <= last and by > 0):
            raise ValueError("linear = [FIRST, LAST] needs FIRST <= LAST and step > 0")
        count = (last - first) / by
    if count >= MAX_POINTS:
        raise ValueError(f"makes more than {MAX_POINTS:,} values")
    return first, range(math.floor(count + _ROOM) + 1), by


def _plain(value: Decimal, first: float) -> float:
    """Return a number, a whole one where the first is whole as well."""
    is_whole = isinstance(first, int) and value == value.to_integral_value()
    return int(value) if is_whole else float(value)
