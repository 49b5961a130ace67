"""How full ranks are, and what each would be with one more item."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np

from shardplan.problems.loads import Loads
from shardplan.records.sharding import Objective
from shardplan.solvers.tolerances import LEAST_ROOM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.problems.options.arrays import Options
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Floats, Ints


class Levels:
    """Loads of ranks, in seconds and bytes and as shares of what is one unit of load.

    Parameters
    ----------
    problem : Problem
        The menu and the pools.
    scale_s : float array (P,)
        What counts as one unit of load per phase [s].
    power : float
        Order of the norm over the dimensions of a rank.

    Attributes
    ----------
    loads : Loads
        What has been placed so far.

    Notes
    -----
    D dimensions: time over scale (per phase, or summed for `max-rank`), and HBM over
    capacity. Every shard looks at the levels of all ranks, and a look is one sum and
    one maximum then. What an item adds depends on the kind of a rank, its class and
    its HBM; with K kinds it is an array (D, K).
    """

    def __init__(self, problem: Problem, scale_s: Floats, power: float) -> None:
        self._menu = problem.options
        self._scale = level_scale(problem, scale_s)
        self._power = power
        self._class = problem.cluster.rank_class
        self.loads = Loads.empty(
            problem.cluster, problem.capacity.rank_pool, problem.num_phases
        )
        self._pool_ranks = np.bincount(self.loads.rank_pool)
        hbm, self._ddr, self._ssd = problem.rooms
        self._hbm = np.maximum(hbm, LEAST_ROOM)
        rooms = np.unique(self._hbm, return_inverse=True)[1]
        _, first, self._kind = np.unique(
            self._class * len(rooms) + rooms, return_index=True, return_inverse=True
        )
        self._kind_class, self._kind_hbm = self._class[first], self._hbm[first]
        self._added: dict[int, Floats] = {}
        self._is_one_kind = len(first) == 1
        self._level = np.zeros((len(self._scale) + 1, problem.world_size))
        self._sums_of_all = np.empty_like(self._level)
        self._is_below_zero = False
        self._roomy = 0

    def prepare(self, items: Ints) -> None:
        """Work out what many items add at once: one by one it takes longer."""
        kinds = self._kind_class, self._kind_hbm
        added = added_levels(self._menu, items, self._scale, kinds)
        self._added.update(zip(items.tolist(), added, strict=True))

    def has_room(self, num_bytes: float) -> bool:
        """Whether some rank has so much HBM left; a quick first look."""
        # It is mostly the one that had the most at the last doubt.
        if num_bytes <= self._hbm[self._roomy] - self.loads.hbm[self._roomy]:
            return True
        left = self._hbm - self.loads.hbm
        self._roomy = int(left.argmax())
        return bool(num_bytes <= left[self._roomy])

    def fits_everywhere(self, tier_bytes: Floats) -> bool:
        """Whether all ranks have room for bytes per tier (3,) each."""
        loads, (hbm, ddr, ssd) = self.loads, tier_bytes.tolist()
        ranks = self._pool_ranks
        return bool(
            (loads.hbm + hbm <= self._hbm).all()
            and (loads.ddr + ddr * ranks <= self._ddr).all()
            and (loads.ssd + ssd * ranks <= self._ssd).all()
        )

    def add_everywhere(self, options: Ints) -> None:
        """Put the items of options on every rank each, one option after the other."""
        menu, loads, ranks = self._menu, self.loads, self._pool_ranks
        items, counts = menu.items_in(options), menu.num_items[options]
        first = np.cumsum(counts) - counts
        costs = np.add.reduceat(menu.item_cost[items], first, axis=0)
        sizes = np.add.reduceat(menu.item_bytes[items], first, axis=0)
        for cost, (hbm, ddr, ssd) in zip(costs, sizes.tolist(), strict=True):
            loads.cost[:] += cost if len(cost) == 1 else cost[self._class]
            loads.hbm[:] += hbm
            if ddr or ssd:
                loads.ddr[:] += ddr * ranks
                loads.ssd[:] += ssd * ranks
        for item in items.tolist():
            self._level += self._per_rank(self._adds(item), None)

    def add(self, item: int, ranks: int | slice | Ints, sign: float = 1.0) -> None:
        """Put an item on different ranks, or take it from them (`sign` -1)."""
        added = self._adds(item)
        self._is_below_zero |= sign < 0.0
        self._level[:, ranks] += sign * added[:, self._kind[ranks]]
        self._load(item, ranks, sign)

    def _load(self, item: int, ranks: int | slice | Ints, sign: float) -> None:
        loads, cost = self.loads, self._menu.item_cost[item]
        hbm, ddr, ssd = self._menu.item_bytes[item].tolist()
        if sign < 0.0:
            cost, hbm, ddr, ssd = -cost, -hbm, -ddr, -ssd
        loads.cost[ranks] += cost[0] if len(cost) == 1 else cost[self._class[ranks]]
        loads.hbm[ranks] += hbm
        if ddr or ssd:
            pools = loads.rank_pool[ranks]
            np.add.at(loads.ddr, pools, ddr)
            np.add.at(loads.ssd, pools, ssd)

    def least_loaded(self, count: int) -> Ints:
        """Return some of the least loaded ranks, in order."""
        load = self._norm(self._level)
        near = min(count, len(load) - 1)
        return np.sort(np.argpartition(load, near)[:near])

    def put(self, item: int, ranks: Ints | None, taken: Sequence[int]) -> int | None:
        """Put an item on the rank that it leaves the least loaded, if it fits on any.

        Parameters
        ----------
        ranks : int array (N,) or None
            The ranks to choose from, in order; None for all.
        taken : sequence of int
            Ranks to leave out.

        Returns
        -------
        int or None
            The rank.
        """
        level = self._with(item, ranks)
        score = self._norm(level)
        if taken:
            at = taken if ranks is None else np.flatnonzero(np.isin(ranks, taken))
            score[at] = np.inf
        best = int(score.argmin())
        # Where an item does not fit its score only grows, so if it fits where the score
        # is least, that is where.
        if self._menu.uses_pools.item(item) or level.item(-1, best) > 1.0:
            score = self._limited(score, level, item, ranks, 1)
            best = int(score.argmin())
        if not math.isfinite(score.item(best)):
            return None
        rank: int = best if ranks is None else ranks.item(best)
        self._level[:, rank] = level[:, best]
        self._load(item, rank, 1.0)
        return rank

    def scores(self, item: int, ranks: Ints | None, in_pool: Ints | int = 1) -> Floats:
        """Load of each rank after adding an item (N,); inf if it overflows.

        Parameters
        ----------
        ranks : int array (N,) or None
            Which ranks; None for all.
        in_pool : int array, optional
            How many ranks of the same place share each rank's pool.
        """
        level = self._with(item, ranks)
        return self._limited(self._norm(level), level, item, ranks, in_pool)

    def _limited(
        self,
        score: Floats,
        level: Floats,
        item: int,
        ranks: Ints | None,
        in_pool: Ints | int,
    ) -> Floats:
        """Let scores count pools as well, and be infinite where one overflows."""
        score[level[-1] > 1.0] = np.inf
        if not self._menu.uses_pools.item(item):
            return score
        loads = self.loads
        _, ddr, ssd = self._menu.item_bytes[item].tolist()
        pool = loads.rank_pool if ranks is None else loads.rank_pool[ranks]
        for own, used, room in (
            (ddr, loads.ddr, self._ddr),
            (ssd, loads.ssd, self._ssd),
        ):
            if own > 0:
                with np.errstate(divide="ignore"):
                    share = (used[pool] + own * in_pool) / room[pool]
                score = np.maximum(score, np.where(share <= 1.0, share, np.inf))
        return score

    def _with(self, item: int, ranks: Ints | None) -> Floats:
        """Levels of some ranks, or all, after adding an item (D, N), until the next."""
        added = self._added.get(item)
        if added is None:
            added = self._adds(item)
        if ranks is None and self._is_one_kind:
            return np.add(self._level, added, self._sums_of_all)
        level = self._level if ranks is None else self._level.take(ranks, axis=1)
        sums: Floats = level + self._per_rank(added, ranks)
        return sums

    def _norm(self, level: Floats) -> Floats:
        """Load of ranks with these levels (D, N) -> (N,)."""
        # Taking back may leave less than nothing.
        if self._is_below_zero and self._power < np.inf:
            level = np.maximum(level, 0.0)
        return norm(level, self._power)

    def _adds(self, item: int) -> Floats:
        """Levels that an item adds: time per phase or in total, and HBM (D, K)."""
        added = self._added.get(item)
        if added is None:
            self.prepare(np.array([item]))
            added = self._added[item]
        return added

    def _per_rank(self, added: Floats, ranks: Ints | None) -> Floats:
        """Turn (D, K) into (D, N), or (D, 1) where there is but one kind."""
        if added.shape[1] == 1:
            return added
        kind = self._kind if ranks is None else self._kind[ranks]
        return np.asarray(added.take(kind, axis=1))


def norm(level: Floats, power: float, out: Floats | None = None) -> Floats:
    """Load of ranks with these levels, which are not below 0 (D, ...) -> (...).

    The largest of each rank, or the sum of their powers.
    """
    if power == np.inf:
        return cast("Floats", np.maximum.reduce(level, 0, out=out))
    return cast("Floats", np.add.reduce(level**power, 0, out=out))


def level_scale(problem: Problem, scale_s: Floats) -> Floats:
    """One unit of load in each dimension of time, (P,) or (1,) [s]."""
    sums = problem.objective is Objective.MAX_RANK
    return scale_s.sum(keepdims=True) if sums else scale_s


def added_levels(
    menu: Options, items: Ints, scale: Floats, kinds: tuple[Ints, Floats]
) -> Floats:
    """Levels that items add to ranks of each kind (N, D, K).

    Parameters
    ----------
    scale : float array (D - 1,)
        See `level_scale`.
    kinds : int array (K,) and float array (K,)
        Class and HBM of each kind.
    """
    cost, (classes, hbm) = menu.item_cost[items], kinds
    time = (cost.sum(axis=2, keepdims=True) if len(scale) == 1 else cost) / scale
    added = np.empty((len(items), len(scale) + 1, len(hbm)))
    added[:, :-1] = time[:, classes].transpose(0, 2, 1)
    added[:, -1] = menu.item_bytes[items, :1] / hbm
    return added
