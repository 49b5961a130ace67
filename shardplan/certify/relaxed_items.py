"""The items of a relaxed problem's options, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.options.arrays import offsets

if TYPE_CHECKING:
    from shardplan.records.arrays import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class RelaxedItems:
    """I items of O options on C classes, with D dimensions of time; see `Relaxed`.

    Attributes
    ----------
    start : int array (O + 1,)
        Items of option o are ``start[o]:start[o + 1]``.
    cost : float array (I, C, D)
        Seconds of one copy of an item on each rank of its place.
    peak : float array (I, C, D)
        Seconds that the slowest rank takes at least, from each of these alone; the same
        array where ranks share nothing.
    tier_bytes : float array (I, 3)
        Bytes of one copy on each rank of its place.
    times : float array (I,)
        Ranks over all places: copies x ranks per place; copies for scope ALL.
    stacked : float array (I,)
        Copies that some place must take because there are too few places.
    everywhere : bool array (I,)
        Scope ALL: the item is on every rank.
    legal : bool array (I, C) or None
        Classes where an item has a place; None if all may go everywhere.
    item : int array (I,)
        Index of each item in the problem's menu.
    per_rank : int array (I,)
        Copies of an item that one rank may hold.
    """

    start: Ints
    cost: Floats
    peak: Floats
    tier_bytes: Floats
    times: Floats
    stacked: Floats
    everywhere: Bools
    legal: Bools | None
    item: Ints
    per_rank: Ints

    def select(self, options: Ints) -> RelaxedItems:
        """Return the items of some options, in ascending order of these."""
        sizes = np.diff(self.start)
        keep = np.zeros(len(sizes), dtype=bool)
        keep[options] = True
        # Indices: taking rows is several times faster than masking them.
        items = np.flatnonzero(np.repeat(keep, sizes))
        cost = self.cost.take(items, axis=0)
        shares = self.peak is not self.cost
        return RelaxedItems(
            start=offsets(sizes[options]),
            cost=cost,
            peak=self.peak.take(items, axis=0) if shares else cost,
            tier_bytes=self.tier_bytes.take(items, axis=0),
            times=self.times[items],
            stacked=self.stacked[items],
            everywhere=self.everywhere[items],
            legal=None if self.legal is None else self.legal[items],
            item=self.item[items],
            per_rank=self.per_rank[items],
        )
