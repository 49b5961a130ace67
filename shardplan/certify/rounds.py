"""Refute a threshold: prices that leave no option for a plan that is faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.kelley import Domain, maximise
from shardplan.certify.oracle import ClassOracle, PoolOracle, legal_prices
from shardplan.certify.verify import round_bound, without_large_items

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.certificate import Prices
    from shardplan.certify.kelley import Clock
    from shardplan.certify.relaxed import Relaxed

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_MOST_ROUNDS = 6
_PEAK_OPTIONS = 100_000
"""Largest menu on which peaks are priced; they rarely matter on larger ones."""
_MOST_PEAKS = 3
_NONE = np.zeros(0, dtype=np.int64)


def best_prices(
    relaxed: Relaxed,
    start: Prices | None = None,
    *,
    peaks: bool = False,
    enough: float = float("inf"),
    stop: Clock | None = None,
) -> Prices:
    """Find the prices of the largest bound on a menu without empty bundles.

    Parameters
    ----------
    start : Prices, optional
        Where to begin.
    peaks : bool
        Price the largest items of bundles, too, where that may help.
    enough : float
        A bound of at least this will do [s].
    """
    bundles = _heavy_bundles(relaxed) if peaks else _NONE
    if relaxed.num_classes == 1 and not len(bundles):
        return _pool_prices(relaxed, start, enough, stop)
    return _class_prices(relaxed, bundles, enough, stop)


def _pool_prices(
    relaxed: Relaxed, start: Prices | None, enough: float, stop: Clock | None
) -> Prices:
    """One class: all ranks have the same price, only pools are to be priced."""
    used = (relaxed.tier_bytes > 0).any(axis=0)
    tiers = np.flatnonzero(used & (relaxed.room[0] > 0))
    function = PoolOracle.of(relaxed, tiers)
    first = np.zeros(len(tiers))
    if start is not None:
        per_byte = np.array([start.hbm[0], start.ddr[0], start.ssd[0]])
        first = (per_byte * relaxed.room[0])[tiers] / function.unit
    domain = Domain(np.full(len(tiers), np.inf))
    enough = enough / function.unit
    found = maximise(function, domain, first, enough=enough, stop=stop)
    pools = np.zeros((1, 3))
    pools[0, tiers] = found.prices * function.unit
    shares = np.ones((1, relaxed.num_dimensions))
    return legal_prices(relaxed, shares, np.zeros((0, shares.shape[1])), _NONE, pools)


def _class_prices(
    relaxed: Relaxed, bundles: Ints, enough: float, stop: Clock | None
) -> Prices:
    """Several classes, or priced peaks: shares of each phase are open as well."""
    classes, phases = relaxed.num_classes, relaxed.num_dimensions
    rows = classes + len(bundles)
    simplices = [np.arange(rows) * phases + d for d in range(phases)]
    used = (relaxed.tier_bytes > 0).any(axis=0) & (relaxed.room > 0)
    upper = np.r_[np.ones(rows * phases), np.where(used, np.inf, 0.0).ravel()]
    shares = np.zeros((rows, phases))
    shares[:classes] = (relaxed.class_ranks / relaxed.class_ranks.sum())[:, None]
    start = np.r_[shares.ravel(), np.zeros(classes * 3)]
    unit = max(ClassOracle(relaxed, bundles)(start).value, 1e-12)
    function = ClassOracle(relaxed, bundles, unit)
    domain = Domain(upper, simplices)
    found = maximise(function, domain, start, enough=enough / unit, stop=stop)
    share, peak, pools = function.split(found.prices)
    return legal_prices(relaxed, share, peak, bundles, pools * unit)


def _heavy_bundles(relaxed: Relaxed) -> Ints:
    """Bundles whose every option has an item above the mean load of a phase.

    At most `_MOST_PEAKS`, those first that exceed the means by most.
    """
    if relaxed.num_dimensions == 1 or len(relaxed) > _PEAK_OPTIONS:
        return _NONE
    mean = phase_means(relaxed)
    excess = np.zeros(len(relaxed))
    for phase, unit in enumerate(np.eye(relaxed.num_dimensions)):
        excess += np.maximum(relaxed.peak(unit) - mean[phase], 0.0)
    least = relaxed.least_per_bundle(excess)
    order = np.argsort(-least, kind="stable")[:_MOST_PEAKS]
    return np.sort(order[least[order] > 1e-4 * mean.sum()])


def phase_means(relaxed: Relaxed) -> Floats:
    """Mean seconds per rank and phase if bundles take their cheapest options (D,)."""
    classes, phases = relaxed.num_classes, relaxed.num_dimensions
    function = ClassOracle(relaxed, _NONE)
    shares = np.tile(relaxed.class_ranks[:, None], (1, phases))
    start = np.r_[(shares / relaxed.class_ranks.sum()).ravel(), np.zeros(classes * 3)]
    slope = function(start).slope[: classes * phases].reshape(classes, phases)
    weights = relaxed.class_ranks / relaxed.class_ranks.sum()
    return np.asarray((slope * weights[:, None]).sum(axis=0))


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
        self._prices = prices
        self._stop = stop
        self._hard = hard
        self._given = round_bound(relaxed, prices).given

    def refute(self, threshold: float) -> tuple[float, tuple[Prices, ...]]:
        """Return a value that no plan below the threshold beats, and the rounds."""
        menu = self._relaxed.select(~(self._given >= threshold))
        menu = without_large_items(menu, threshold)
        rounds, best = [self._prices], 0.0
        for _ in range(_MOST_ROUNDS if self._hard else 2):
            if menu.has_empty_bundle:
                return threshold, tuple(rounds)
            prices = best_prices(
                menu, rounds[-1], peaks=self._hard, enough=threshold, stop=self._stop
            )
            bound = round_bound(menu, prices)
            rounds.append(prices)
            best = max(best, bound.value_s)
            keep = ~(bound.given >= threshold)
            if best >= threshold or keep.mean() > 0.99:
                break
            menu = menu.select(keep)
        if menu.has_empty_bundle:
            return threshold, tuple(rounds)
        return min(best, threshold), tuple(rounds)
