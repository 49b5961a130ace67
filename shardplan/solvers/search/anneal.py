"""Annealing of many pairs of ranks at once, with re-cuts in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.search.exchange import Exchanger, disjoint
from shardplan.solvers.search.penalty import Penalty
from shardplan.solvers.search.recut import Recutter

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from shardplan.solvers.base import Stop
    from shardplan.solvers.search.state import State

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_MARGIN = 0.1
_RENEW = 4
_SORTED = 3
_TARGETS = 192


class Annealer:
    """Improves a state in place.

    Every round pairs the ranks, at random or high with low, draws one exchange for
    each pair, and re-cuts a few bundles: some with large regret, some of the highest
    ranks, some at random.

    Parameters
    ----------
    regret, excess : float arrays (O,)
        See `Recutter`.
    report : callable
        Is told after every round that the state has changed.
    """

    def __init__(
        self,
        state: State,
        regret: Floats,
        excess: Floats,
        rng: np.random.Generator,
        stop: Stop,
        report: Callable[[State], None],
    ) -> None:
        self.state = state
        self._regret, self._rng, self._stop = regret, rng, stop
        self._report = report
        self._exchanger = Exchanger(state, rng)
        self._recutter = Recutter(state, regret, excess, rng)
        self._recuts = 1 + len(state.load) // 32

    def cycle(self, rounds: int, hot: float, cold: float) -> None:
        """Anneal from one temperature to another, then quench."""
        for index in range(rounds):
            if self._stop.now():
                return
            if index % _RENEW == 0:
                penalty = self._penalty()
            temperature = hot * (cold / hot) ** (index / max(rounds - 1, 1))
            self._exchange_pairs(penalty, temperature, index % _SORTED == 0)
            self._recut_some(penalty, temperature)
            self._told()
        self.quench()

    def quench(self) -> None:
        """Exchange with the worst ranks until nothing improves."""
        world = len(self.state.load)
        for _ in range(2 * world):
            if self._stop.now() or not self._relieve_worst(self._penalty()):
                return
            self._told()

    def merit(self) -> float:
        """Penalty of the whole state: the less, the more promising."""
        penalty, state = self._penalty(), self.state
        each = penalty.of_ranks(state.load).sum()
        return float(each + penalty.of_hosts(state.host_load).sum())

    def _penalty(self) -> Penalty:
        """Levels somewhat below a balanced plan at the bound.

        Time above them is always penalised, so that a lower total counts, too.
        """
        mean = self.state.load[:, :-1].mean(axis=0)
        return Penalty(mean * ((1.0 - _MARGIN) / mean.sum()))

    def _told(self) -> None:
        self._stop.work += self._exchanger.evaluated + self._recutter.evaluated
        self._exchanger.evaluated = self._recutter.evaluated = 0
        self._report(self.state)

    def _exchange_pairs(
        self, penalty: Penalty, temperature: float, is_sorted: bool
    ) -> None:
        state = self.state
        half = len(state.load) // 2
        if is_sorted:
            order = np.argsort(state.load[:, :-1].sum(axis=1), kind="stable")[::-1]
            rank, other = order[:half], order[::-1][:half]
        else:
            order = self._rng.permutation(len(state.load))
            rank, other = order[:half], order[half : 2 * half]
        found = self._exchanger.best(rank, other, penalty, temperature)
        moved = (found.first > 0) | (found.second > 0)
        found = found.take(moved & np.isfinite(found.change))
        state.exchange(found.first, found.second, found.rank, found.other)

    def _recut_some(self, penalty: Penalty, temperature: float) -> None:
        state, rng, few = self.state, self._rng, self._recuts
        bundles = rng.integers(len(state.option), size=4 * few)
        regret = self._regret[state.option[bundles]]
        costly = bundles[np.argsort(-regret, kind="stable")[:few]]
        high = np.argmax(state.load[:, :-1], axis=0)
        ranks = np.r_[high, rng.integers(len(state.load), size=few)]
        ranks = ranks[state.count[ranks] > 0]
        slot = (rng.random(len(ranks)) * state.count[ranks]).astype(np.int64)
        loaded = state.unit_bundle[state.slots[ranks, slot]]
        self._recutter.look_around()
        for bundle in np.unique(np.r_[costly, bundles[:few], loaded]).tolist():
            self._recutter.recut(bundle, penalty, temperature)

    def _relieve_worst(self, penalty: Penalty) -> bool:
        """Make the best exchanges of the worst ranks with others, if any help."""
        state, world = self.state, len(self.state.load)
        order = np.argsort(-penalty.of_ranks(state.load), kind="stable")
        worst, others = order[: 1 + world // 64], order[::-1][:_TARGETS]
        rank, other = np.repeat(worst, len(others)), np.tile(others, len(worst))
        apart = rank != other
        found = self._exchanger.best(rank[apart], other[apart], penalty)
        found = found.take(found.change < -1e-9)
        found = found.take(np.argsort(found.change, kind="stable"))
        found = found.take(disjoint(found, world))
        state.exchange(found.first, found.second, found.rank, found.other)
        return len(found.rank) > 0
