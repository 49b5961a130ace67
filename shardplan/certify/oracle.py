"""The Lagrangian as a function of prices: its value and slope, in floating point.

Prices are searched for in natural units. A vector of prices has three parts:
shares s[c, d] of a second of dimension d that class c bears (they sum to 1 over
classes and peaks), shares of the same for the largest item of single bundles, and
y[c, tier] for the whole pool of a tier in a class. Values and y are in units of the
Lagrangian at y = 0, so that tolerances of the linear programs make sense.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

import numpy as np

from shardplan.certificate import PeakPrice, Prices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.certify.relaxed import Relaxed

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


_LEAST_UNIT = 1e-12


class Point(NamedTuple):
    """Value and supergradient of the Lagrangian at some prices."""

    value: float
    slope: Floats
    choice: Ints


class Oracle(Protocol):
    """A concave function of prices."""

    def __call__(self, prices: Floats) -> Point:
        """Evaluate."""


@dataclass(frozen=True, eq=False)
class PoolOracle:
    """One class of ranks, no priced peaks: only the prices of its pools are open.

    Attributes
    ----------
    unit : float
        What values and prices are counted in [s].
    seconds : float array (O,)
        Average seconds per rank of each option [unit].
    shares : float array (O, K)
        Share of each scarce pool that an option takes.
    start : int array (B + 1,)
    """

    unit: float
    seconds: Floats
    shares: Floats
    start: Ints

    @classmethod
    def of(cls, relaxed: Relaxed, tiers: Ints) -> Self:
        """Sum up the items of every option."""
        ranks = float(relaxed.class_ranks[0])
        times = relaxed.times * np.where(relaxed.everywhere, ranks, 1.0)
        first = relaxed.item_start[:-1]
        seconds = relaxed.cost[:, 0].sum(axis=1) * times / ranks
        shares = [
            np.add.reduceat(
                relaxed.tier_bytes[:, tier] * times / relaxed.room[0, tier], first
            )
            for tier in tiers
        ]
        stacked = np.stack(shares, axis=1) if shares else np.zeros((len(relaxed), 0))
        total = np.add.reduceat(seconds, first)
        unit = max(float(relaxed.least_per_bundle(total).sum()), _LEAST_UNIT)
        return cls(unit, total / unit, stacked, relaxed.start)

    def __call__(self, prices: Floats) -> Point:
        """Evaluate; see `Oracle`."""
        cost = self.seconds + self.shares @ prices if len(prices) else self.seconds
        choice = first_least(cost, self.start)
        slope = self.shares[choice].sum(axis=0) - 1.0
        return Point(float(cost[choice].sum() - prices.sum()), slope, choice)


@dataclass(frozen=True, eq=False)
class ClassOracle:
    """Any number of classes and priced peaks.

    Attributes
    ----------
    relaxed : Relaxed
    bundles : int array (M,)
        Bundles whose peak may have a price.
    unit : float
        What values and prices of pools are counted in [s].
    """

    relaxed: Relaxed
    bundles: Ints
    unit: float = 1.0

    def split(self, prices: Floats) -> tuple[Floats, Floats, Floats]:
        """Cut a vector into shares (C, D), peaks (M, D) and pools (C, 3)."""
        classes, phases = self.relaxed.num_classes, self.relaxed.num_dimensions
        rows = classes + len(self.bundles)
        shares = prices[: rows * phases].reshape(rows, phases)
        pools = prices[rows * phases :].reshape(classes, 3)
        return shares[:classes], shares[classes:], pools

    def __call__(self, prices: Floats) -> Point:
        """Evaluate; see `Oracle`."""
        relaxed = self.relaxed
        shares, peaks, pools = self.split(prices)
        ranks = relaxed.class_ranks[:, None].astype(float)
        room = np.maximum(relaxed.room, 1.0)
        per_rank, per_byte = shares / ranks, pools * self.unit / room
        cost = relaxed.priced(per_rank, per_byte)
        for bundle, weights in zip(self.bundles, peaks, strict=True):
            some = relaxed.options_of(int(bundle))
            cost[some] += relaxed.peak(weights, some)
        choice = first_least(cost, relaxed.start)
        used, used_bytes = self._use(choice, per_rank, per_byte)
        tops = self._peaks(choice)
        seconds = np.concatenate([used / ranks, tops]).ravel() / self.unit
        slope = np.r_[seconds, (used_bytes / room - 1.0).ravel()]
        value = float(cost[choice].sum()) / self.unit - float(pools.sum())
        return Point(value, slope, choice)

    def _use(
        self, choice: Ints, per_rank: Floats, per_byte: Floats
    ) -> tuple[Floats, Floats]:
        """Seconds (C, D) and bytes (C, 3) that chosen options put on each class."""
        relaxed = self.relaxed
        items = items_of(relaxed.item_start, choice)
        cost, size = relaxed.cost[items], relaxed.tier_bytes[items]
        priced = np.einsum("icd,cd->ic", cost, per_rank) + size @ per_byte.T
        if relaxed.legal is not None:
            priced = np.where(relaxed.legal[items], priced, np.inf)
        count = np.zeros(priced.shape)
        count[np.arange(len(items)), priced.argmin(axis=1)] = relaxed.times[items]
        every = relaxed.everywhere[items]
        count[every] = relaxed.times[items][every, None] * relaxed.class_ranks
        return np.einsum("ic,icd->cd", count, cost), count.T @ size

    def _peaks(self, choice: Ints) -> Floats:
        """Seconds per phase of the largest item of the bundles with priced peaks."""
        relaxed = self.relaxed
        tops = np.zeros((len(self.bundles), relaxed.num_dimensions))
        for row, bundle in enumerate(self.bundles):
            option = int(choice[bundle])
            some = slice(option, option + 1)
            for phase, unit in enumerate(np.eye(relaxed.num_dimensions)):
                tops[row, phase] = relaxed.peak(unit, some)[0]
        return tops


def first_least(values: Floats, start: Ints) -> Ints:
    """Index of each bundle's first least value; no bundle may be empty."""
    least = np.minimum.reduceat(values, start[:-1])
    hits = np.flatnonzero(values <= np.repeat(least, np.diff(start)))
    return np.asarray(hits[np.searchsorted(hits, start[:-1])])


def items_of(item_start: Ints, options: Ints) -> Ints:
    """Concatenate the items of some options."""
    sizes = item_start[options + 1] - item_start[options]
    shift = np.repeat(item_start[options] - (np.cumsum(sizes) - sizes), sizes)
    return np.asarray(np.arange(len(shift)) + shift)


def legal_prices(
    relaxed: Relaxed, shares: Floats, peaks: Floats, bundles: Ints, pools: Floats
) -> Prices:
    """Turn natural units into prices of seconds and bytes that sum to at most 1."""
    total = shares.sum(axis=0) + peaks.sum(axis=0)
    scale = (1.0 - 1e-14) / np.maximum(total, 1e-300)
    per_rank = shares * scale / relaxed.class_ranks[:, None]
    per_byte = pools / np.maximum(relaxed.room, 1.0)
    hbm, ddr, ssd = (tuple(map(float, column)) for column in per_byte.T)
    return Prices(
        ranks=tuple(tuple(map(float, row)) for row in per_rank),
        hbm=hbm,
        ddr=ddr,
        ssd=ssd,
        peaks=tuple(
            PeakPrice(bundle=int(bundle), phases=tuple(map(float, row * scale)))
            for bundle, row in zip(bundles, peaks, strict=True)
            if row.any()
        ),
    )
