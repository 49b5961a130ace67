"""Exchange units of an overloaded rank for those of whichever other rank suits best."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.solvers.search.moves.move import Move
from shardplan.solvers.search.moves.subsets import all_subsets
from shardplan.solvers.tolerances import CHUNK, LEAST_GAIN

if TYPE_CHECKING:
    from shardplan.records.arrays import Ints, Singles
    from shardplan.solvers.search.moves.noise import Noise
    from shardplan.solvers.search.penalty import Penalty
    from shardplan.solvers.search.state import State


_NUM_FREE = 5
"""Units of a rank that may leave it, drawn at random where it holds more."""


class RankParts(NamedTuple):
    """Parts of what ranks hold, in single precision; N parts of K ranks.

    Attributes
    ----------
    ranks : int array (K,)
    units : int array (K, n)
        Units of each rank that may leave; 0 for none.
    row, subset : int arrays (N,)
        Which of the ranks, and which of its units: bit i for the i-th.
    load : float array (D + 1, N)
        Loads of the parts.
    rest : float array (D + 1, N)
        By how much their ranks exceed levels and memory without them.
    """

    ranks: Ints
    units: Ints
    row: Ints
    subset: Ints
    load: Singles
    rest: Singles

    def units_of(self, index: int) -> Ints:
        """Units of a part."""
        own, code = self.units[self.row[index]], self.subset[index]
        return np.asarray(own[(code >> np.arange(len(own))) & 1 > 0])


class Swapper(Move):
    """Finds, for one rank after the other, the best exchange with any one other rank.

    All parts of the rank are tried with all parts of all others, some 100,000 ways. In
    a random group an overloaded rank meets few others; where loads are nearly level,
    hardly any of them has the right shards.
    """

    def __init__(self, state: State, rng: np.random.Generator, noise: Noise) -> None:
        super().__init__(state, rng, noise)
        self._subsets = all_subsets(_NUM_FREE)

    def make(self, where: Ints, penalty: Penalty, temperature: float) -> int:
        """Relieve ranks (K,), each by the best exchange; at temperature 0 only."""
        state, moved = self._state, 0
        parts = self._parts(self._partners(), penalty)
        before = penalty.of_ranks(state.load[parts.ranks]).astype(np.float32)
        # What a rank holds after an exchange is no longer among the parts.
        usable = np.ones(len(state.load), dtype=bool)
        for rank in where.tolist():
            if not usable[rank]:
                continue
            may = usable[parts.ranks] & (parts.ranks != rank)
            may &= state.rank_class[parts.ranks] == state.rank_class[rank]
            gain = np.where(may, before, np.float32(-np.inf))[parts.row]
            own = self._parts(np.array([rank]), penalty)
            out, back = self._best(own, parts, gain, penalty)
            partner = int(parts.ranks[parts.row[back]])
            units, others = own.units_of(out), parts.units_of(back)
            if self._helps(rank, units, partner, others, penalty):
                usable[[rank, partner]] = False
                moved += len(units) + len(others)
        return moved

    def _best(
        self, own: RankParts, parts: RankParts, gain: Singles, penalty: Penalty
    ) -> tuple[int, int]:
        """Which part of a rank leaves it, and which one comes for it."""
        stays, comes_not = self._blocked(own, parts)
        gain = np.where((parts.subset & comes_not) > 0, np.float32(-np.inf), gain)
        least, best = np.inf, (0, 0)
        cost, excess = np.empty_like(gain), np.empty_like(gain)
        for index, subset in enumerate(own.subset.tolist()):
            np.negative(gain, out=cost)
            penalty.add_excess(cost, parts.rest, own.load[:, index], excess)
            penalty.add_excess(cost, parts.load, own.rest[:, index], excess)
            if stays.any():
                cost[(stays & subset) > 0] = np.inf
            found = int(np.argmin(cost))
            if cost[found] < least:
                least, best = float(cost[found]), (index, found)
        self.evaluated += len(own.subset) * len(parts.subset)
        return best

    def _helps(
        self, rank: int, out: Ints, partner: int, back: Ints, penalty: Penalty
    ) -> bool:
        """Make an exchange, if loads and pools in double precision agree to it."""
        state = self._state
        units = np.concatenate([out, back])
        if not len(units):
            return False
        ranks = np.array([rank, partner])
        pools = np.unique(state.rank_pool[ranks])

        def value() -> float:
            of_pools = penalty.of_pools(state.pool_load[pools]).sum()
            return float(penalty.of_ranks(state.load[ranks]).sum() + of_pools)

        before = value()
        state.move(units, np.repeat(ranks[::-1], [len(out), len(back)]))
        if value() < before - LEAST_GAIN:
            return True
        state.move(units, np.repeat(ranks, [len(out), len(back)]))
        return False

    def _partners(self) -> Ints:
        """Ranks to look at: all, or as many random ones as keep arrays in a cache."""
        order = self._rng.permutation(len(self._state.load))
        size = 1 << np.minimum(self._state.count[order], _NUM_FREE)
        return np.sort(order[np.cumsum(size) <= CHUNK])

    def _parts(self, ranks: Ints, penalty: Penalty) -> RankParts:
        state = self._state
        units = self._drawn(ranks)
        number = (units > 0).sum(axis=1)
        kind = state.rank_class[ranks][:, None]
        vector = state.unit_vector[units, kind][..., :-2].astype(np.float32)
        # Units come first in their rows, so that parts of n of them are 0 to 2^n - 1.
        row, subset = np.nonzero(np.arange(len(self._subsets)) < (1 << number)[:, None])
        load = np.matmul(self._subsets, vector)[row, subset].T
        over = (state.load[ranks] - np.r_[penalty.level, 1.0]).astype(np.float32)
        load = np.ascontiguousarray(load)
        return RankParts(ranks, units, row, subset, load, over[row].T - load)

    def _drawn(self, ranks: Ints) -> Ints:
        """Units of each rank, of many some at random; 0 for none, at the end."""
        state, num = self._state, _NUM_FREE
        units = state.slots[ranks]
        if int(state.count[ranks].max(initial=0)) > num:
            key = self._rng.random(units.shape)
            key[units == 0] = 1.0
            units = np.take_along_axis(units, np.argsort(key, axis=1), axis=1)
        if units.shape[1] < num:
            units = np.pad(units, ((0, 0), (0, num - units.shape[1])))
        return units[:, :num]

    def _blocked(self, own: RankParts, parts: RankParts) -> tuple[Ints, Ints]:
        """Units of a rank that may not go to each part's rank, and others' to it.

        Returns
        -------
        int arrays (N,)
            Bits as in `RankParts.subset`: of the rank's units, and of each part's rank.
        """
        state, rank = self._state, int(own.ranks[0])
        none = np.zeros(len(parts.ranks), dtype=np.int64)
        if len(state.legal) == 1:
            return none[parts.row], none[parts.row]
        out, back = none, none.copy()
        for bit, unit in enumerate(own.units[0].tolist()):
            row = state.legal_row[state.unit_bundle[unit]]
            if unit and row:
                out = out | (~state.legal[row, parts.ranks] << bit)
        rows = state.legal_row[state.unit_bundle[parts.units]] * (parts.units > 0)
        which, bits = np.nonzero(rows)
        stays = ~state.legal[rows[which, bits], rank]
        np.add.at(back, which[stays], 1 << bits[stays])
        return out[parts.row], back[parts.row]
