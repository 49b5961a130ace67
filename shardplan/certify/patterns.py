"""What a single rank can hold: a price for every item, and the dearest set of items.

Prices of seconds and bytes add up; items do not always fit together. A pattern is a
set of items that one rank can hold in less than the threshold. Let every item have a
price, and let no pattern be dearer than k. W ranks then hold items worth W k at most,
so there is no plan below the threshold if the cheapest options of all bundles cost
more than W k and the priced room of all hosts together.

References
----------
Gilmore and Gomory, A linear programming approach to the cutting-stock problem,
Operations Research 9 (1961). Farley, A note on bounding a class of linear programming
problems, including cutting stock problems, Operations Research 38 (1990).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from shardplan.certify.relaxed import Relaxed
    from shardplan.records.arrays import Floats, Ints


MOST_CHOICES = 100_000
"""Choices above which a certificate is refused: the dynamic program of `dearest` has
this many rows of `CELLS` numbers."""
CELLS = 8000
"""Steps into which the threshold is cut; times are rounded down."""
_SAFE = 1e-9
"""Share by which cells are widened and prices raised: far more than the roundings of a
sum over the items of a rank."""
_MOST_ITEMS = 2
"""Kinds of items of an option: wide and narrow shards."""


class Pattern(NamedTuple):
    """Items on one rank: their indices, and how many copies of each."""

    items: Ints
    copies: Ints


class ItemPrices(NamedTuple):
    """Prices of a menu's items (I,), and of a rank's HBM and all DDR and SSD (3,)."""

    items: Floats
    pools: Floats

    def times(self, factor: float) -> ItemPrices:
        """Return all prices times a factor."""
        return ItemPrices(self.items * factor, self.pools * factor)


@dataclass(frozen=True, eq=False)
class Choices:
    """What a rank may hold of each bundle: some copies of one option's items.

    Attributes
    ----------
    bundle : int array (N,)
        Sorted.
    items, copies : int arrays (N, 2)
        Up to two items, with 0 copies if there is only one.
    cells : int array (N,)
        Seconds in cells, rounded down.
    size : float array (N,)
        Bytes as a share of a rank's HBM.
    """

    bundle: Ints
    items: Ints
    copies: Ints
    cells: Ints
    size: Floats

    @classmethod
    def of(cls, relaxed: Relaxed, limit: float) -> Choices | None:
        """List the choices of a menu; None if that is too much.

        Notes
        -----
        A cell is a little more than limit / `CELLS`, so that sets of items that take
        less than the limit always fit into all cells.
        """
        sizes = np.diff(relaxed.items.start)
        if relaxed.num_classes > 1 or not len(sizes) or sizes.max() > _MOST_ITEMS:
            return None
        items = np.stack(
            [relaxed.items.start[:-1], relaxed.items.start[1:] - 1], axis=1
        )
        most = relaxed.items.per_rank[items] * np.stack([sizes > 0, sizes > 1], axis=1)
        count = (most + 1).prod(axis=1)
        if count.sum() > MOST_CHOICES:
            return None
        option = np.repeat(np.arange(len(relaxed)), count)
        index = np.arange(len(option)) - np.repeat(np.cumsum(count) - count, count)
        copies = np.stack(np.divmod(index, most[option, 1] + 1), axis=1)
        seconds = (copies * relaxed.items.peak[:, 0].sum(axis=1)[items][option]).sum(
            axis=1
        )
        room = max(float(relaxed.largest_hbm[0]), 1.0)
        size = (copies * relaxed.items.tier_bytes[:, 0][items][option]).sum(
            axis=1
        ) / room
        cells = np.floor(seconds / limit * (CELLS * (1.0 - _SAFE)))
        fits = (cells <= CELLS) & (size <= 1.0 + _SAFE) & (index > 0)
        return cls(
            bundle=relaxed.bundle[option][fits],
            items=items[option][fits],
            copies=copies[fits],
            cells=cells[fits].astype(np.int64),
            size=size[fits],
        )

    def dearest(self, prices: ItemPrices) -> tuple[float, Pattern]:
        """Find the dearest pattern by dynamic programming over the cells.

        Returns
        -------
        float
            No pattern costs more.
        Pattern
            The dearest set of items in cells; it may be a little too long, or too
            large, for a rank.

        Notes
        -----
        HBM has a price instead of cells: a set of items that fits costs at most
        sum_i (price[i] - hbm size[i]) + hbm.
        """
        gross = (self.copies * prices.items[self.items]).sum(axis=1)
        hbm = float(prices.pools[0])
        worth = gross - hbm * self.size
        best, taken = np.zeros(CELLS + 1), []
        useful = self._best_per_cell(worth)
        starts = np.flatnonzero(np.diff(self.bundle[useful], prepend=-1))
        for some in np.split(useful, starts[1:]) if len(useful) else []:
            new, choice = best.copy(), np.full(CELLS + 1, -1)
            for one in some:
                cells = self.cells[one]
                candidate = best[: CELLS + 1 - cells] + worth[one]
                better = candidate > new[cells:]
                new[cells:][better] = candidate[better]
                choice[cells:][better] = one
            best = new
            taken.append(choice)
        slack = _SAFE * (float(gross.max(initial=0.0)) + hbm)
        return (float(best[-1]) + hbm) * (1.0 + _SAFE) + slack, self._trace(taken)

    def _best_per_cell(self, worth: Floats) -> Ints:
        """Dearest choices of every bundle and number of cells, if above 0."""
        order = np.lexsort((-worth, self.cells, self.bundle))
        order = order[worth[order] > 0]
        key = np.stack([self.bundle[order], self.cells[order]])
        new = np.ones(len(order), dtype=bool)
        new[1:] = (key[:, 1:] != key[:, :-1]).any(axis=0)
        return np.asarray(order[new])

    def _trace(self, taken: list[Ints]) -> Pattern:
        """Read the dearest pattern off the tables of the dynamic program."""
        cells, counts = CELLS, dict[int, int]()
        for choice in reversed(taken):
            one = int(choice[cells])
            if one < 0:
                continue
            cells -= int(self.cells[one])
            for item, count in zip(self.items[one], self.copies[one], strict=True):
                if count:
                    counts[int(item)] = counts.get(int(item), 0) + int(count)
        found = np.array(list(counts), dtype=np.int64)
        return Pattern(found, np.array(list(counts.values()), dtype=np.int64))


@dataclass(frozen=True, eq=False)
class PatternSums:
    """What the options of a menu cost at prices of items.

    Attributes
    ----------
    relaxed : Relaxed
    times : float array (I,)
        Ranks over all places of an item.
    shares : float array (O, 3)
        Share of all DDR (1) and SSD (2) that an option takes.
    """

    relaxed: Relaxed
    times: Floats
    shares: Floats

    @classmethod
    def of(cls, relaxed: Relaxed) -> PatternSums:
        """Sum up the items of every option; one class of ranks."""
        times = relaxed.rank_times
        sizes = (
            relaxed.items.tier_bytes * times[:, None] / np.maximum(relaxed.room[0], 1.0)
        )
        sizes[:, 0] = 0.0
        shares = np.add.reduceat(sizes, relaxed.items.start[:-1], axis=0)
        return cls(relaxed, times, shares)

    def costs(self, prices: ItemPrices) -> Floats:
        """Cost of every option (O,)."""
        items = np.add.reduceat(
            self.times * prices.items, self.relaxed.items.start[:-1]
        )
        return np.asarray(items + self.shares @ prices.pools)

    def ranks_needed(self, prices: ItemPrices, dearest: float) -> float:
        """Ranks that hold the cheapest options of all bundles, about.

        Infinite where options cost something, and what a rank can hold costs nothing.
        """
        least = self.relaxed.least_per_bundle(self.costs(prices)).sum()
        spent = float(least - prices.pools[1:].sum())
        if dearest > 0.0:
            return spent / dearest
        return np.inf if spent > 0.0 else 0.0
