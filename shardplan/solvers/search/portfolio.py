"""Starts, a race between them, and annealing cycles from the best."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

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
from shardplan.solvers.search.params import StartParams
from shardplan.solvers.search.state import State
from shardplan.solvers.search.vectors import Vectors
from shardplan.solvers.selection import select_from
from shardplan.solvers.tolerances import LEAST_EXCESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.certify.regrets import Regrets
    from shardplan.problems.problem import Problem
    from shardplan.problems.totals import OptionTotals
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.base import Stop
    from shardplan.solvers.search.incumbent import Incumbent


_OVER_LIMIT = 1e3
"""Regret of an option that is twice as long as allowed, in units of the bound: more
than any option saves, so that it is only taken where a bundle has no other."""


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
        regrets: Regrets,
        stop: Stop,
        seed: int,
        incumbent: Incumbent,
        fallback: Callable[[], None] | None = None,
        params: SolverParams = DEFAULTS,
    ) -> None:
        self._fallback = fallback
        self._params, self._choice = params.search, params.choice
        self._placement = params.placement
        self._problem, self._totals, self._regrets = problem, totals, regrets
        self._stop, self._incumbent = stop, incumbent
        self._rng = np.random.default_rng(seed)
        self._vectors = Vectors.of(problem, regrets.bound_s)
        self._limits = Limits(self._vectors.by_phase(), regrets, self._params)
        self._at_scale = problem.world_size > self._params.scale_ranks
        self._starts = (
            self._params.starts_at_scale if self._at_scale else self._params.starts
        )
        rounds = self._params.race_work // problem.world_size
        rounds = max(rounds, self._params.fewest_race_rounds)
        self._race_rounds = min(rounds, self._params.race_rounds)

    def run(self) -> None:
        """Search until the gap is closed, the stop says so, or nothing improves."""
        starts, fruitless = list(self._starts), 0
        most = 1 if self._stop.is_endless else self._params.fruitless_restarts
        while fruitless < most and not self._is_over():
            before = self._incumbent.value_s
            self._race(starts)
            if not self._params.restarts:
                break
            starts = [self._random_start()]
            improved = self._incumbent.value_s < before * (1.0 - self._params.worth)
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
                annealer.cycle(
                    self._race_rounds, *self._temperatures(self._params.race_hot)
                )

    def _is_over(self) -> bool:
        return self._stop.now() or self._incumbent.is_close

    def _random_start(self) -> StartParams:
        params, draw = self._params, self._rng.random(3).tolist()
        least, more = params.restart_scale
        return StartParams(
            scale=least + more * draw[0],
            density=params.restart_density * draw[1],
            fill=1.0 - params.restart_unfilled * draw[2],
            filling=float(self._rng.choice(params.restart_fillings)),
        )

    def _race(self, starts: list[StartParams]) -> None:
        """Anneal from each start for a while, from half of them for longer, ..."""
        racers = []
        for start in starts:
            annealer = self._begin(start)
            if annealer is not None:
                annealer.cycle(
                    self._race_rounds, *self._temperatures(self._params.race_hot)
                )
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
                annealer.cycle(rounds, *self._temperatures(self._params.long_hot))
                if self._is_over():
                    return
            racers.sort(key=lambda racer: racer[0].promise())
        if racers:
            self._improve(*racers[0])

    def _temperatures(self, excess: float) -> tuple[float, float]:
        """First and last temperature of a cycle that begins with such excesses."""
        cooling = self._params.scale_cooling if self._at_scale else 1.0
        return (excess * cooling) ** 2, self._params.cold**2

    def _improve(self, annealer: Annealer, start: StartParams) -> None:
        """Relax some options at a time and balance again; keep what is better.

        Every few times it anneals for longer instead.
        """
        params, world = self._params, self._problem.world_size
        share = params.relaxed_most / (1.0 + world / params.relaxed_ranks)
        rounds, patience = params.cycle_rounds, params.patience
        self._allow(annealer, start)
        while patience and not self._is_over():
            before = self._incumbent.value_s
            if self._incumbent.assignment is not None:
                annealer.state.return_to(self._incumbent.assignment)
            if patience % params.long_every:
                self._kick(annealer, start, share)
                hot_cold = self._temperatures(params.cycle_hot)
                settle = rounds // params.settle_part
                annealer.cycle(rounds, *hot_cold, settle=settle)
            else:
                if self._at_scale:
                    self._kick(annealer, start, 0.0)
                annealer.cycle(
                    params.long_rounds * rounds,
                    *self._temperatures(self._params.long_hot),
                )
            if self._incumbent.value_s < before * (1.0 - self._params.worth):
                patience = params.patience
                self._allow(annealer, start)
                continue
            share = max(share * params.relaxed_shrink, params.relaxed_least)
            rounds = int(rounds * params.cycle_growth)
            patience -= 1

    def _kick(self, annealer: Annealer, start: StartParams, share: float) -> None:
        """Relax some bundles, and cut one of the worst rank more finely."""
        target = self._target(start)
        some = self._some(annealer, target, share)
        if self._params.cut_finer:
            some += self._cut_finer(annealer, target)
        annealer.redirect(list(dict.fromkeys(some)), target)

    def _cut_finer(self, annealer: Annealer, target: Ints) -> list[int]:
        """Choose finer cuts as targets of some bundles of the worst ranks."""
        some, params = [], self._params
        room = annealer.state.value() - annealer.state.base_time()
        for rank in annealer.worst_ranks().tolist():
            for bundle in annealer.state.bundles_on(rank):
                option = int(annealer.state.option[bundle])
                finer = self._finer(bundle, option)
                alone = (
                    self._limits.longest[option].sum() > params.alone_share * room[rank]
                )
                if finer is not None and (
                    alone or self._rng.random() < params.finer_probability
                ):
                    target[bundle] = finer
                    some.append(bundle)
        return some

    def _finer(self, bundle: int, option: int) -> int | None:
        """Cheapest option of a bundle with clearly smaller shards."""
        start, end = self._problem.options.start[bundle : bundle + 2]
        longest = self._limits.longest[start:end].sum(axis=1)
        most = self._params.finer_share * self._limits.longest[option].sum()
        fits = self._limits.memory[start:end] <= self._limits.memory[option]
        regret = np.where(
            (longest < most) & fits, self._regrets.of_option[start:end], np.inf
        )
        best = int(np.argmin(regret))
        return int(start) + best if np.isfinite(regret[best]) else None

    def _target(self, start: StartParams) -> Ints:
        """Best option of each bundle if memory mattered less than at the start."""
        levels = self._params.memory_levels
        share = int(self._rng.integers(levels)) / levels
        less = start.model_copy(update={"density": start.density * share})
        limit = self._limit(start, self._density(less))
        excess = np.maximum(self._limits.excess(limit), 0.0)
        return first_least(
            self._regret(less) + _OVER_LIMIT * self._vectors.unit_s * excess,
            self._problem.options.start,
        )

    def _some(self, annealer: Annealer, target: Ints, share: float) -> list[int]:
        """Draw some bundles that are not yet where they should be, and cost more."""
        regret, option = self._regrets.of_option, annealer.state.option
        worse = np.flatnonzero((regret[option] > regret[target]) & (option != target))
        size = int(np.ceil(share * len(worse)))
        return [int(bundle) for bundle in self._rng.permutation(worse)[:size]]

    def _allow(self, annealer: Annealer, start: StartParams) -> None:
        """Let an annealer use all options that can still improve."""
        limit = self._limit(start, 0.0)
        if self._vectors.is_sum and np.isfinite(self._incumbent.value_s):
            value = self._incumbent.value_s / self._vectors.unit_s
            most = value * (1.0 - self._params.worth) - float(
                annealer.state.base_time().min()
            )
            limit = np.minimum(limit, max(most, LEAST_EXCESS))
        annealer.limit(self._regrets.of_option, self._excess(limit))

    def _excess(self, limit: Floats) -> Floats:
        """How far options exceed limits on shards, or what a better plan can pay (O,).

        The second is reduced cost fixing: no plan with such an option is better than
        the best one. Without, the annealing gives large tables slow options for a
        moment's relief of memory, and seldom finds the way back.
        """
        excess = self._limits.excess(limit)
        left_s = self._incumbent.value_s - self._regrets.priced_s
        if not (self._params.reduced_costs and 0.0 < left_s < np.inf):
            return excess
        regret = self._regrets.of_option / (self._problem.world_size * left_s)
        return np.maximum(excess, regret - 1.0)

    def _limit(self, start: StartParams, density: float) -> Floats:
        """Limits on single shards (D,); infinite if there are none."""
        if not self._params.limits:
            return np.full(self._limits.longest.shape[1], np.inf)
        return start.scale * self._limits.best(density, start.filling)

    def _density(self, start: StartParams) -> float:
        return start.density * self._limits.mean_density * self._params.waste

    def _waste_s(self, start: StartParams) -> Floats:
        waste = self._limits.waste(self._density(start))
        return np.asarray(waste * self._vectors.unit_s)

    def _regret(self, start: StartParams) -> Floats:
        return np.asarray(self._regrets.of_option + self._waste_s(start))

    def _begin(self, start: StartParams) -> Annealer | None:
        """Choose options by price within limits and place them, too full if need be.

        Where a bundle finds no place, as pins and rivals leave none, the best plan so
        far is changed into these options as far as possible.
        """
        menu = self._problem.options
        limit = self._limit(start, self._density(start))
        excess = np.maximum(self._excess(limit), 0.0)
        least = np.minimum.reduceat(excess, menu.start[:-1])
        legal = excess <= np.repeat(least, np.diff(menu.start)) + LEAST_EXCESS
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
            self._params,
        )
        if not annealer.insert(left, choice):
            if self._incumbent.assignment is None:
                return None
            annealer.state.return_to(self._incumbent.assignment)
            annealer.redirect(np.flatnonzero(state.option != choice).tolist(), choice)
        self._incumbent.look_at(state)
        return annealer

    def _fill(self, start: StartParams, legal: Bools) -> float:
        """Share of the memory to use: more where it is dear, or hardly enough."""
        needed = np.where(legal, self._totals.tier_bytes.max(axis=1), np.inf)
        least = min(float(least_per_table(needed, self._problem.options).sum()), 1.0)
        if self._at_scale:
            has_tiers = bool(self._problem.options.item_bytes[:, 1:].any())
            params = self._params
            share = params.room_share_tiers if has_tiers else params.room_share
            return max(start.fill, least + share * (1.0 - least))
        fill = 1.0 - (1.0 - start.fill) / (1.0 + self._regrets.memory)
        return max(fill, least + self._params.room_share * (1.0 - least))

    def _place(self, state: State, choice: Ints) -> list[int] | None:
        """Place what fits, the largest first; return the bundles that do not.

        None if time is over.
        """
        has_plan = self._incumbent.assignment is not None
        placer = Placer(
            self._problem,
            mean_phase_load(self._problem, choice),
            params=self._placement,
        )
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
