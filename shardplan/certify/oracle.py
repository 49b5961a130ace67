"""The Lagrangian as a function of prices: its value and slope, in floating point.

Prices are searched for in natural units. A vector of prices has two parts: shares
s[c, p] of a second of phase p that class c bears, and y[c, tier] for the whole pool of
a tier in a class. Values and y are in units of the Lagrangian at y = 0, so that the
tolerances of linear programs make sense.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

import numpy as np

from shardplan.certify.tolerances import (
    BELOW_ONE,
    LEAST_UNIT_S,
    LONGEST_PHASE,
    NEAR_ONE,
)
from shardplan.problems.totals import first_least
from shardplan.records.certificate import Prices

if TYPE_CHECKING:
    from shardplan.certify.relaxed import Relaxed
    from shardplan.certify.verify import Box
    from shardplan.records.arrays import Bools, Floats, Ints


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
    """One class of ranks: the prices of its pools are open, and of some phases.

    Attributes
    ----------
    unit : float
        What values and prices are counted in [s].
    seconds : float array (O, D)
        Average seconds per rank of each option and phase [unit].
    shares : float array (O, K)
        Share of each scarce pool that an option takes.
    start : int array (B + 1,)
    tiers : int array (K,)
        The scarce pools.
    phases : int array (A,)
        Phases whose price may differ from 1.
    low, high : float arrays (A,)
        What is known of the slowest rank in these phases [unit].
    fixed : float array (O,)
        Seconds in all other phases.
    """

    unit: float
    seconds: Floats
    shares: Floats
    start: Ints
    tiers: Ints
    phases: Ints
    low: Floats
    high: Floats
    fixed: Floats

    @classmethod
    def of(cls, relaxed: Relaxed) -> Self:
        """Sum up the items of every option; only pools are open."""
        seconds = relaxed.known("seconds", lambda: _mean_seconds(relaxed))
        shares = relaxed.known("shares", lambda: _pool_shares(relaxed))
        fixed = relaxed.known("all seconds", lambda: seconds.sum(axis=1))
        return cls.of_sums(seconds, shares, relaxed.start, fixed)

    @classmethod
    def of_sums(
        cls, seconds: Floats, shares: Floats, start: Ints, fixed: Floats
    ) -> Self:
        """Take sums over the items of every option; only pools are open.

        Parameters
        ----------
        seconds : float array (O, D)
            Average seconds per rank, or total ones.
        shares : float array (O, 3)
            Share of each tier that an option takes.
        start : int array (B + 1,)
            Options of bundle b are ``start[b]:start[b + 1]``; there is one.
        fixed : float array (O,)
            Sum of `seconds`.
        """
        tiers = np.flatnonzero(shares.any(axis=0))
        least = np.minimum.reduceat(fixed, start[:-1])
        unit = max(float(least.sum()), LEAST_UNIT_S)
        none = np.zeros(0)
        return cls(
            unit,
            seconds / unit,
            shares[:, tiers],
            start,
            tiers,
            none.astype(np.int64),
            none,
            none,
            fixed / unit,
        )

    def restricted(self, keep: Bools, box: Box, phases: Ints) -> PoolOracle:
        """Return the function for some options, with some phases open."""
        counts = np.add.reduceat(np.r_[keep, False].astype(np.int64), self.start[:-1])
        counts[np.diff(self.start) == 0] = 0
        seconds = self.seconds[keep]
        others = np.setdiff1d(np.arange(seconds.shape[1]), phases)
        return PoolOracle(
            self.unit,
            seconds[:, phases],
            self.shares[keep],
            np.r_[0, np.cumsum(counts)],
            self.tiers,
            phases,
            np.array(box.low)[phases] / self.unit,
            np.minimum(np.array(box.high)[phases] / self.unit, LONGEST_PHASE),
            seconds[:, others].sum(axis=1),
        )

    def __call__(self, prices: Floats) -> Point:
        """Evaluate; see `Oracle`."""
        size = len(self.phases)
        weights, pools = prices[:size], prices[size:]
        cost = self.fixed
        if size:
            cost = cost + self.seconds @ weights
        if pools.any():
            cost = cost + self.shares @ pools
        choice = first_least(cost, self.start)
        edge = np.where(weights <= 1.0, self.low, self.high)
        slope: Floats = self.shares[choice].sum(axis=0) - 1.0
        if size:
            slope = np.r_[self.seconds[choice].sum(axis=0) - edge, slope]
        value = float(cost[choice].sum() - pools.sum() + (1.0 - weights) @ edge)
        return Point(value, np.asarray(slope), choice)

    def to_prices(self, relaxed: Relaxed, found: Floats) -> Prices:
        """Turn a vector into prices of seconds and bytes."""
        size = len(self.phases)
        shares = np.ones((1, relaxed.num_dimensions))
        shares[0, self.phases] = found[:size]
        pools = np.zeros((1, 3))
        pools[0, self.tiers] = found[size:] * self.unit
        return legal_prices(relaxed, shares, pools)

    def from_prices(self, relaxed: Relaxed, prices: Prices) -> Floats:
        """Turn prices into a vector."""
        per_byte = np.array([prices.hbm[0], prices.ddr[0], prices.ssd[0]])
        pools = (per_byte * relaxed.room[0])[self.tiers] / self.unit
        shares = np.array(prices.ranks[0]) * relaxed.class_ranks[0]
        return np.asarray(np.r_[shares[self.phases], pools])


def _mean_seconds(relaxed: Relaxed) -> Floats:
    """Average seconds per rank of each option and phase (O, D)."""
    items, ranks = relaxed.items, float(relaxed.class_ranks[0])
    seconds = items.cost[:, 0] * (relaxed.rank_times / ranks)[:, None]
    return np.add.reduceat(seconds, items.start[:-1], axis=0)


def _pool_shares(relaxed: Relaxed) -> Floats:
    """Share of each tier that each option takes (O, 3)."""
    items = relaxed.items
    room = np.where(relaxed.room[0] > 0, relaxed.room[0], np.inf)
    shares = items.tier_bytes * relaxed.rank_times[:, None] / room
    return np.add.reduceat(shares, items.start[:-1], axis=0)


@dataclass(frozen=True, eq=False)
class ClassOracle:
    """Any number of classes.

    Attributes
    ----------
    relaxed : Relaxed
    unit : float
        What values and prices of pools are counted in [s].
    """

    relaxed: Relaxed
    unit: float = 1.0

    def split(self, prices: Floats) -> tuple[Floats, Floats]:
        """Cut a vector into shares (C, D) and pools (C, 3)."""
        classes, phases = self.relaxed.num_classes, self.relaxed.num_dimensions
        shares = prices[: classes * phases].reshape(classes, phases)
        return shares, prices[classes * phases :].reshape(classes, 3)

    def __call__(self, prices: Floats) -> Point:
        """Evaluate; see `Oracle`."""
        relaxed = self.relaxed
        shares, pools = self.split(prices)
        ranks = relaxed.class_ranks[:, None].astype(float)
        room = np.maximum(relaxed.room, 1.0)
        per_rank, per_byte = shares / ranks, pools * self.unit / room
        cost = relaxed.priced(per_rank, per_byte)
        choice = first_least(cost, relaxed.start)
        used, used_bytes = self._use(choice, per_rank, per_byte)
        seconds = (used / ranks).ravel() / self.unit
        slope = np.r_[seconds, (used_bytes / room - 1.0).ravel()]
        value = float(cost[choice].sum()) / self.unit - float(pools.sum())
        return Point(value, slope, choice)

    def _use(
        self, choice: Ints, per_rank: Floats, per_byte: Floats
    ) -> tuple[Floats, Floats]:
        """Seconds (C, D) and bytes (C, 3) that chosen options put on each class."""
        relaxed = self.relaxed
        known = relaxed.items
        items = items_of(known.start, choice)
        cost, size = known.cost[items], known.tier_bytes[items]
        priced = np.einsum("icd,cd->ic", cost, per_rank) + size @ per_byte.T
        if known.legal is not None:
            priced = np.where(known.legal[items], priced, np.inf)
        count = np.zeros(priced.shape)
        count[np.arange(len(items)), priced.argmin(axis=1)] = known.times[items]
        every = known.everywhere[items]
        count[every] = known.times[items][every, None] * relaxed.class_ranks
        return np.einsum("ic,icd->cd", count, cost), count.T @ size


def items_of(item_start: Ints, options: Ints) -> Ints:
    """Concatenate the items of some options."""
    sizes = item_start[options + 1] - item_start[options]
    shift = np.repeat(item_start[options] - (np.cumsum(sizes) - sizes), sizes)
    return np.asarray(np.arange(len(shift)) + shift)


def legal_prices(relaxed: Relaxed, shares: Floats, pools: Floats) -> Prices:
    """Turn natural units into prices of seconds and bytes.

    Shares of a phase that should sum to 1 end up just below, whatever the rounding.
    """
    total = shares.sum(axis=0)
    near_one = np.abs(total - 1.0) < NEAR_ONE
    scale = np.where(near_one, (1.0 - BELOW_ONE) / np.where(near_one, total, 1.0), 1.0)
    per_rank = shares * scale / relaxed.class_ranks[:, None]
    per_byte = pools / np.maximum(relaxed.room, 1.0)
    hbm, ddr, ssd = (tuple(map(float, column)) for column in per_byte.T)
    ranks = tuple(tuple(map(float, row)) for row in per_rank)
    return Prices.model_construct(ranks=ranks, hbm=hbm, ddr=ddr, ssd=ssd)
