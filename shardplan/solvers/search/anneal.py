"""Annealing of many pairs of ranks at once, with re-cuts in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.search.penalty import Penalty
from shardplan.solvers.search.recut import Recutter
from shardplan.solvers.search.repartition import Repartitioner, disjoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from shardplan.solvers.base import Stop
    from shardplan.solvers.search.repartition import Divisions
    from shardplan.solvers.search.state import State

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_FREE_UNITS = 8
_FREE_UNITS_AT_SCALE = 6
_SCALE = 256
_MARGIN = 0.1
_TAIL = 0.8
_LEVEL_ROUNDS = 4
_SORTED_ROUNDS = 3
_RECUT_ROUNDS = 8
_RECUT_SHARE = 1 / 32
_TARGETS = 96
_WORST = 8
_RECUT_RANKS = 3
_RECUT_TRIES = 8
_QUENCH_STEPS = 60


class Annealer:
    """Improves a state in place.

    Every round pairs the ranks, at random or high with low, and divides units of each
    pair anew; every few rounds some bundles are re-cut: some with large regret, some
    of the highest ranks, some at random.

    Parameters
    ----------
    regret, excess : float arrays (O,)
        See `Recutter`.
    report : callable
        Is shown the state after every round.
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
        self._divider = Repartitioner(state, rng)
        self._recutter = Recutter(state, regret, excess, rng)
        at_scale = len(state.load) > _SCALE
        self._free_units = _FREE_UNITS_AT_SCALE if at_scale else _FREE_UNITS
        self._recuts = 1 + int(len(state.load) * _RECUT_SHARE)

    def insert(self, bundles: list[int]) -> bool:
        """Put bundles that are out where they hurt least; False if one cannot be."""
        for bundle in bundles:
            if not self._recutter.insert(bundle, self._penalty(0.0)):
                return False
        return True

    def cycle(self, rounds: int, hot: float, cold: float) -> None:
        """Anneal from one temperature to another, then quench.

        The first two fifths press on the total, the rest more and more on the
        highest ranks.
        """
        for index in range(rounds):
            if self._stop.now():
                return
            progress = index / max(rounds - 1, 1)
            if index % _LEVEL_ROUNDS == 0:
                penalty = self._penalty(min(1.0, max(0.0, 2.5 * progress - 1.0)))
            temperature = hot * (cold / hot) ** progress
            self._divide_pairs(penalty, temperature, index % _SORTED_ROUNDS == 0)
            if index % _RECUT_ROUNDS == 0:
                self._recut_some(penalty, temperature)
            self._told()
        self._quench()

    def loosen(self, excess: Floats) -> None:
        """Try other options from now on; see `Recutter`."""
        self._recutter = Recutter(self.state, self._regret, excess, self._rng)

    def merit(self) -> tuple[bool, float]:
        """How promising the state is, for comparison: the less, the better."""
        return not self.state.fits(), self.state.value()

    def _penalty(self, tail: float) -> Penalty:
        """Levels between somewhat below a balanced plan at the bound and the maxima.

        Low levels penalise all time, and so the total; high ones only the highest
        ranks.
        """
        load = self.state.load[:, :-1]
        mean, top = load.mean(axis=0), load.max(axis=0)
        low = mean * ((1.0 - _MARGIN) / max(float(mean.sum()), 1e-12))
        high = mean + _TAIL * (top - mean)
        return Penalty(low + tail * (high - low))

    def _told(self) -> None:
        self._stop.work += self._divider.evaluated + self._recutter.evaluated
        self._divider.evaluated = self._recutter.evaluated = 0
        self._report(self.state)

    def _divide_pairs(
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
        found = self._divider.best(rank, other, penalty, temperature, self._free_units)
        self._apply(found.take(np.flatnonzero(found.goes.any(axis=1))))

    def _apply(self, found: Divisions) -> None:
        self.state.divide(found.rank, found.other, found.units, found.goes)

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

    def _quench(self) -> None:
        """Relieve the worst ranks, by divisions or re-cuts, until nothing helps."""
        for _ in range(_QUENCH_STEPS):
            if self._stop.now():
                return
            penalty = self._penalty(1.0)
            each = penalty.of_ranks(self.state.load)
            worst = np.argsort(-each, kind="stable")[:_WORST]
            worst = worst[each[worst] > 0.0]
            if not (self._relieve(worst, penalty) or self._recut_on(worst, penalty)):
                return
            self._told()

    def _relieve(self, worst: Ints, penalty: Penalty) -> bool:
        """Divide the worst ranks with the best partners, if that helps."""
        state, world = self.state, len(self.state.load)
        others = np.argsort(state.load[:, :-1].sum(axis=1), kind="stable")[:_TARGETS]
        rank, other = np.repeat(worst, len(others)), np.tile(others, len(worst))
        apart = rank != other
        found = self._divider.best(rank[apart], other[apart], penalty, 0.0, _FREE_UNITS)
        found = found.take(found.change < -1e-9)
        found = found.take(np.argsort(found.change, kind="stable"))
        found = found.take(disjoint(found, world))
        self._apply(found)
        return len(found.rank) > 0

    def _recut_on(self, worst: Ints, penalty: Penalty) -> bool:
        """Re-cut bundles of the worst ranks until one helps."""
        state = self.state
        self._recutter.look_around()
        units = state.slots[worst[:_RECUT_RANKS]]
        bundles = np.unique(state.unit_bundle[units[units > 0]])
        some = self._rng.permutation(bundles)[:_RECUT_TRIES].tolist()
        return any(self._recutter.recut(bundle, penalty, 0.0) for bundle in some)
