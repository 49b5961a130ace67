"""Search for prices of items that refute a threshold: a configuration LP, dualised.

Maximises the ranks that the cheapest options of all bundles need, over prices at which
no pattern costs more than 1. Patterns are found one at a time; prices stay in a box
around the best ones, which grows while they improve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.highs import End, Highs
from shardplan.certify.patterns import Choices, ItemPrices, Pattern, PatternSums
from shardplan.certify.tolerances import MOST_RANKS_WORTH, PRICE_DIGITS, REFUTED
from shardplan.records.certificate import PatternPrices

if TYPE_CHECKING:
    from shardplan.certify.kelley import Clock
    from shardplan.certify.params import PatternParams
    from shardplan.certify.relaxed import Relaxed
    from shardplan.records.arrays import Floats
    from shardplan.records.certificate import Prices


@dataclass(frozen=True, eq=False)
class PricedItems:
    """Prices found for one threshold.

    Attributes
    ----------
    threshold : float
    ranks_needed : float
        Over the number of ranks; above 1 the threshold is refuted.
    prices : ItemPrices
        Of all items of the whole menu (those left out are 0).
    """

    threshold: float
    ranks_needed: float
    prices: ItemPrices

    def record(self) -> PatternPrices:
        """Return the prices as a certificate stores them."""
        some = np.flatnonzero(self.prices.items > 0)
        hbm, ddr, ssd = (float(price) for price in self.prices.pools)
        return PatternPrices(
            items=tuple(map(int, some)),
            prices=tuple(
                round(float(p), PRICE_DIGITS) for p in self.prices.items[some]
            ),
            hbm=hbm,
            ddr=ddr,
            ssd=ssd,
        )


class PatternPricer:
    """Looks for prices of items, threshold by threshold.

    Parameters
    ----------
    relaxed : Relaxed
        The whole menu.
    prices : Prices
        Of seconds and bytes, where every search begins.

    Attributes
    ----------
    work : float
        Spent so far, in options looked at by other means.
    """

    def __init__(
        self,
        relaxed: Relaxed,
        prices: Prices,
        stop: Clock | None,
        params: PatternParams,
    ) -> None:
        self._num_items = int(relaxed.items.item.max(initial=-1)) + 1
        self._prices = prices
        self._stop, self._params = stop, params
        self.work = 0.0

    def price(
        self,
        relaxed: Relaxed,
        threshold: float,
        before: PricedItems | None,
        most_work: float,
    ) -> PricedItems | None:
        """Look for prices of items; None if the menu is too large for that.

        Parameters
        ----------
        relaxed : Relaxed
            What is left of the menu below the threshold; no bundle is empty.
        before : PricedItems, optional
            Of another threshold.
        most_work : float
            End when `work` has grown to this.
        """
        choices = Choices.of(relaxed, threshold)
        if choices is None or len(choices.bundle) > self._params.most_choices:
            return None
        search = _ItemPriceSearch(
            relaxed, choices, threshold, self._prices, before, self._params
        )
        per_step = float(len(choices.bundle) * self._params.choice_work)
        search.run(self._stop, (most_work - self.work) / max(per_step, 1.0))
        self.work += search.steps * per_step
        items = np.zeros(self._num_items)
        items[relaxed.items.item] = search.best.items
        needed = search.value / float(relaxed.class_ranks[0])
        return PricedItems(threshold, needed, ItemPrices(items, search.best.pools))


class _ItemPriceSearch:
    """The best prices so far, and a master problem of all patterns seen."""

    def __init__(
        self,
        relaxed: Relaxed,
        choices: Choices,
        threshold: float,
        prices: Prices,
        before: PricedItems | None,
        params: PatternParams,
    ) -> None:
        self._choices, self._params = choices, params
        self._sums = PatternSums.of(relaxed)
        self._ranks = float(relaxed.class_ranks[0])
        self._size = relaxed.items.tier_bytes[:, 0] / max(
            float(relaxed.largest_hbm[0]), 1.0
        )
        start = self._by_sums(relaxed, threshold, prices)
        self._scale = np.maximum(start.items, params.least_price)
        self._master = _PatternProgram(self._sums, self._size)
        self.value, self.best, self.steps = -np.inf, start, 0
        self._try(start)
        if before is not None:
            old = ItemPrices(
                before.prices.items[relaxed.items.item], before.prices.pools
            )
            self._try(old.times(before.threshold / threshold))

    def run(self, stop: Clock | None, most_patterns: float) -> None:
        """Improve the prices until they refute, or nothing is gained."""
        params = self._params
        radius = params.radius
        for _ in range(params.most_steps):
            if self.steps >= most_patterns:
                break
            if self.value > self._ranks * (1.0 + REFUTED) or (stop and stop.now()):
                break
            left_s = stop.remaining_s() if stop else np.inf
            solved = self._master.solve(self.best, radius * self._scale, radius, left_s)
            if solved is None:
                break
            prices, promised = solved
            if promised - self.value < params.done * self._ranks:
                if radius >= params.most_radius:
                    break
                radius *= params.widen
                continue
            before = self.value
            if not self._try(prices):
                radius = max(params.shrink * radius, params.least_radius)
            elif self.value - before > params.good * (promised - before):
                radius *= params.grow

    def _by_sums(
        self, relaxed: Relaxed, threshold: float, prices: Prices
    ) -> ItemPrices:
        """Prices of items that say the same as prices of seconds and bytes."""
        per_byte = np.array([prices.hbm[0], prices.ddr[0], prices.ssd[0]])
        hbm = float(per_byte[0] * self._ranks * relaxed.largest_hbm[0]) / threshold
        seconds = relaxed.items.cost[:, 0].sum(axis=1) / threshold
        pools = per_byte * relaxed.room[0] * self._ranks / threshold
        pools[0] = hbm
        return ItemPrices(seconds + hbm * self._size, pools).times(1.0 / (1.0 + hbm))

    def _try(self, prices: ItemPrices) -> bool:
        """Evaluate prices, keep them if they are the best, and learn a pattern."""
        self.steps += 1
        dearest, pattern = self._choices.dearest(prices)
        self._master.add(pattern)
        value = self._sums.ranks_needed(prices, dearest)
        if value <= self.value:
            return False
        self.value, self.best = value, prices.times(1.0 / dearest if dearest else 1.0)
        return True


class _PatternProgram:
    """maximise sum_b y[b] - pools, y[b] <= cost of b's options, patterns <= 1."""

    def __init__(self, sums: PatternSums, size: Floats) -> None:
        relaxed = sums.relaxed
        self._num_items = int(relaxed.items.start[-1])
        self._size = size
        cost = np.r_[
            np.zeros(self._num_items + 1), 1.0, 1.0, np.full(relaxed.num_bundles, -1.0)
        ]
        most = MOST_RANKS_WORTH * float(relaxed.class_ranks[0])
        self._model = Highs("the patterns of a bound", cost, 0.0, most)
        for option, bundle in enumerate(relaxed.bundle):
            first, last = relaxed.items.start[option], relaxed.items.start[option + 1]
            pools = self._num_items + np.arange(1, 3)
            own = self._num_items + 3 + int(bundle)
            index = np.r_[np.arange(first, last), pools, own]
            value = np.r_[-sums.times[first:last], -sums.shares[option, 1:], 1.0]
            self._model.add_row(-np.inf, 0.0, index, value)

    def add(self, pattern: Pattern) -> None:
        """No pattern costs more than 1."""
        hbm = 1.0 - float(self._size[pattern.items] @ pattern.copies)
        index = np.r_[pattern.items, self._num_items]
        self._model.add_row(-np.inf, 1.0, index, np.r_[pattern.copies, hbm])

    def solve(
        self, center: ItemPrices, width: Floats, pool_width: float, left_s: float
    ) -> tuple[ItemPrices, float] | None:
        """Best prices near a center, and the ranks that they promise.

        None if HiGHS does not find them, or not in the seconds left.
        """
        where = np.r_[center.items, center.pools]
        widths = np.r_[width, pool_width, np.full(2, pool_width * len(width))]
        self._model.bound(np.maximum(where - widths, 0.0), where + widths)
        if self._model.run(time_limit_s=left_s) is not End.OPTIMAL:
            return None
        prices = np.maximum(self._model.values[: len(where)], 0.0)
        return ItemPrices(prices[:-3], prices[-3:]), -self._model.objective
