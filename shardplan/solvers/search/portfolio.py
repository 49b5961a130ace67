"""Starts, a race between them, and annealing cycles from the best."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.problems.totals import first_least, least_per_table
from shardplan.solvers.params import DEFAULTS, SolverParams
from shardplan.solvers.placement import (
    GLANCE_EVERY,
    Placer,
    mean_phase_load,
    placing_order,
)
from shardplan.solvers.search.anneal import Annealer
from shardplan.solvers.search.limits import Limits
from shardplan.solvers.search.state import State
from shardplan.solvers.search.vectors import Vectors
from shardplan.solvers.selection import select_from

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.problems.problem import Problem
    from shardplan.problems.totals import OptionTotals
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.base import Stop
    from shardplan.solvers.search.guide import Guide
    from shardplan.solvers.search.incumbent import Incumbent


_HOTTEST, _HOTTER, _HOT, _COLD = 0.03, 0.01, 0.005, 3e-4
"""Temperatures are squares of these excess times, as shares of the bound."""
_RACE_ROUNDS = 100
_COLDER = 0.3
"""Share of the excess times at scale."""
_FEWEST_ROUNDS = 25
_RACE_WORK = 1 << 16
"""Rounds times ranks of a start's race, at most."""
_CYCLE_ROUNDS = 60
_LONG, _LONG_EVERY, _LONGER = 5, 4, 1.1
_MOST_RELAXED, _FEWEST_RELAXED, _LESS = 0.3, 0.01, 0.7
"""Share of the bundles that a kick relaxes, and how it shrinks without success."""
_MANY_RANKS = 256
_FINER, _CLEARLY, _ALONE = 0.5, 0.8, 0.995
"""How often, to what share, and from which share of a rank shards are cut finer."""
_PATIENCE = 8
_OF_ROOM, _OF_LITTLE_ROOM = 0.6, 0.2
"""Share of the room above the least bytes that a start may use; less where ranks hold
two or three shards each and slower tiers are a way out."""
_LEVELS = 4
_FRUITLESS = 6
_WORTH = 1e-5


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
    filling : float
        See `Limits.best`.
    """

    scale: float
    density: float
    fill: float
    filling: float


_STARTS = (
    Start(1.0, 0.6, 0.97, 0.0),
    Start(1.0, 0.3, 0.95, 0.3),
    Start(1.0, 0.15, 0.92, 0.3),
    Start(0.9, 0.8, 0.95, 0.0),
)

_FILLINGS = (0.0, 0.15, 0.3)

_STARTS_AT_SCALE = (Start(1.0, 0.75, 0.97, 0.0), Start(1.0, 0.55, 0.97, 0.3))
_SCALE = 1024


class Portfolio:
    """Anneals from several starts; the best goes on in longer and longer cycles.

    When nothing improves any more, another start is drawn at random.

    Parameters
    ----------
    fallback : callable, optional
        Offers the incumbent a plan, once, where the first starts lead to none.
    """

    def __init__(
        self,
        problem: Problem,
        totals: OptionTotals,
        guide: Guide,
        stop: Stop,
        seed: int,
        incumbent: Incumbent,
        fallback: Callable[[], None] | None = None,
        params: SolverParams = DEFAULTS,
    ) -> None:
        self._fallback = fallback
        self._params, self._choice = params.search, params.choice
        self._problem, self._totals, self._guide = problem, totals, guide
        self._stop, self._incumbent = stop, incumbent
        self._rng = np.random.default_rng(seed)
        self._vectors = Vectors.of(problem, guide.bound_s)
        self._limits = Limits(self._vectors.by_phase(), guide)
        self._at_scale = problem.world_size > _SCALE
        self._starts = _STARTS_AT_SCALE if self._at_scale else _STARTS
        most = _RACE_WORK // problem.world_size
        self._race_rounds = int(np.clip(most, _FEWEST_ROUNDS, _RACE_ROUNDS))

    def run(self) -> None:
        """Search until the gap is closed, the stop says so, or nothing improves."""
        starts, fruitless = list(self._starts), 0
        most = 1 if self._stop.is_endless else _FRUITLESS
        while fruitless < most and not self._is_over():
            before = self._incumbent.value_s
            self._race(starts)
            if not self._params.restarts:
                break
            starts = [self._random_start()]
            improved = self._incumbent.value_s < before * (1.0 - _WORTH)
            fruitless = 0 if improved else fruitless + 1
        self._fall_back()

    def _fall_back(self) -> None:
        if self._incumbent.assignment is None and self._fallback is not None:
            fallback, self._fallback = self._fallback, None
            fallback()

    def glance(self) -> None:
        """Anneal once from each of two starts, and leave it at that."""
        for start in self._starts[:2]:
            annealer = None if self._is_over() else self._begin(start)
            if annealer is not None:
                annealer.cycle(self._race_rounds, self._temperature(_HOTTEST), _COLD**2)

    def _is_over(self) -> bool:
        return self._stop.now() or self._incumbent.is_close

    def _random_start(self) -> Start:
        draw = self._rng.random(3)
        scale, density, fill = 0.8 + 0.3 * draw[0], 0.9 * draw[1], 1.0 - 0.06 * draw[2]
        return Start(scale, density, fill, float(self._rng.choice(_FILLINGS)))

    def _race(self, starts: list[Start]) -> None:
        """Anneal from each start for a while, from half of them for longer, ..."""
        racers = []
        for start in starts:
            annealer = self._begin(start)
            if annealer is not None:
                annealer.cycle(self._race_rounds, self._temperature(_HOTTEST), _COLD**2)
                racers.append((annealer, start))
            if self._is_over():
                return
        self._fall_back()
        rounds = self._race_rounds
        racers.sort(key=lambda racer: racer[0].promise())
        while self._params.race and len(racers) > 1:
            racers, rounds = racers[: len(racers) // 2], 2 * rounds
            for annealer, start in racers:
                self._kick(annealer, start, 0.0)
                annealer.cycle(rounds, self._temperature(_HOTTER), _COLD**2)
                if self._is_over():
                    return
            racers.sort(key=lambda racer: racer[0].promise())
        if racers:
            self._improve(*racers[0])

    def _temperature(self, excess: float) -> float:
        """Few rounds per second must do at scale: stay colder."""
        return float((excess * (_COLDER if self._at_scale else 1.0)) ** 2)

    def _improve(self, annealer: Annealer, start: Start) -> None:
        """Relax some options at a time and balance again; keep what is better.

        Every few times it anneals for longer instead.
        """
        share = _MOST_RELAXED / (1.0 + self._problem.world_size / _MANY_RANKS)
        rounds, patience = _CYCLE_ROUNDS, _PATIENCE
        self._incumbent.resplit()
        self._allow(annealer, start)
        while patience and not self._is_over():
            before = self._incumbent.value_s
            if self._incumbent.assignment is not None:
                annealer.return_to(self._incumbent.assignment)
            if patience % _LONG_EVERY:
                self._kick(annealer, start, share)
                annealer.cycle(
                    rounds, self._temperature(_HOT), _COLD**2, settle=rounds // 3
                )
            else:
                if self._at_scale:
                    self._kick(annealer, start, 0.0)
                annealer.cycle(_LONG * rounds, self._temperature(_HOTTER), _COLD**2)
            if self._incumbent.value_s < before * (1.0 - _WORTH):
                patience = _PATIENCE
                self._allow(annealer, start)
                continue
            share = max(share * _LESS, _FEWEST_RELAXED)
            rounds = int(rounds * _LONGER)
            patience -= 1

    def _kick(self, annealer: Annealer, start: Start, share: float) -> None:
        """Relax some bundles, and cut one of the worst rank more finely."""
        target = self._target(start)
        some = self._some(annealer, target, share)
        if self._params.cut_finer:
            some += self._cut_finer(annealer, target)
        annealer.redirect(list(dict.fromkeys(some)), target)

    def _cut_finer(self, annealer: Annealer, target: Ints) -> list[int]:
        """Choose finer cuts as targets of some bundles of the worst ranks."""
        some = []
        room = annealer.state.value() - annealer.base_time()
        for rank in annealer.worst_ranks().tolist():
            for bundle in annealer.on_rank(rank):
                option = int(annealer.state.option[bundle])
                finer = self._finer(bundle, option)
                alone = self._limits.longest[option].sum() > _ALONE * room[rank]
                if finer is not None and (alone or self._rng.random() < _FINER):
                    target[bundle] = finer
                    some.append(bundle)
        return some

    def _finer(self, bundle: int, option: int) -> int | None:
        """Cheapest option of a bundle with clearly smaller shards."""
        start, end = self._problem.options.start[bundle : bundle + 2]
        longest = self._limits.longest[start:end].sum(axis=1)
        most = _CLEARLY * self._limits.longest[option].sum()
        fits = self._limits.memory[start:end] <= self._limits.memory[option]
        regret = np.where(
            (longest < most) & fits, self._guide.regret[start:end], np.inf
        )
        best = int(np.argmin(regret))
        return int(start) + best if np.isfinite(regret[best]) else None

    def _target(self, start: Start) -> Ints:
        """Best option of each bundle if memory mattered less than at the start."""
        share = int(self._rng.integers(_LEVELS)) / _LEVELS
        less = start._replace(density=start.density * share)
        limit = self._limit(start, self._density(less))
        excess = np.maximum(self._limits.excess(limit), 0.0)
        return first_least(
            self._regret(less) + 1e3 * self._vectors.unit_s * excess,
            self._problem.options.start,
        )

    def _some(self, annealer: Annealer, target: Ints, share: float) -> list[int]:
        """Draw some bundles that are not yet where they should be, and cost more."""
        regret, option = self._guide.regret, annealer.state.option
        worse = np.flatnonzero((regret[option] > regret[target]) & (option != target))
        size = int(np.ceil(share * len(worse)))
        return [int(bundle) for bundle in self._rng.permutation(worse)[:size]]

    def _allow(self, annealer: Annealer, start: Start) -> None:
        """Let an annealer use all options that can still improve."""
        limit = self._limit(start, 0.0)
        if self._vectors.is_sum and np.isfinite(self._incumbent.value_s):
            value = self._incumbent.value_s / self._vectors.unit_s
            most = value * (1.0 - _WORTH) - float(annealer.base_time().min())
            limit = np.minimum(limit, max(most, 1e-9))
        annealer.limit(self._guide.regret, self._limits.excess(limit))

    def _limit(self, start: Start, density: float) -> Floats:
        """Limits on single shards (D,); infinite if there are none."""
        if not self._params.limits:
            return np.full(self._limits.longest.shape[1], np.inf)
        return start.scale * self._limits.best(density, start.filling)

    def _density(self, start: Start) -> float:
        return start.density * self._limits.mean_density * self._params.waste

    def _waste_s(self, start: Start) -> Floats:
        waste = self._limits.waste(self._density(start))
        return np.asarray(waste * self._vectors.unit_s)

    def _regret(self, start: Start) -> Floats:
        return np.asarray(self._guide.regret + self._waste_s(start))

    def _begin(self, start: Start) -> Annealer | None:
        """Choose options by price within limits and place them, too full if need be.

        Where a bundle finds no place, as pins and rivals leave none, the best plan so
        far is changed into these options as far as possible.
        """
        menu = self._problem.options
        limit = self._limit(start, self._density(start))
        excess = np.maximum(self._limits.excess(limit), 0.0)
        least = np.minimum.reduceat(excess, menu.start[:-1])
        legal = excess <= np.repeat(least, np.diff(menu.start)) + 1e-9
        seconds = self._totals.seconds + self._waste_s(start)
        totals = replace(self._totals, seconds=seconds)
        fill = self._fill(start, legal)
        choice = select_from(self._problem, totals, legal, fill, self._choice)
        state = State(self._problem, self._vectors)
        left = self._place(state, choice)
        if left is None:
            return None
        annealer = Annealer(
            state,
            self._regret(start),
            excess,
            self._rng,
            self._stop,
            self._incumbent.look_at,
            self._params.anneal,
        )
        if not annealer.insert(left, choice):
            if self._incumbent.assignment is None:
                return None
            annealer.return_to(self._incumbent.assignment)
            annealer.redirect(np.flatnonzero(state.option != choice).tolist(), choice)
        self._incumbent.look_at(state)
        return annealer

    def _fill(self, start: Start, legal: Bools) -> float:
        """Share of the memory to use: more where it is dear, or hardly enough."""
        needed = np.where(legal, self._totals.tier_bytes.max(axis=1), np.inf)
        least = min(float(least_per_table(needed, self._problem.options).sum()), 1.0)
        if self._at_scale:
            has_tiers = bool(self._problem.options.item_bytes[:, 1:].any())
            share = _OF_LITTLE_ROOM if has_tiers else _OF_ROOM
            return max(start.fill, least + share * (1.0 - least))
        whole_s = self._problem.world_size * self._guide.bound_s
        price = float(self._guide.price.sum()) / whole_s
        fill = 1.0 - (1.0 - start.fill) / (1.0 + price)
        return max(fill, least + _OF_ROOM * (1.0 - least))

    def _place(self, state: State, choice: Ints) -> list[int] | None:
        """Place what fits, the largest first; return the bundles that do not.

        None if time is over.
        """
        has_plan = self._incumbent.assignment is not None
        placer = Placer(self._problem, mean_phase_load(self._problem, choice))
        left = []
        order = placing_order(self._problem, self._totals, choice).tolist()
        for number, bundle in enumerate(order):
            is_time = number % GLANCE_EVERY == GLANCE_EVERY - 1
            if is_time and self._stop.give_up(has_plan=has_plan):
                return None
            if placer.place(bundle, int(choice[bundle])):
                state.put(bundle, int(choice[bundle]), placer.places[bundle])
            else:
                left.append(bundle)
        return left
