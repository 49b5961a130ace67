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

_COARSE = (0.5, 0.7, 0.85, 0.95, 1.05, 1.2, 1.5, 2.0)
_FINE = (0.97, 0.985, 0.995, 1.005, 1.015, 1.03)
_PASSES = (_COARSE, _COARSE, _FINE)
_KEPT = 120_000
_FEWEST, _MOST = 12, 64


class Limits:
    """Chooses limits by what they cost: fewer long shards need more seconds in total.

    Attributes
    ----------
    longest : float array (O, D)
        Times of each option's longest shard; zero for scope ALL, whose load no
        placement can change.
    memory : float array (O,)
        HBM of each option's largest shard, likewise.
    mean_density : float
        HBM per unit of time of a rank's own shards, in a plan of least regret.
    """

    def __init__(self, vectors: Vectors, guide: Guide) -> None:
        problem = vectors.problem
        menu = problem.options
        times = vectors.of_items(np.arange(len(menu.item_count)))
        item = times[:, :, : vectors.num_times + 1].min(axis=1)
        ranks = ranks_per_place(menu, problem.world_size)[menu.item_option]
        weight = (menu.item_count * ranks / problem.world_size)[:, None]
        first = menu.item_start[:-1]
        self._unit, self._world = vectors.unit_s, problem.world_size
        self._ranks = np.add.reduceat(menu.item_count * ranks, first)
        self._everywhere = menu.scope == Scope.ALL
        largest = np.maximum.reduceat(item, first)
        largest[self._everywhere] = 0.0
        self.longest, self.memory = largest[:, :-1], largest[:, -1]
        self._regret = guide.regret
        self._some = _most_useful(guide.regret, menu.start)
        mean = np.add.reduceat(item * weight, first)
        self._mean = mean[self._some, :-1]
        table = menu.table[self._some]
        self._start_of = np.searchsorted(table, np.arange(len(menu.start)))
        self._wide = (menu.scope != Scope.RANK)[self._some]
        choice = self._some[self._cheapest(self._regret[self._some])]
        base = mean[choice[self._everywhere[choice]]].sum(axis=0)
        self._base_time, self._base_memory = float(base[:-1].sum()), float(base[-1])
        own = mean[choice].sum(axis=0) - base
        self.mean_density = float(own[-1] / max(own[:-1].sum(), 1e-12))

    def excess(self, limit: Floats) -> Floats:
        """How far each option's longest shard exceeds the limits, relatively (O,).

        Parameters
        ----------
        limit : float array (D,)
        """
        return self._excess(slice(None), limit)

    def _excess(self, some: Ints | slice, limit: Floats) -> Floats:
        time = (self.longest[some] / limit).max(axis=1) - 1.0
        memory = self.memory[some] + self._base_memory - 1.0
        return np.asarray(
            np.where(self._everywhere[some], -1.0, np.maximum(time, memory))
        )

    def waste(self, density: float) -> Floats:
        """Time that options leave idle for want of memory, summed over ranks (O,).

        Parameters
        ----------
        density : float
            HBM that the other shards of a rank need for each unit of time.

        Notes
        -----
        A rank with a shard of time t and memory m has 1 - t for others, who can use
        at most (1 - m) / density of it.
        """
        return self._waste(slice(None), density)

    def _waste(self, some: Ints | slice, density: float) -> Floats:
        if density <= 0.0:
            return np.zeros(len(self.memory[some]))
        time = 1.0 - self._base_time - self.longest[some].sum(axis=1)
        room = 1.0 - self._base_memory - self.memory[some]
        idle = np.maximum(time - np.maximum(room, 0.0) / density, 0.0)
        return np.asarray(
            np.where(self._everywhere[some], 0.0, idle * self._ranks[some])
        )

    def best(self, density: float) -> Floats:
        """Search, one dimension at a time, for the limits of least value, (D,)."""
        limit = self._start()
        value = self._value(limit, density)
        for factors in _PASSES:
            for d in range(len(limit)):
                for factor in factors:
                    other = limit.copy()
                    other[d] *= factor
                    found = self._value(other, density)
                    if found < value - 1e-9:
                        limit, value = other, found
        return limit

    def _start(self) -> Floats:
        """Mean load where every bundle takes its option of least regret."""
        choice = self._cheapest(self._regret[self._some])
        mean: Floats = self._mean[choice].sum(axis=0)
        return np.maximum(mean, 1e-6)

    def _value(self, limit: Floats, density: float) -> float:
        """Objective of a perfectly balanced plan within the limits.

        Notes
        -----
        sum_d max(mean load, longest shard + load that is on groups of ranks anyway).
        """
        excess = self._excess(self._some, limit)
        waste = self._waste(self._some, density)
        regret = self._regret[self._some] + waste * self._unit
        choice = self._cheapest(np.where(excess <= 0.0, regret, 1e30 * (1.0 + excess)))
        mean = self._mean[choice]
        idle = float(waste[choice].sum()) / self._world
        base = mean[self._wide[choice]].sum(axis=0)
        top = self.longest[self._some[choice]].max(axis=0) + base
        return float(np.maximum(mean.sum(axis=0), top).sum()) + idle

    def _cheapest(self, cost: Floats) -> Ints:
        """Option of least cost of each bundle, the first of equals (B,)."""
        start = self._start_of
        least = np.repeat(np.minimum.reduceat(cost, start[:-1]), np.diff(start))
        index = np.where(cost <= least, np.arange(len(cost)), len(cost))
        return np.asarray(np.minimum.reduceat(index, start[:-1]))


def _most_useful(regret: Floats, start: Ints) -> Ints:
    """Options of least regret, some of each bundle, in their order."""
    table = np.repeat(np.arange(len(start) - 1), np.diff(start))
    order = np.lexsort((regret, table))
    position = np.arange(len(order)) - start[table]
    most = min(max(_KEPT // (len(start) - 1), _FEWEST), _MOST)
    return np.sort(order[position < most])
