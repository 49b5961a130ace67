"""Maximise a concave function of few prices by cutting planes in a box.

The linear programs of the cutting planes are HiGHS's, imported when it is needed.

References
----------
Kelley, The cutting-plane method for solving convex programs, SIAM Journal 8 (1960).
Marsten, Hogan and Blankenship, The BOXSTEP method for large-scale optimization,
Operations Research 23 (1975).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shardplan.certify.oracle import Oracle, Point

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

TOLERANCE = 1e-6
_MOST_STEPS = 100
_GROW = 4.0
_SHRINK = 0.7
_GOOD = 0.5
_CEILING = 1e6


class Clock(Protocol):
    """Says when to stop; `shardplan.solvers.base.Stop` is one."""

    def now(self) -> bool:
        """Whether time is over."""

    def remaining_s(self) -> float:
        """Seconds left."""


@dataclass(frozen=True, eq=False)
class Domain:
    """Where prices may be.

    Attributes
    ----------
    upper : float array (K,)
        Most of each price; the least is 0.
    simplices : sequence of int arrays
        Prices that sum to 1 together.
    """

    upper: Floats
    simplices: Sequence[Ints] = ()


@dataclass(frozen=True, eq=False)
class Peak:
    """The best prices found.

    Attributes
    ----------
    prices : float array (K,)
    point : Point
    steps : int
        How often the function was evaluated.
    """

    prices: Floats
    point: Point
    steps: int


def maximise(
    function: Oracle,
    domain: Domain,
    start: Floats,
    *,
    enough: float = float("inf"),
    stop: Clock | None = None,
    radius: float = 0.5,
) -> Peak:
    """Climb to within `TOLERANCE` of the largest value, which should be near 1.

    Parameters
    ----------
    enough : float
        Any value of at least this will do.
    radius : float
        Size of the first box.
    """
    master = _Master(domain)
    best, where = function(start), start
    master.cut(start, best)
    if not len(start):
        return Peak(start, best, 1)
    width = np.maximum(start, radius)
    steps = 1
    while steps < _MOST_STEPS:
        if best.value >= enough or (stop and stop.now()):
            break
        prices, promised, inside = master.best_in_box(where, width)
        if promised - best.value <= TOLERANCE * max(abs(best.value), 1.0):
            if inside or width.min() > _CEILING:
                break
            width = width * _GROW
            continue
        steps += 1
        found = function(prices)
        master.cut(prices, found)
        if found.value > best.value:
            gain = (found.value - best.value) / (promised - best.value)
            best, where = found, prices
            width = width * (_GROW if gain > _GOOD else 1.0)
        else:
            width = width * _SHRINK
    return Peak(where, best, steps)


class _Master:
    """Cutting planes: maximise z with z <= value + slope . (prices - where)."""

    def __init__(self, domain: Domain) -> None:
        import highspy

        self._upper = domain.upper
        self._infinite = highspy.kHighsInf
        self._model = highspy.Highs()  # type: ignore[no-untyped-call]
        self._model.silent()
        self._model.setOptionValue("primal_feasibility_tolerance", 1e-9)
        self._model.setOptionValue("dual_feasibility_tolerance", 1e-9)
        infinite, size = self._infinite, len(domain.upper)
        for most in domain.upper:
            self._model.addCol(0.0, 0.0, float(most), 0, [], [])
        self._model.addCol(-1.0, -infinite, infinite, 0, [], [])
        self._size = size
        for group in domain.simplices:
            some = np.asarray(group, dtype=np.int32)
            self._model.addRow(1.0, 1.0, len(some), some, np.ones(len(some)))

    def cut(self, where: Floats, point: Point) -> None:
        """Add the plane that touches the function at `where`."""
        row = np.r_[-point.slope, 1.0]
        index = np.flatnonzero(row).astype(np.int32)
        top = point.value - float(point.slope @ where)
        self._model.addRow(-self._infinite, top, len(index), index, row[index])

    def best_in_box(self, center: Floats, width: Floats) -> tuple[Floats, float, bool]:
        """Highest point of the planes near a center: prices, height, if inside."""
        low = np.maximum(center - width, 0.0)
        high = np.minimum(center + width, self._upper)
        columns = np.arange(self._size, dtype=np.int32)
        self._model.changeColsBounds(self._size, columns, low, high)
        self._model.run()
        solution = np.array(self._model.getSolution().col_value)
        prices = np.clip(solution[:-1], 0.0, self._upper)
        near = 1e-9 * np.maximum(width, 1e-30)
        at_low = (prices <= low + near) & (low > 0.0)
        at_high = (prices >= high - near) & (high < self._upper)
        return prices, float(solution[-1]), not (at_low | at_high).any()
