"""Exchange parts of the loads of many ranks at once, by optimal assignment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.search.moves.move import Move
from shardplan.solvers.search.params import SEARCH_DEFAULTS
from shardplan.solvers.tolerances import CHUNK, LEAST_GAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.search.moves.noise import Noise
    from shardplan.solvers.search.penalty import Penalty
    from shardplan.solvers.search.state import State


class Exchanger(Move):
    """Takes some units off each rank of a group and gives each of these parts a rank.

    Which part goes where is the optimum of an assignment problem, solved by SciPy:
    among G ranks one of G! ways is found in about G^2 steps, a neighbourhood of very
    large scale (Ahuja et al. 2002). Ranks that hold few large shards profit most, for
    no exchange of two or three of them may help.

    Parameters
    ----------
    shares : sequence of float
        Share of a rank's units that may leave; one of these is drawn.
    """

    def __init__(
        self,
        state: State,
        rng: np.random.Generator,
        noise: Noise,
        shares: Sequence[float] = SEARCH_DEFAULTS.anneal.exchange_shares,
    ) -> None:
        super().__init__(state, rng, noise)
        self._shares = shares

    def make(self, where: Ints, penalty: Penalty, temperature: float) -> int:
        """Exchange parts within each of many disjoint groups of ranks (g, G)."""
        size, moved = where.shape[1], 0
        step = max(1, CHUNK // (size * size))
        for i in range(0, len(where), step):
            units, goals = self._chosen(where[i : i + step], penalty, temperature)
            self._state.move(units, goals)
            moved += len(units)
        return moved

    def _chosen(
        self, ranks: Ints, penalty: Penalty, temperature: float
    ) -> tuple[Ints, Ints]:
        """Choose which units go to which ranks."""
        from scipy.optimize import linear_sum_assignment

        state, (num, size) = self._state, ranks.shape
        units = state.slots[ranks, : max(int(state.count[ranks].max()), 1)]
        share = self._shares[int(self._rng.integers(len(self._shares)))]
        goes = self._rng.random(units.shape, dtype=np.float32) < share
        goes &= units > 0
        cost = self._costs(ranks, units, goes, penalty)
        self.evaluated += cost.size
        to = np.tile(np.arange(size), (num, 1))
        # The best assignment of noisy costs is no exact draw from all G! of them, but
        # one of low cost that leaves local minima; exact draws take too long.
        for each, costs in zip(to, self._heated(cost, temperature), strict=True):
            goal, part = linear_sum_assignment(costs)
            each[part] = goal
        if temperature <= 0.0:
            now = np.diagonal(cost, axis1=1, axis2=2).sum(axis=1)
            then = cost[np.arange(num)[:, None], to, np.arange(size)].sum(axis=1)
            worse = then > now - LEAST_GAIN
            to[worse] = np.arange(size)
        goes &= (to != np.arange(size))[..., None]
        group, row, column = np.nonzero(goes)
        return units[group, row, column], ranks[group, to[group, row]]

    def _costs(self, ranks: Ints, units: Ints, goes: Bools, penalty: Penalty) -> Floats:
        """Penalty of each rank of a group with each part, (groups, ranks, parts)."""
        state = self._state
        num, size = ranks.shape
        if state.unit_vector.shape[1] == 1:
            own = (state.unit_vector[units, 0] * goes[..., None]).sum(axis=2)
            part = own[:, None]
        else:
            every = (state.unit_vector[units] * goes[..., None, None]).sum(axis=2)
            kind = state.rank_class[ranks]
            part = every[
                np.arange(num)[:, None, None], np.arange(size), kind[..., None]
            ]
            own = part[:, np.arange(size), np.arange(size)]
        # In single precision, for this array takes most of the time of a round: G^2
        # times D numbers a group. What is gained by less than its rounding is no gain.
        rest = state.load[ranks] - own[..., :-2] - np.r_[penalty.level, 1.0]
        small, more = rest.astype(np.float32), part[..., :-2].astype(np.float32)
        cost: Floats = penalty.of_excess(small[:, :, None] + more).astype(np.float64)
        if state.uses_pools:
            cost = cost + self._pool_costs(ranks, own, part, penalty)
        if len(state.legal) > 1:
            cost = np.where(self._illegal(ranks, units, goes), np.inf, cost)
        return np.asarray(cost)

    def _pool_costs(
        self, ranks: Ints, own: Floats, part: Floats, penalty: Penalty
    ) -> Floats:
        """Penalty of pools, split among their ranks.

        Each rank may use its own part's bytes and an equal share of what its pool has
        left (or lacks); the sum over ranks is right for the parts where they are, and
        not below the truth for others.
        """
        state = self._state
        pool = state.rank_pool[ranks]
        each = np.bincount(pool.ravel(), minlength=len(state.pool_load))[pool]
        slack = (1.0 - state.pool_load[pool]) / each[..., None]
        room = own[..., -2:] + slack
        if (part[..., -2:].max(axis=(0, 1, 2)) <= room.min(axis=(0, 1))).all():
            return np.zeros(())
        more = part[..., -2:] - room[:, :, None]
        return np.asarray(penalty.of_bytes * np.maximum(more, 0.0).sum(axis=3))

    def _illegal(self, ranks: Ints, units: Ints, goes: Bools) -> Bools:
        """Ranks where a unit of a part may not go, (groups, ranks, parts)."""
        state, (num, size) = self._state, ranks.shape
        row = state.legal_row[state.unit_bundle[units]] * goes
        group, part, unit = np.nonzero(row)
        here = state.legal[row[group, part, unit][:, None], ranks[group]]
        illegal = np.zeros((num, size, size), dtype=bool)
        np.logical_or.at(illegal, (group, part), ~here)
        own = np.arange(size)
        # A part may always stay, or a group could have no assignment at all.
        illegal[:, own, own] = False
        return illegal.swapaxes(1, 2)
