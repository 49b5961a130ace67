"""Exchanges for many ranks: only where one is overloaded, at levels that rise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.search.penalty import Penalty

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats, Ints
    from shardplan.solvers.search.moves.move import Move
    from shardplan.solvers.search.params import AnnealParams
    from shardplan.solvers.search.state import State


class Relief:
    """Relieves ranks above a level, in groups with others that are below it.

    Exchanges change no total, so levels below the mean would only make equal what is
    low enough. Of thousands of ranks most soon are: groups of them cost as much as
    groups that matter.

    Parameters
    ----------
    exchanger : Move
        Exchanges within groups of ranks (g, G).
    group : int
        Ranks of a group.
    """

    def __init__(
        self,
        state: State,
        rng: np.random.Generator,
        exchanger: Move,
        group: int,
        params: AnnealParams,
    ) -> None:
        self._state, self._rng, self._exchanger = state, rng, exchanger
        self._group, self._params = group, params

    def penalty(self, progress: float) -> Penalty:
        """Levels from the mean loads towards the slowest ranks.

        Parameters
        ----------
        progress : float
            Of the cycle, from 0 to 1.
        """
        load, params = self._state.load[:, :-1], self._params
        mean = load.mean(axis=0)
        # Not the maximum: single ranks that stand out would leave nothing else above
        # the level, and there are exchanges and re-cuts of their own for them.
        high = np.quantile(load, params.relief_quantile, axis=0)
        level = mean + params.relief_tail * progress * (high - mean)
        return Penalty(level, params.memory_penalty, self._state.ranks_per_pool)

    def make(self, penalty: Penalty, temperature: float) -> None:
        """Exchange in as many groups as would hold all ranks once."""
        # Always as many: the fewer ranks are overloaded, the more often each is tried,
        # and a round takes as long as any other.
        left = len(self._state.load) // self._group
        while left > 0:
            groups = self._groups(penalty)[:left]
            if not len(groups):
                return
            self._exchanger.make(groups, penalty, temperature)
            left -= len(groups)

    def _groups(self, penalty: Penalty) -> Ints:
        """Overloaded ranks, each group's with several times as many others (g, G)."""
        each, rng = self._excess(penalty), self._rng
        parts, world = self._params.worst_per_group, len(each)
        some = max(1, self._group // parts)
        num = min(-(-int((each > 0.0).sum()) // some), world // (some * parts))
        order = np.argsort(-each, kind="stable")
        worst = rng.permutation(order[: num * some]).reshape(num, some)
        others = rng.permutation(order[num * some :])[: num * some * (parts - 1)]
        return np.concatenate([worst, others.reshape(num, some * (parts - 1))], axis=1)

    def _excess(self, penalty: Penalty) -> Floats:
        """Penalty of each rank, with a share of its pool's (W,)."""
        state = self._state
        each = penalty.of_ranks(state.load)
        if state.uses_pools:
            pools = penalty.of_pools(state.pool_load) / state.ranks_per_pool
            each = each + pools[state.rank_pool]
        return each
