"""Starts, a race between them, and annealing cycles from the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.placement import Placer, mean_phase_load, placing_order
from shardplan.solvers.search.anneal import Annealer
from shardplan.solvers.search.limits import Limits
from shardplan.solvers.search.state import State
from shardplan.solvers.search.vectors import Vectors
from shardplan.solvers.selection import select_from

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.problem import Assignment, Problem
    from shardplan.solvers.base import Observer, Stop
    from shardplan.solvers.search.guide import Guide
    from shardplan.solvers.selection import OptionTotals

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_STARTS = ((1.0, 0.15), (0.9, 0.3), (0.8, 0.6), (1.0, 0.0))
"""Scale of the limits and density of memory; see `Limits`."""
_HOT, _COLD = 0.02, 1e-3
"""Temperatures are squares of these excess times, as shares of the bound."""
_RACE_ROUNDS = 100
_CYCLE_ROUNDS = 400
_PATIENCE = 3


class Incumbent:
    """The best assignment so far."""

    def __init__(
        self, problem: Problem, bound_s: float, stop: Stop, observer: Observer
    ) -> None:
        self._problem, self._stop, self._observer = problem, stop, observer
        self.bound_s = bound_s
        self.assignment: Assignment | None = None
        self.value_s = np.inf

    @property
    def is_close(self) -> bool:
        """Whether the wanted gap is reached."""
        return self._stop.close_enough(self.value_s, self.bound_s)

    def offer(self, assignment: Assignment, value_s: float) -> None:
        """Keep an assignment that fits, if it is better."""
        if value_s < self.value_s:
            self.assignment, self.value_s = assignment, value_s
            self._observer.improved(value_s, self.bound_s)

    def look_at(self, state: State) -> None:
        """Keep what a state holds, if it fits and is better."""
        value = state.value() * state.vectors.unit_s
        if value < self.value_s * (1.0 - 1e-9) and state.fits():
            self.offer(state.assignment(), value)


class Portfolio:
    """Anneals from several starts; the best goes on, in ever longer cycles."""

    def __init__(
        self,
        problem: Problem,
        totals: OptionTotals,
        guide: Guide,
        stop: Stop,
        seed: int,
        incumbent: Incumbent,
    ) -> None:
        self._problem, self._totals, self._guide = problem, totals, guide
        self._stop, self._incumbent = stop, incumbent
        self._rng = np.random.default_rng(seed)
        self._vectors = Vectors.of(problem, guide.bound_s)
        self._limits = Limits(self._vectors, guide)

    def run(self) -> None:
        """Search until the gap is closed, the stop says so, or nothing improves."""
        racers = []
        for scale, density in _STARTS:
            limit = scale * self._limits.best(density)
            annealer = self._start(self._limits.excess(limit, density))
            if annealer is None:
                continue
            annealer.cycle(_RACE_ROUNDS, _HOT**2, _COLD**2)
            racers.append(annealer)
            if self._stop.now() or self._incumbent.is_close:
                return
        best = min(racers, key=lambda racer: racer.merit(), default=None)
        if best is not None:
            best.loosen(self._limits.excess(self._limits.best(0.0), 0.0))
            self._improve(best)

    def _improve(self, annealer: Annealer) -> None:
        rounds, patience, hot = _CYCLE_ROUNDS, _PATIENCE, _HOT
        while patience and not (self._stop.now() or self._incumbent.is_close):
            before = self._incumbent.value_s
            annealer.cycle(rounds, hot**2, _COLD**2)
            if self._incumbent.value_s > before * (1.0 - 1e-4):
                patience -= 1
                annealer.loosen(np.zeros(len(self._guide.regret)))
            rounds, hot = 2 * rounds, max(hot / 2, 2 * _COLD)

    def _start(self, excess: Floats) -> Annealer | None:
        """Choose options by price within limits and place them, too full if need be."""
        menu = self._problem.options
        excess = np.maximum(excess, 0.0)
        least = np.minimum.reduceat(excess, menu.start[:-1])
        legal = excess <= np.repeat(least, np.diff(menu.start)) + 1e-9
        choice = select_from(self._problem, self._totals, legal, 1.0)
        state = State(self._problem, self._vectors)
        left = self._place(state, choice)
        annealer = Annealer(
            state,
            self._guide.regret,
            excess,
            self._rng,
            self._stop,
            self._incumbent.look_at,
        )
        if not annealer.insert(left):
            return None
        self._incumbent.look_at(state)
        return annealer

    def _place(self, state: State, choice: Ints) -> list[int]:
        """Place what fits, the largest first; return the bundles that do not."""
        placer = Placer(self._problem, mean_phase_load(self._problem, choice))
        left = []
        for bundle in placing_order(self._problem, self._totals, choice).tolist():
            if placer.place(bundle, int(choice[bundle])):
                state.put(bundle, int(choice[bundle]), placer.places[bundle])
            else:
                left.append(bundle)
        return left
