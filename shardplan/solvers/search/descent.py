"""The end of an annealing cycle: relieve the worst ranks until nothing helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.search.penalty import Penalty
from shardplan.solvers.tolerances import LEAST_GAIN

if TYPE_CHECKING:
    from shardplan.records.arrays import Ints
    from shardplan.solvers.search.moves.move import Move
    from shardplan.solvers.search.moves.recut import Recutter
    from shardplan.solvers.search.params import AnnealParams
    from shardplan.solvers.search.state import State


class Descent:
    """Local search from the worst ranks, at temperature 0.

    Annealing spreads its work over all ranks, but the objective is that of the
    slowest: when it has cooled down, a few ranks still stand out by chance. Moves are
    tried by what they cost, exchanges first and re-cuts last.
    """

    def __init__(
        self,
        state: State,
        rng: np.random.Generator,
        exchanger: Move,
        divider: Move,
        params: AnnealParams,
    ) -> None:
        self._state, self._rng, self._params = state, rng, params
        self._exchanger, self._divider = exchanger, divider

    def step(self, recutter: Recutter) -> bool:
        """Relieve the worst ranks once; whether anything helped."""
        params, load = self._params, self._state.load[:, :-1]
        mean, top = load.mean(axis=0), load.max(axis=0)
        # Near the top, so that other ranks may take what these have too much, but not
        # at the top: there nothing but the slowest rank of a phase would count.
        levels = mean + params.descent_tail * (top - mean)
        penalty = Penalty(levels, params.memory_penalty, self._state.ranks_per_pool)
        each = penalty.of_ranks(self._state.load)
        worst = np.argsort(-each, kind="stable")[: params.descent_ranks]
        worst = worst[each[worst] > 0.0]
        return (
            self._exchange(worst, penalty)
            or self._divide(worst, penalty)
            or (params.recut and self._recut(worst, penalty, recutter))
        )

    def _exchange(self, worst: Ints, penalty: Penalty) -> bool:
        """Exchange parts of the worst ranks with many others, if that helps."""
        world = len(self._state.load)
        size = min(world, self._params.group)
        before = penalty.of_ranks(self._state.load).sum()
        others = np.setdiff1d(self._rng.permutation(world), worst, assume_unique=True)
        num = max(1, min(self._params.descent_groups, len(others) // size))
        for index in range(num):
            some = others[index * size : (index + 1) * size][: size - len(worst)]
            group = np.concatenate([worst, some])
            self._exchanger.make(group[None], penalty, 0.0)
        # By the loads: the move reckons in single precision, and what it takes for a
        # gain may be none, again and again.
        return bool(penalty.of_ranks(self._state.load).sum() < before - LEAST_GAIN)

    def _divide(self, worst: Ints, penalty: Penalty) -> bool:
        """Divide the worst ranks with some partners, if that helps."""
        load = self._state.load[:, :-1].sum(axis=1)
        half = self._params.descent_partners // 2
        random = self._rng.integers(len(load), size=half)
        # Idle ranks can take most, but their shards are often too small to swap.
        others = np.union1d(np.argsort(load, kind="stable")[:half], random)
        pairs = np.stack(
            [np.repeat(worst, len(others)), np.tile(others, len(worst))], axis=1
        )
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        return self._divider.make(pairs, penalty, 0.0) > 0

    def _recut(self, worst: Ints, penalty: Penalty, recutter: Recutter) -> bool:
        """Re-cut bundles of the worst ranks until one helps."""
        state, params = self._state, self._params
        units = state.slots[worst[: params.descent_recut_ranks]]
        bundles = np.unique(state.unit_bundle[units[units > 0]])
        some = self._rng.permutation(bundles)[: params.descent_recut_tries]
        return recutter.first_that_helps(some, penalty)
