"""Divide the units of two ranks anew, for many pairs of ranks at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.solvers.tolerances import DIVISION_CHUNK

if TYPE_CHECKING:
    from shardplan.records.arrays import Bools, Floats, Ints, Singles
    from shardplan.solvers.search.moves.noise import Noise
    from shardplan.solvers.search.penalty import Penalty
    from shardplan.solvers.search.state import State


class Divisions(NamedTuple):
    """One new division per pair of ranks.

    Attributes
    ----------
    rank, other : int arrays (K,)
    units : int array (K, n)
        Units that were free to move; 0 for none.
    goes : bool array (K, n)
        Which of them change sides.
    change : float array (K,)
        Change of the penalty.
    """

    rank: Ints
    other: Ints
    units: Ints
    goes: Bools
    change: Floats

    def take(self, keep: Bools | Ints) -> Divisions:
        """Return some of them."""
        return Divisions(
            self.rank[keep],
            self.other[keep],
            self.units[keep],
            self.goes[keep],
            self.change[keep],
        )


class Repartitioner:
    """Draws the division of some units of two ranks among all 2^n possible ones.

    Units that may not be on both ranks stay. A division is drawn with probability
    proportional to exp(-penalty / temperature), by adding Gumbel noise before taking
    the least; at temperature 0 the best is taken. Disjoint pairs are independent, so
    that half of the ranks anneal at once.
    """

    def __init__(self, state: State, rng: np.random.Generator, noise: Noise) -> None:
        self._state, self._rng, self._noise = state, rng, noise
        self.evaluated = 0

    def best(
        self,
        rank: Ints,
        other: Ints,
        penalty: Penalty,
        temperature: float,
        num_free: int,
    ) -> Divisions:
        """Divide `num_free` random units of each pair (rank[i], other[i])."""
        step = max(1, DIVISION_CHUNK >> num_free)
        parts = [
            self._chunk(
                rank[i : i + step], other[i : i + step], penalty, temperature, num_free
            )
            for i in range(0, max(len(rank), 1), step)
        ]
        columns = zip(*parts, strict=True)
        return Divisions(*(np.concatenate(column) for column in columns))

    def _chunk(
        self,
        rank: Ints,
        other: Ints,
        penalty: Penalty,
        temperature: float,
        num_free: int,
    ) -> Divisions:
        state = self._state
        units = self._free_units(rank, other, num_free)
        at_first = state.unit_rank[units] == rank[:, None]
        flips = _all_subsets(num_free)
        value = self._values(rank, other, units, at_first, flips, penalty)
        self.evaluated += value.size
        noisy = value
        if temperature > 0.0:
            noisy = value - np.float32(temperature) * self._noise.draw(value.shape)
        chosen = np.argmin(noisy, axis=1)
        change = value[np.arange(len(rank)), chosen] - value[:, 0]
        goes = (flips[chosen] > 0) & (units > 0)
        return Divisions(rank, other, units, goes, change.astype(np.float64))

    def _free_units(self, rank: Ints, other: Ints, num_free: int) -> Ints:
        """Choose units of both ranks that may change sides, (pairs, num_free)."""
        state = self._state
        width = int(state.count[np.r_[rank, other]].max(initial=0))
        units = np.concatenate(
            [state.slots[rank, :width], state.slots[other, :width]], axis=1
        )
        key = self._rng.random(units.shape, dtype=np.float32)
        key[units == 0] = 2.0
        if len(state.legal) > 1:
            goal = np.repeat(np.stack([other, rank], axis=1), width, axis=1)
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
        self,
        rank: Ints,
        other: Ints,
        units: Ints,
        at_first: Bools,
        flips: Singles,
        penalty: Penalty,
    ) -> Singles:
        """Penalty of each pair after each flip of sides, (pairs, 2^n)."""
        state = self._state
        sign = np.where(at_first, -1.0, 1.0)[:, :, None]
        total = np.zeros((len(rank), len(flips)), dtype=np.float32)
        for place, direction in ((rank, sign), (other, -sign)):
            vector = state.unit_vector[units, state.rank_class[place][:, None]]
            change = np.matmul(flips, (direction * vector).astype(np.float32))
            load = state.load[place]
            level = np.r_[penalty.level, 1.0]
            over = (load - level).astype(np.float32)[:, None, :]
            total += penalty.of_excess(change[..., :-2] + over)
            if state.uses_pools:
                total += self._pool_values(rank, other, place, change, penalty)
        return total

    def _pool_values(
        self, rank: Ints, other: Ints, place: Ints, change: Singles, penalty: Penalty
    ) -> Singles:
        """Penalty of the pools of one side; nothing moves between ranks of one pool."""
        state = self._state
        apart = (state.rank_pool[rank] != state.rank_pool[other]).astype(np.float32)
        over = (state.pool_load[state.rank_pool[place]] - 1.0).astype(np.float32)
        moved = change[..., -2:] * apart[:, None, None]
        excess = np.maximum(moved + over[:, None, :], np.float32(0.0))
        return np.asarray(np.float32(penalty.memory) * excess.sum(axis=2))


def _all_subsets(size: int) -> Singles:
    """All subsets of `size` things as rows of zeros and ones; the empty one first."""
    subsets = np.arange(2**size)[:, None] >> np.arange(size)
    return (subsets & 1).astype(np.float32)


def disjoint(found: Divisions, num_ranks: int) -> Bools:
    """Choose divisions greedily in their order so that no rank occurs twice."""
    used = np.zeros(num_ranks, dtype=bool)
    keep = np.zeros(len(found.rank), dtype=bool)
    pairs = zip(found.rank.tolist(), found.other.tolist(), strict=True)
    for index, (a, b) in enumerate(pairs):
        if not (used[a] or used[b]):
            used[a] = used[b] = keep[index] = True
    return keep
