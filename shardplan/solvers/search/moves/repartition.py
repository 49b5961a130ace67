"""Divide the units of two ranks anew, for many pairs of ranks at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.search.moves.move import Move
from shardplan.solvers.search.moves.subsets import all_subsets
from shardplan.solvers.search.params import SEARCH_DEFAULTS
from shardplan.solvers.tolerances import DIVISION_CHUNK, LEAST_GAIN

if TYPE_CHECKING:
    from shardplan.records.arrays import Bools, Floats, Ints, Singles
    from shardplan.solvers.search.moves.noise import Noise
    from shardplan.solvers.search.penalty import Penalty
    from shardplan.solvers.search.state import State


class Repartitioner(Move):
    """Draws the division of some units of two ranks among all 2^n possible ones.

    This contains every move of a unit to the other rank, every swap and every
    exchange of several. Units that may not be on both ranks stay.

    Parameters
    ----------
    num_free : int
        Units n of a pair that may change sides, drawn at random.
    """

    def __init__(
        self,
        state: State,
        rng: np.random.Generator,
        noise: Noise,
        num_free: int = SEARCH_DEFAULTS.anneal.pair_units,
    ) -> None:
        super().__init__(state, rng, noise)
        self._num_free = num_free
        self._flips = all_subsets(num_free)

    def make(self, where: Ints, penalty: Penalty, temperature: float) -> int:
        """Divide pairs of ranks (K, 2).

        With a temperature they must be disjoint; without, the best division of each
        rank is made, best first, if it helps. Pairs that share pools of memory are
        judged as if alone: together they may overfill one.
        """
        step = max(1, DIVISION_CHUNK >> self._num_free)
        parts = [
            self._divided(where[i : i + step], penalty, temperature)
            for i in range(0, len(where), step)
        ]
        if not parts:
            return 0
        units, goals, change = (
            np.concatenate(part) for part in zip(*parts, strict=True)
        )
        if temperature <= 0.0:
            better = np.flatnonzero(change < -LEAST_GAIN)
            better = better[np.argsort(change[better], kind="stable")]
            kept = better[_disjoint(where[better], len(self._state.load))]
            units, goals = units[kept], goals[kept]
        goes = units > 0
        self._state.move(units[goes], goals[goes])
        return int(goes.sum())

    def _divided(
        self, pairs: Ints, penalty: Penalty, temperature: float
    ) -> tuple[Ints, Ints, Floats]:
        """Choose a division of each pair.

        Returns
        -------
        units, goals : int arrays (K, n)
            Units that change sides, or 0, and their new ranks.
        change : float array (K,)
            Of the penalty.
        """
        units = self._free_units(pairs)
        at_first = self._state.unit_rank[units] == pairs[:, :1]
        value = self._values(pairs, units, at_first, penalty)
        self.evaluated += value.size
        chosen = np.argmin(self._heated(value, temperature), axis=1)
        change = value[np.arange(len(pairs)), chosen] - value[:, 0]
        goals = np.where(at_first, pairs[:, 1:], pairs[:, :1])
        return units * (self._flips[chosen] > 0), goals, change.astype(np.float64)

    def _free_units(self, pairs: Ints) -> Ints:
        """Choose units of both ranks that may change sides, (K, n); 0 for none."""
        state, num_free = self._state, self._num_free
        width = int(state.count[pairs].max(initial=0))
        units = state.slots[pairs, :width].reshape(len(pairs), 2 * width)
        key = self._rng.random(units.shape, dtype=np.float32)
        key[units == 0] = 2.0
        if len(state.legal) > 1:
            goal = np.repeat(pairs[:, ::-1], width, axis=1)
            row = state.legal_row[state.unit_bundle[units]] * (units > 0)
            illegal = ~state.legal[row, goal]
            key[illegal] = 2.0
            units = np.where(illegal, 0, units)
        if units.shape[1] > num_free:
            some = np.argpartition(key, num_free - 1, axis=1)[:, :num_free]
            return np.take_along_axis(units, some, axis=1)
        padding = np.zeros((len(units), num_free - units.shape[1]), dtype=np.int64)
        return np.concatenate([units, padding], axis=1)

    def _values(
        self, pairs: Ints, units: Ints, at_first: Bools, penalty: Penalty
    ) -> Singles:
        """Penalty of each pair after each flip of sides, (K, 2^n)."""
        state = self._state
        sign = np.where(at_first, -1.0, 1.0)[:, :, None]
        total = np.zeros((len(pairs), len(self._flips)), dtype=np.float32)
        for place, direction in ((pairs[:, 0], sign), (pairs[:, 1], -sign)):
            vector = state.unit_vector[units, state.rank_class[place][:, None]]
            # All sums over subsets are one product of matrices; in single precision,
            # which halves the time and is corrected by the loads, kept in double.
            change = np.matmul(self._flips, (direction * vector).astype(np.float32))
            level = np.r_[penalty.level, 1.0]
            over = (state.load[place] - level).astype(np.float32)[:, None, :]
            total += penalty.of_excess(change[..., :-2] + over)
            if state.uses_pools:
                total += self._pool_values(pairs, place, change, penalty)
        return total

    def _pool_values(
        self, pairs: Ints, place: Ints, change: Singles, penalty: Penalty
    ) -> Singles:
        """Penalty of the pools of one side; nothing moves between ranks of one pool."""
        state = self._state
        pools = state.rank_pool[pairs]
        apart = (pools[:, 0] != pools[:, 1]).astype(np.float32)
        over = (state.pool_load[state.rank_pool[place]] - 1.0).astype(np.float32)
        moved = change[..., -2:] * apart[:, None, None]
        excess = np.maximum(moved + over[:, None, :], np.float32(0.0))
        return np.asarray(np.float32(penalty.of_bytes) * excess.sum(axis=2))


def _disjoint(pairs: Ints, num_ranks: int) -> Bools:
    """Choose pairs greedily in their order so that no rank occurs twice."""
    used = np.zeros(num_ranks, dtype=bool)
    keep = np.zeros(len(pairs), dtype=bool)
    for index, (a, b) in enumerate(pairs.tolist()):
        if not (used[a] or used[b]):
            used[a] = used[b] = keep[index] = True
    return keep
