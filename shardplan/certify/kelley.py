"""Maximise a concave function of few prices by cutting planes in a box.

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

from shardplan.certify.highs import End, Highs
from shardplan.certify.params import PROOF_DEFAULTS, PlaneParams
from shardplan.certify.tolerances import (
    HIGHS_TOLERANCE,
    LARGEST_PRICE,
    NO_WIDTH,
    ON_EDGE,
    PRICES_TOLERANCE,
    WIDEST,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.certify.oracle import Oracle, Point
    from shardplan.records.arrays import Floats, Ints


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
    params: PlaneParams = PROOF_DEFAULTS.cutting_planes,
    *,
    enough: float = float("inf"),
    stop: Clock | None = None,
) -> Peak:
    """Climb to within `PRICES_TOLERANCE` of the largest value, which should be near 1.

    Parameters
    ----------
    enough : float
        Any value of at least this will do.

    Notes
    -----
    Where memory is not scarce, prices of 0 are the best ones; the slope there says so,
    and no linear program is needed.
    """
    best, where = function(start), start
    if best.value >= enough or _is_highest(start, best, domain):
        return Peak(start, best, 1)
    master = _CuttingPlanes(domain, stop)
    master.cut(start, best)
    width = np.maximum(start, params.radius)
    steps = 1
    while steps < params.most_steps:
        if best.value >= enough or (stop and stop.now()):
            break
        highest = master.best_in_box(where, width)
        if highest is None:
            break
        prices, promised, inside = highest
        if promised - best.value <= PRICES_TOLERANCE * max(abs(best.value), 1.0):
            if inside or width.min() > WIDEST:
                break
            width = width * params.grow
            continue
        steps += 1
        found = function(prices)
        master.cut(prices, found)
        if found.value > best.value:
            gain = (found.value - best.value) / (promised - best.value)
            best, where = found, prices
            width = width * (params.grow if gain > params.good else 1.0)
        else:
            width = width * params.shrink
    return Peak(where, best, steps)


def _is_highest(where: Floats, point: Point, domain: Domain) -> bool:
    """Whether no prices of the domain can have a higher value, by the slope alone."""
    can_rise = (point.slope > 0.0) & (where < domain.upper)
    can_fall = (point.slope < 0.0) & (where > 0.0)
    return not (can_rise | can_fall).any()


class _CuttingPlanes:
    """Cutting planes: maximise z with z <= value + slope . (prices - where)."""

    def __init__(self, domain: Domain, stop: Clock | None) -> None:
        self._stop = stop
        self._upper = upper = np.minimum(domain.upper, LARGEST_PRICE)
        self._model = Highs(
            "the cutting planes of a bound",
            np.r_[np.zeros(len(upper)), -1.0],
            np.r_[np.zeros(len(upper)), -np.inf],
            np.r_[upper, np.inf],
            primal_feasibility_tolerance=HIGHS_TOLERANCE,
            dual_feasibility_tolerance=HIGHS_TOLERANCE,
        )
        for group in domain.simplices:
            self._model.add_row(1.0, 1.0, group, np.ones(len(group)))

    def cut(self, where: Floats, point: Point) -> None:
        """Add the plane that touches the function at `where`."""
        row = np.r_[-point.slope, 1.0]
        index = np.flatnonzero(row)
        top = point.value - float(point.slope @ where)
        self._model.add_row(-np.inf, top, index, row[index])

    def best_in_box(
        self, center: Floats, width: Floats
    ) -> tuple[Floats, float, bool] | None:
        """Highest point of the planes near a center: prices, height, if inside.

        None if HiGHS does not find it, or not in time.
        """
        low = np.maximum(center - width, 0.0)
        high = np.minimum(center + width, self._upper)
        self._model.bound(low, high)
        left_s = self._stop.remaining_s() if self._stop else np.inf
        if self._model.run(time_limit_s=left_s) is not End.OPTIMAL:
            return None
        solution = self._model.values
        prices = np.clip(solution[:-1], 0.0, self._upper)
        near = ON_EDGE * np.maximum(width, NO_WIDTH)
        at_low = (prices <= low + near) & (low > 0.0)
        at_high = (prices >= high - near) & (high < self._upper)
        return prices, float(solution[-1]), not (at_low | at_high).any()
