"""Starts, a race between them, and annealing cycles from the best."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

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

_HOTTEST, _COLD = 0.03, 3e-4
"""Temperatures are squares of these excess times, as shares of the bound."""
_HOT = (0.01, 0.005, 0.002)
_RACE_ROUNDS = 100
_CYCLE_ROUNDS = 200
_LONGER = 1.3
_RELAX = 0.8
_PATIENCE = 4
_FRUITLESS = 6
_WORTH = 1e-5


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


class Start(NamedTuple):
    """How options are chosen at first.

    Attributes
    ----------
    scale : float
        Of the limits on single shards.
    density : float
        See `Limits.waste`; a share of the mean density.
    fill : float
        Share of the memory that options may need together.
    """

    scale: float
    density: float
    fill: float


_STARTS = (
    Start(1.0, 0.6, 0.97),
    Start(1.0, 0.3, 0.99),
    Start(1.0, 0.15, 1.0),
    Start(0.9, 0.8, 0.95),
)


class Portfolio:
    """Anneals from several starts; the best goes on in longer and longer cycles.

    When nothing improves any more, another start is drawn at random.
    """

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
        starts, fruitless = list(_STARTS), 0
        while fruitless < _FRUITLESS and not self._is_over():
            before = self._incumbent.value_s
            self._race(starts)
            starts = [self._random_start()]
            improved = self._incumbent.value_s < before * (1.0 - _WORTH)
            fruitless = 0 if improved else fruitless + 1

    def _is_over(self) -> bool:
        return self._stop.now() or self._incumbent.is_close

    def _random_start(self) -> Start:
        draw = self._rng.random(3)
        return Start(0.8 + 0.3 * draw[0], 0.9 * draw[1], 1.0 - 0.06 * draw[2])

    def _race(self, starts: list[Start]) -> None:
        """Anneal from each start for a while, and from the best for longer."""
        racers = []
        for start in starts:
            annealer = self._begin(start)
            if annealer is not None:
                annealer.cycle(_RACE_ROUNDS, _HOTTEST**2, _COLD**2)
                racers.append((annealer.merit(), len(racers), annealer, start))
            if self._is_over():
                return
        if racers:
            _, _, best, start = min(racers)
            self._improve(best, start)

    def _improve(self, annealer: Annealer, start: Start) -> None:
        rounds, patience, density = _CYCLE_ROUNDS, _PATIENCE, start.density
        while patience and not self._is_over():
            before = self._incumbent.value_s
            density *= _RELAX
            self._allow(annealer, start._replace(density=density))
            hot = _HOT[int(self._rng.integers(len(_HOT)))]
            annealer.cycle(int(rounds), hot**2, _COLD**2)
            if self._incumbent.value_s > before * (1.0 - _WORTH):
                patience -= 1
            rounds *= _LONGER

    def _allow(self, annealer: Annealer, start: Start) -> None:
        """Let an annealer use the options of a start that can still improve."""
        limit = start.scale * self._limits.best(self._density(start))
        if self._vectors.is_sum and np.isfinite(self._incumbent.value_s):
            value = self._incumbent.value_s / self._vectors.unit_s
            limit = np.minimum(limit, self._limits.below(value * (1.0 - _WORTH)))
        annealer.limit(self._regret(start), self._limits.excess(limit))

    def _density(self, start: Start) -> float:
        return start.density * self._limits.mean_density

    def _waste_s(self, start: Start) -> Floats:
        waste = self._limits.waste(self._density(start))
        return np.asarray(waste * self._vectors.unit_s)

    def _regret(self, start: Start) -> Floats:
        return np.asarray(self._guide.regret + self._waste_s(start))

    def _begin(self, start: Start) -> Annealer | None:
        """Choose options by price within limits and place them, too full if need be."""
        menu = self._problem.options
        limit = start.scale * self._limits.best(self._density(start))
        excess = np.maximum(self._limits.excess(limit), 0.0)
        least = np.minimum.reduceat(excess, menu.start[:-1])
        legal = excess <= np.repeat(least, np.diff(menu.start)) + 1e-9
        seconds = self._totals.seconds + self._waste_s(start)
        totals = replace(self._totals, seconds=seconds)
        choice = select_from(self._problem, totals, legal, start.fill)
        state = State(self._problem, self._vectors)
        left = self._place(state, choice)
        annealer = Annealer(
            state,
            self._regret(start),
            excess,
            self._rng,
            self._stop,
            self._incumbent.look_at,
        )
        if not annealer.insert(left, choice):
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
