"""Prices of whole memory pools at which choosing the cheapest options nearly fits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from shardplan.certify.kelley import Domain, maximise
from shardplan.certify.oracle import Point
from shardplan.problems.totals import first_least
from shardplan.records.sharding import TIERS

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.problems.totals import OptionTotals
    from shardplan.records.arrays import Bools, Floats, Ints


_TOO_DEAR = 1e4
"""Give up on prices when the bound is this many times the least seconds."""
_LEAST_UNIT = 1e-30


class PoolPrices(NamedTuple):
    """What the linear relaxation of a choice knows.

    Attributes
    ----------
    prices : float array (3,)
        Seconds for each whole tier.
    least_s : float
        No choice that fits takes fewer seconds [s].
    candidates : int array
        Options that are the cheapest of their bundle at some prices near these.
    """

    prices: Floats
    least_s: float
    candidates: Ints


def pool_prices(
    problem: Problem, totals: OptionTotals, legal: Bools, fill: float
) -> PoolPrices:
    """Find the price of each tier for which the Lagrangian is largest.

    Notes
    -----
    max over prices >= 0 of sum_b min_o (seconds_o + prices . bytes_o) - fill prices,
    by cutting planes; it equals the linear relaxation of the choice, and the cheapest
    options on the way there are enough to solve that.
    """
    dual = _Dual.of(problem, totals, legal, fill)
    size = len(dual.tiers)
    domain = Domain(np.full(size, np.inf))
    found = maximise(dual, domain, np.zeros(size), enough=_TOO_DEAR)
    prices = np.zeros(len(TIERS))
    prices[dual.tiers] = found.prices * dual.unit / fill
    chosen = dual.kept[np.unique(np.concatenate(dual.choices))]
    return PoolPrices(prices, found.point.value * dual.unit, chosen)


@dataclass(frozen=True, eq=False)
class _Dual:
    """The Lagrangian of legal options, in units of the least seconds of all bundles."""

    unit: float
    kept: Ints
    seconds: Floats
    shares: Floats
    start: Ints
    tiers: Ints
    choices: list[Ints] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        problem: Problem,
        totals: OptionTotals,
        legal: Bools,
        fill: float,
    ) -> Self:
        """Leave out options that are not legal, and tiers that are not used."""
        kept = np.flatnonzero(legal)
        start = np.searchsorted(kept, problem.options.start)
        seconds, shares = totals.seconds[kept], totals.tier_bytes[kept]
        tiers = np.flatnonzero(shares.any(axis=0))
        unit = max(float(np.minimum.reduceat(seconds, start[:-1]).sum()), _LEAST_UNIT)
        return cls(unit, kept, seconds / unit, shares[:, tiers] / fill, start, tiers)

    def __call__(self, prices: Floats) -> Point:
        """Evaluate; see `shardplan.certify.oracle.Oracle`."""
        priced = self.seconds + self.shares @ prices if prices.any() else self.seconds
        choice = first_least(priced, self.start)
        self.choices.append(choice)
        slope: Floats = self.shares[choice].sum(axis=0) - 1.0
        value = float(priced[choice].sum() - prices.sum())
        return Point(value, slope, choice)
