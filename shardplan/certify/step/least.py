"""The least that an operation takes, as a line over its pressure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.records.memo import by_identity

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats
    from shardplan.steps.pressure import Pressure

_NOTHING_S = 1e-30
"""Below any pressure that is not 0 [s]."""
_FIRST_S = 1e-9
"""Where the steps of the staircase begin [s]."""
_KEPT = 64
"""Staircases that are kept: of some systems, all their operations."""
_LAST_S = 1e4
"""Where they end: no step is so long [s]."""
_STEPS = 6000
"""Steps of the staircase; each is half a percent wide."""
_CORNERS = 50
"""Points among which lines are looked for."""
_SAFE = 1e-12
"""Share taken off, more than the roundings of a curve."""


class Span(NamedTuple):
    """Pressures from the lowest to the highest [s], and whether there is any at all."""

    low: float
    high: float
    runs: bool


EVERY = Span(0.0, np.inf, runs=False)


@dataclass(frozen=True, eq=False)
class Staircase:
    """A staircase below a rising curve, up to the seconds that it may take.

    Attributes
    ----------
    edges : float array (N + 1,)
        Pressures [s].
    heights : float array (N,)
        What the operation takes at least between two edges [s].
    idle_s : float
        What it takes without pressure [s].
    """

    edges: Floats
    heights: Floats
    idle_s: float

    @classmethod
    def below(cls, pressure: Pressure, limit_s: float, span: Span = EVERY) -> Staircase:
        """Put a staircase below the curve of an operation that has one.

        Parameters
        ----------
        limit_s : float
            Plans in which it takes longer do not matter [s].
        span : Span
            Nor do those in which the pressure is beyond it.
        """
        return _whole(pressure).within(span).up_to(limit_s)

    def within(self, span: Span) -> Staircase:
        """Return the part over some pressures."""
        edges = self.edges
        first = int(np.searchsorted(edges, span.low, "right")) - 1
        last = int(np.searchsorted(edges, span.high, "left"))
        first = min(max(first, 0), len(self.heights) - 1)
        last = min(max(last, first + 1), len(self.heights))
        some = edges[first : last + 1].copy()
        some[0] = max(some[0], span.low)
        some[-1] = max(min(some[-1], span.high), some[0])
        return Staircase(some, self.heights[first:last], self.idle_s)

    @property
    def low(self) -> float:
        """Least pressure that matters, but for none [s]."""
        return 0.0 if self.edges[0] == _NOTHING_S else float(self.edges[0])

    @property
    def high(self) -> float:
        """Most pressure that matters [s]."""
        return float(self.edges[-1])

    def up_to(self, limit_s: float) -> Staircase:
        """Return the part in which the operation takes less than some seconds."""
        matters = self.heights < limit_s
        matters[0] = True
        size = int(matters.sum())  # heights rise
        return Staircase(self.edges[: size + 1], self.heights[:size], self.idle_s)

    def least(self, pressure: float) -> float:
        """Return what it takes at least under a pressure [s]."""
        index = int(np.searchsorted(self.edges, pressure, "right")) - 1
        return float(self.heights[min(max(index, 0), len(self.heights) - 1)])

    @property
    def flattest(self) -> float:
        """Slope of the steepest line through 0 that is below it everywhere."""
        return float((self.heights / self.edges[1:]).min())

    def intercept(self, slope: float, *, runs: bool) -> float:
        """Return the height at no pressure of the highest line of a slope below it.

        Parameters
        ----------
        slope : float
            Seconds per second of pressure.
        runs : bool
            Whether there is some pressure in all plans that matter.
        """
        least = float((self.heights - slope * self.edges[1:]).min())
        return least if runs else min(least, self.idle_s * (1.0 - _SAFE))

    def slopes(self, most: int, *, runs: bool) -> list[float]:
        """Return slopes of the lines that are highest below it somewhere.

        Parameters
        ----------
        most : int
            Of how many, from the steepest to the flattest.
        """
        some = np.unique(np.linspace(0, len(self.heights) - 1, _CORNERS).astype(int))
        points = np.c_[self.edges[1:], self.heights][some]
        if not runs:
            points = np.r_[[[0.0, self.idle_s]], points]
        hull = _lower_hull(points)
        if len(hull) < 2:
            return [0.0]
        rise = np.diff(hull, axis=0)
        slopes = np.unique(np.maximum(rise[:, 1] / rise[:, 0], 0.0))
        some = np.unique(np.linspace(0, len(slopes) - 1, most).astype(int))
        return [float(slopes[i]) for i in some]


@partial(by_identity, most=_KEPT)
def _whole(pressure: Pressure) -> Staircase:
    """Return the staircase over all pressures; the last ones are kept."""
    assert pressure.curve is not None
    edges = np.r_[_NOTHING_S, np.geomspace(_FIRST_S, _LAST_S, _STEPS)]
    heights = np.asarray(pressure.curve(edges[:-1])) * (1.0 - _SAFE)
    heights = np.minimum.accumulate(heights[::-1])[::-1]
    return Staircase(edges, heights, pressure.idle_s)


def _lower_hull(points: Floats) -> Floats:
    """Return the corners of the convex hull from below, by x (Andrew 1979)."""
    hull: list[tuple[float, float]] = []
    for x, y in points.tolist():
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (y1 - y0) * (x - x0) < (y - y0) * (x1 - x0):
                break
            hull.pop()
        hull.append((x, y))
    return np.array(hull)
