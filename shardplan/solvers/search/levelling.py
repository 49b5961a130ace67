"""The end of a cycle on thousands of ranks: level after level, relieve all above it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.search.penalty import Penalty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.records.arrays import Ints
    from shardplan.solvers.search.moves.move import Move
    from shardplan.solvers.search.moves.recut import Recutter
    from shardplan.solvers.search.params import AnnealParams
    from shardplan.solvers.search.state import State


_QUANTILE, _TAIL = 0.99, 0.85
"""The next level is at this share of the way from the mean to this quantile of the
loads, so that some hundredths of the ranks exceed it."""
_HELPS = 0.5
"""A pass that leaves at most this share of the penalty is followed by another one, and
a level by a lower one."""
_AT_A_TIME = 64
"""Ranks that are relieved before all ranks are looked at again."""
_RECUT_AT_A_TIME = 512
"""Tables that are re-cut before the clock is looked at again."""


class Levelling:
    """Relieves all ranks above a level, then above a lower one, while that works.

    At the end of a cycle many of thousands of ranks are about equally slow. `Descent`
    looks at the worst four; this gives each of them the best exchange with any other
    rank, and re-cuts tables of those that no exchange relieves.

    Parameters
    ----------
    swapper : Move
        Relieves ranks (K,).
    """

    def __init__(self, state: State, swapper: Move, params: AnnealParams) -> None:
        self._state, self._swapper, self._params = state, swapper, params

    def steps(self, recutter: Recutter) -> Iterator[None]:
        """Relieve overloaded ranks, and stop after some of them, and again."""
        while True:
            penalty = self._penalty()
            before = after = self._total(penalty)
            while after > 0.0:
                start = after
                for ranks in self._overloaded(penalty):
                    self._swapper.make(ranks, penalty, 0.0)
                    yield
                for bundles in self._stuck(penalty) if self._params.recut else ():
                    recutter.make(bundles, penalty, 0.0)
                    yield
                after = self._total(penalty)
                if after > _HELPS * start:
                    break
            if after >= _HELPS * before:
                return

    def _penalty(self) -> Penalty:
        """Set a level that a few ranks exceed."""
        load, params = self._state.load[:, :-1], self._params
        mean = load.mean(axis=0)
        high = np.quantile(load, _QUANTILE, axis=0)
        level = mean + _TAIL * (high - mean)
        return Penalty(level, params.memory_penalty, self._state.ranks_per_pool)

    def _total(self, penalty: Penalty) -> float:
        state = self._state
        pools = penalty.of_pools(state.pool_load).sum()
        return float(penalty.of_ranks(state.load).sum() + pools)

    def _overloaded(self, penalty: Penalty) -> Iterator[Ints]:
        """Yield overloaded ranks, some at a time, the worst first."""
        each = penalty.of_ranks(self._state.load)
        order = np.argsort(-each, kind="stable")
        order = order[each[order] > 0.0]
        for i in range(0, len(order), _AT_A_TIME):
            yield order[i : i + _AT_A_TIME]

    def _stuck(self, penalty: Penalty) -> Iterator[Ints]:
        """Yield bundles with units on ranks still overloaded, some at a time."""
        state = self._state
        units = state.slots[penalty.of_ranks(state.load) > 0.0]
        bundles = np.unique(state.unit_bundle[units[units > 0]])
        for i in range(0, len(bundles), _RECUT_AT_A_TIME):
            yield bundles[i : i + _RECUT_AT_A_TIME]
