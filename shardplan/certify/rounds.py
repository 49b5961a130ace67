"""Refute a threshold: prices that leave no option for a plan that is faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.kelley import Domain, maximise
from shardplan.certify.oracle import ClassOracle, PoolOracle, legal_prices
from shardplan.certify.verify import Box, open_menu, round_bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.certificate import Prices
    from shardplan.certify.kelley import Clock
    from shardplan.certify.relaxed import Relaxed

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_MOST_ROUNDS = 6
_BASIC_ROUNDS = 2
_STALLED = 0.99
"""Stop excluding options when a round leaves more than this share of them."""
_BASIC_SUBSETS = 3
_MANY_OPTIONS = 400_000
"""A quick search does without subsets of phases on menus larger than this."""


def best_prices(
    relaxed: Relaxed,
    start: Prices | None = None,
    *,
    enough: float = float("inf"),
    stop: Clock | None = None,
) -> Prices:
    """Find the prices of the largest bound on a menu without empty bundles.

    Parameters
    ----------
    start : Prices, optional
        Where to begin.
    enough : float
        A bound of at least this will do [s].
    """
    if relaxed.num_classes > 1:
        return _class_prices(relaxed, enough, stop)
    function = PoolOracle.of(relaxed)
    size = len(function.tiers)
    first = np.zeros(size) if start is None else function.from_prices(relaxed, start)
    domain = Domain(np.full(size, np.inf))
    enough = enough / function.unit
    found = maximise(function, domain, first, enough=enough, stop=stop)
    return function.to_prices(relaxed, found.prices)


def _class_prices(relaxed: Relaxed, enough: float, stop: Clock | None) -> Prices:
    """Several classes: shares of each phase are open as well."""
    classes, phases = relaxed.num_classes, relaxed.num_dimensions
    simplices = [np.arange(classes) * phases + d for d in range(phases)]
    used = (relaxed.tier_bytes > 0).any(axis=0) & (relaxed.room > 0)
    upper = np.r_[np.ones(classes * phases), np.where(used, np.inf, 0.0).ravel()]
    shares = np.tile(relaxed.class_ranks[:, None], (1, phases))
    start = np.r_[(shares / relaxed.class_ranks.sum()).ravel(), np.zeros(classes * 3)]
    unit = max(ClassOracle(relaxed)(start).value, 1e-12)
    function = ClassOracle(relaxed, unit)
    domain = Domain(upper, simplices)
    found = maximise(function, domain, start, enough=enough / unit, stop=stop)
    share, pools = function.split(found.prices)
    return legal_prices(relaxed, share, pools * unit)


def phase_peaks(relaxed: Relaxed) -> Floats:
    """Seconds per phase of each option's largest item (O, D)."""
    units = np.eye(relaxed.num_dimensions)
    return np.stack([relaxed.peak(unit) for unit in units], axis=1)


def phase_means(relaxed: Relaxed, prices: Prices) -> Floats:
    """Mean seconds per rank and phase of the cheapest options at prices (D,)."""
    if relaxed.num_classes > 1:
        function = ClassOracle(relaxed)
        shares = np.array(prices.ranks) * relaxed.class_ranks[:, None]
        per_byte = np.array([prices.hbm, prices.ddr, prices.ssd]).T
        where = np.r_[shares.ravel(), (per_byte * relaxed.room).ravel()]
        slope = function(where).slope[: shares.size].reshape(shares.shape)
        weights = relaxed.class_ranks / relaxed.class_ranks.sum()
        return np.asarray(weights @ slope)
    oracle = PoolOracle.of(relaxed)
    choice = oracle(oracle.from_prices(relaxed, prices)).choice
    return np.asarray(oracle.seconds[choice].sum(axis=0) * oracle.unit)


def subset_prices(relaxed: Relaxed, prices: Prices, most: int) -> list[Prices]:
    """Prices that leave out the phases in which items exceed the mean load.

    What an item takes in these phases then counts in full. The subsets of phases are
    those of most options, the first ones first.
    """
    if relaxed.num_dimensions == 1 or not len(relaxed) or not most:
        return []
    long = phase_peaks(relaxed) > phase_means(relaxed, prices)
    code = long @ (1 << np.arange(relaxed.num_dimensions))
    codes, count = np.unique(code, return_counts=True)
    everything = int(long.any(axis=0) @ (1 << np.arange(relaxed.num_dimensions)))
    useful = (codes > 0) & (codes != everything)
    codes, count = codes[useful], count[useful]
    chosen = codes[np.argsort(-count, kind="stable")][:most]
    found = []
    for subset in chosen:
        keep = 1.0 - ((int(subset) >> np.arange(relaxed.num_dimensions)) & 1)
        ranks = np.array(prices.ranks) * keep
        found.append(prices.replace(ranks=tuple(map(tuple, ranks.tolist()))))
    return found


class Refuter:
    """Tries to show that no plan is faster than a threshold.

    Parameters
    ----------
    prices : Prices
        Those of the bound without a threshold; the first round.
    hard : bool
        Take more rounds and kinds of prices.
    """

    def __init__(
        self, relaxed: Relaxed, prices: Prices, stop: Clock | None, *, hard: bool
    ) -> None:
        self._relaxed = relaxed
        self._stop = stop
        self._most_rounds = _MOST_ROUNDS if hard else _BASIC_ROUNDS
        subsets = 2**relaxed.num_dimensions if hard else _BASIC_SUBSETS
        if not hard and len(relaxed) > _MANY_OPTIONS:
            subsets = 0
        self._prices = [prices, *subset_prices(relaxed, prices, subsets)]
        box = Box.whole(relaxed.num_dimensions, 1e100)
        self._given = [round_bound(relaxed, p, box).given for p in self._prices]

    def remainder(self, threshold: float) -> tuple[Relaxed, tuple[Prices, ...]]:
        """Return what the first prices leave of the menu, and those that matter."""
        keep = np.ones(len(self._relaxed), dtype=bool)
        rounds: list[Prices] = []
        for prices, given in zip(self._prices, self._given, strict=True):
            left = keep & ~(given >= threshold)
            if not rounds or left.sum() < keep.sum():
                rounds.append(prices)
            keep = left
        box = Box.whole(self._relaxed.num_dimensions, threshold)
        return open_menu(self._relaxed.select(keep), box, None), tuple(rounds)

    def refute(self, threshold: float) -> tuple[float, tuple[Prices, ...]]:
        """Return a value that no plan below the threshold beats, and the rounds."""
        menu, first = self.remainder(threshold)
        rounds = list(first)
        box = Box.whole(self._relaxed.num_dimensions, threshold)
        best = 0.0
        for _ in range(self._most_rounds):
            if menu.has_empty_bundle:
                return threshold, tuple(rounds)
            prices = best_prices(menu, rounds[0], enough=threshold, stop=self._stop)
            bound = round_bound(menu, prices, box)
            rounds.append(prices)
            best = max(best, bound.value_s)
            left = ~(bound.given >= threshold)
            if best >= threshold or left.mean() > _STALLED:
                break
            menu = menu.select(left)
        if menu.has_empty_bundle:
            return threshold, tuple(rounds)
        return min(best, threshold), tuple(rounds)
