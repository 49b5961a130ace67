"""Prices of whole memory pools at which choosing the cheapest options nearly fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.certify.kelley import Domain, maximise
from shardplan.certify.oracle import PoolOracle
from shardplan.certify.params import PROOF_DEFAULTS, PlaneParams
from shardplan.records.sharding import TIERS
from shardplan.solvers.tolerances import TOO_DEAR

if TYPE_CHECKING:
    from shardplan.certify.oracle import Point
    from shardplan.problems.problem import Problem
    from shardplan.problems.totals import OptionTotals
    from shardplan.records.arrays import Bools, Floats, Ints


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
    problem: Problem,
    totals: OptionTotals,
    legal: Bools,
    fill: float,
    params: PlaneParams = PROOF_DEFAULTS.cutting_planes,
) -> PoolPrices:
    """Find the price of each tier for which the Lagrangian is largest.

    Notes
    -----
    max over prices >= 0 of sum_b min_o (seconds_o + prices . bytes_o) - fill prices,
    by cutting planes; it equals the linear relaxation of the choice, and the cheapest
    options on the way there are enough to solve that.
    """
    kept = np.flatnonzero(legal)
    start = np.searchsorted(kept, problem.options.start)
    seconds, shares = totals.seconds[kept], totals.tier_bytes[kept] / fill
    function = PoolOracle.of_sums(seconds[:, None], shares, start, seconds)
    choices: list[Ints] = []

    def remembered(prices: Floats) -> Point:
        point = function(prices)
        choices.append(point.choice)
        return point

    size = len(function.tiers)
    domain = Domain(np.full(size, np.inf))
    found = maximise(remembered, domain, np.zeros(size), params, enough=TOO_DEAR)
    prices = np.zeros(len(TIERS))
    prices[function.tiers] = found.prices * function.unit / fill
    chosen = kept[np.unique(np.concatenate(choices))]
    return PoolPrices(prices, found.point.value * function.unit, chosen)
