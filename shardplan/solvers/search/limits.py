"""How long a single shard may be: limits per dimension that a balanced plan keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.bounds import ranks_per_place
from shardplan.sharding import Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.solvers.search.guide import Guide
    from shardplan.solvers.search.vectors import Vectors

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_FACTORS = (0.5, 0.7, 0.85, 0.95, 1.05, 1.2, 1.5, 2.0)
_PASSES = 2
_LARGE = 400_000


class Limits:
    """Chooses limits by what they cost: fewer long shards need more seconds in total.

    Attributes
    ----------
    longest : float array (O, D)
        Times of each option's longest shard; zero for scope ALL, whose load no
        placement can change.
    mean : float array (O, D)
        What an option adds to the mean load of a rank.
    """

    def __init__(self, vectors: Vectors, guide: Guide) -> None:
        problem = vectors.problem
        menu = problem.options
        times = vectors.of_items(np.arange(len(menu.item_count)))
        item = times[:, :, : vectors.num_times].min(axis=1)
        ranks = ranks_per_place(menu, problem.world_size)[menu.item_option]
        weight = (menu.item_count * ranks / problem.world_size)[:, None]
        first = menu.item_start[:-1]
        self._everywhere = menu.scope == Scope.ALL
        self.longest = np.maximum.reduceat(item, first)
        self.longest[self._everywhere] = 0.0
        self.mean = np.add.reduceat(item * weight, first)
        self._menu = menu
        self._regret = guide.regret

    def excess(self, limit: Floats) -> Floats:
        """How far each option's longest shard exceeds the limits, relatively (O,)."""
        return np.asarray((self.longest / limit).max(axis=1) - 1.0)

    def best(self) -> Floats:
        """Search, one dimension at a time, for the limits of least value, (D,)."""
        limit = self._start()
        value = self._value(limit)
        passes = 1 if len(self._regret) > _LARGE else _PASSES
        for _ in range(passes):
            for d in range(len(limit)):
                for factor in _FACTORS:
                    other = limit.copy()
                    other[d] *= factor
                    found = self._value(other)
                    if found < value - 1e-9:
                        limit, value = other, found
        return limit

    def _start(self) -> Floats:
        """Mean load where every bundle takes its option of least regret."""
        choice = self._choice(np.full(self.longest.shape[1], np.inf))
        mean: Floats = self.mean[choice].sum(axis=0)
        return np.maximum(mean, 1e-6)

    def _choice(self, limit: Floats) -> Ints:
        """Option of least regret within the limits, or least above them."""
        excess = self.excess(limit)
        cost = np.where(excess <= 0.0, self._regret, 1e30 * (1.0 + excess))
        start = self._menu.start
        least = np.repeat(np.minimum.reduceat(cost, start[:-1]), np.diff(start))
        index = np.where(cost <= least, np.arange(len(cost)), len(cost))
        return np.asarray(np.minimum.reduceat(index, start[:-1]))

    def _value(self, limit: Floats) -> float:
        """Objective of a perfectly balanced plan within the limits.

        Notes
        -----
        sum_d max(mean load, longest shard + load that is on every rank anyway).
        """
        choice = self._choice(limit)
        mean = self.mean[choice]
        base = mean[self._everywhere[choice]].sum(axis=0)
        top = self.longest[choice].max(axis=0) + base
        return float(np.maximum(mean.sum(axis=0), top).sum())
