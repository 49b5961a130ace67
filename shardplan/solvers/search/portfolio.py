"""Starts, a race between them, and annealing cycles from the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.params import DEFAULTS, SolverParams
from shardplan.solvers.search.limits import Limits
from shardplan.solvers.search.perturbation import Perturbation
from shardplan.solvers.search.starts import Starts
from shardplan.solvers.search.vectors import Vectors
from shardplan.solvers.tolerances import LEAST_EXCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shardplan.certify.regrets import Regrets
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.problems.totals import OptionTotals
    from shardplan.solvers.base import Stop
    from shardplan.solvers.search.anneal import Annealer
    from shardplan.solvers.search.incumbent import Incumbent
    from shardplan.solvers.search.params import StartParams


class Portfolio:
    """Anneals from several starts; the best goes on in longer and longer cycles.

    When nothing improves any more, another start is drawn at random.

    Parameters
    ----------
    fallback : callable, optional
        Offers the incumbent a plan, once, where the first starts lead to none.

    References
    ----------
    Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
    optimization", 2016 (successive halving); Lourenço, Martin and Stützle, "Iterated
    local search", 2003.
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
        self._fallback, self._params = fallback, params.search
        self._stop, self._incumbent, self._regrets = stop, incumbent, regrets
        self._world = problem.world_size
        self._at_scale = self._world > params.search.scale_ranks
        rng = np.random.default_rng(seed)
        self._vectors = vectors = Vectors.of(problem, regrets.bound_s)
        # Limits know phases one by one even where the search may treat some as one: in
        # another phase another shard is the longest.
        self._limits = limits = Limits(vectors.by_phase(), regrets, params.search)
        self._starts = Starts(
            vectors, totals, regrets, limits, rng, stop, incumbent, params
        )
        self._perturbation = Perturbation(vectors, regrets, limits, rng, params.search)

    def run(self) -> Iterator[None]:
        """Search until the gap is closed, the stop says so, or nothing improves.

        Yields after each cycle, where the search may be left for a while.
        """
        starts, fruitless = self._first_starts, 0
        # Without a limit somebody waits for the end, not for the best that can be had.
        most = 1 if self._stop.is_endless else self._params.fruitless_restarts
        while fruitless < most and not self._is_over():
            before = self._incumbent.value_s
            yield from self._race(starts)
            if not self._params.restarts:
                break
            starts = (self._starts.draw(),)
            improved = self._incumbent.value_s < before * (1.0 - self._params.worth)
            fruitless = 0 if improved else fruitless + 1
        self._fall_back()

    def improve(self, plan: Assignment) -> Iterator[None]:
        """Go on from a plan as from the winner of the race.

        Yields after each cycle.
        """
        start = self._first_starts[0]
        yield from self._improve(self._starts.at(plan, start), start)

    def run_briefly(self) -> None:
        """Anneal once from each of two starts, and leave it at that."""
        for start in self._first_starts[:2]:
            if not self._is_over():
                self._first_cycle(start)

    @property
    def _first_starts(self) -> tuple[StartParams, ...]:
        params = self._params
        return params.starts_at_scale if self._at_scale else params.starts

    def _fall_back(self) -> None:
        if self._incumbent.assignment is None and self._fallback is not None:
            fallback, self._fallback = self._fallback, None
            fallback()

    def _is_over(self) -> bool:
        return self._stop.now() or self._incumbent.is_close

    def _race(self, starts: tuple[StartParams, ...]) -> Iterator[None]:
        """Anneal from each start for a while, from half of them for longer, ..."""
        # Successive halving: which start is best shows only after annealing, and a bad
        # one shows early. Each stage takes about as long as the one before it.
        racers = []
        for start in starts:
            annealer = self._first_cycle(start, keep=self._race_keeps_options)
            if annealer is not None:
                racers.append((annealer, start))
            if self._is_over():
                return
            yield
        self._fall_back()
        rounds = self._race_rounds
        racers.sort(key=lambda racer: racer[0].promise())
        while self._params.race and len(racers) > 1:
            racers, rounds = racers[: len(racers) // 2], 2 * rounds
            for annealer, start in racers:
                # Nothing is relaxed yet, but shards that are still too long after a
                # cycle are so by their cut, not by bad luck.
                self._perturbation.perturb(annealer, start, 0.0)
                annealer.cycle(rounds, *self._temperatures(self._params.long_hot))
                if self._is_over():
                    return
                yield
            racers.sort(key=lambda racer: racer[0].promise())
        if racers:
            yield from self._improve(*racers[0])

    @property
    def _race_keeps_options(self) -> bool:
        """Whether re-cuts change places only until the race is over.

        A re-cut relieves the slowest rank by bytes or by seconds that all pay. Where
        tables leave DDR for SSD, seconds are so dear that a hot state loses more of
        the start's choice than the race can win back. With several phases options
        that suit them must be found first.
        """
        has_ssd = self._vectors.problem.options.uses_ssd
        return self._params.settled_race and has_ssd and self._vectors.is_sum

    def _first_cycle(
        self, start: StartParams, *, keep: bool = False
    ) -> Annealer | None:
        """Begin a start and anneal it, hot enough to undo its choices."""
        annealer = self._starts.begin(start)
        if annealer is not None:
            if keep:
                annealer.keep_options()
            hot_cold = self._temperatures(self._params.race_hot)
            rounds = self._race_rounds
            settle = rounds // self._params.settle_part if self._at_scale else 0
            annealer.cycle(rounds, *hot_cold, settle=settle)
        return annealer

    @property
    def _race_rounds(self) -> int:
        rounds = self._params.race_work // self._world
        rounds = max(rounds, self._params.fewest_race_rounds)
        return min(rounds, self._params.race_rounds)

    def _temperatures(self, excess: float) -> tuple[float, float]:
        """First and last temperature of a cycle that begins with such excesses."""
        # A rank's penalty is the square of its excess, and so is the temperature at
        # which it is likely.
        cooling = self._params.scale_cooling if self._at_scale else 1.0
        return (excess * cooling) ** 2, self._params.cold**2

    def _improve(self, annealer: Annealer, start: StartParams) -> Iterator[None]:
        """Relax some options at a time and balance again; keep what is better.

        Every few times it anneals for longer instead.
        """
        # Iterated local search: from the best plan, whatever the last cycle led to. A
        # perturbation finds other options, a long cycle a better balance of the same;
        # which is missing cannot be seen from the plan.
        params = self._params
        share = params.relaxed_most / (1.0 + self._world / params.relaxed_ranks)
        rounds, patience = params.cycle_rounds, params.patience
        self._allow(annealer, start)
        while patience and not self._is_over():
            before = self._incumbent.value_s
            if self._incumbent.assignment is not None:
                annealer.state.return_to(self._incumbent.assignment)
            if patience % params.long_every:
                self._perturbation.perturb(annealer, start, share)
                hot_cold = self._temperatures(params.cycle_hot)
                settle = rounds // params.settle_part
                annealer.cycle(rounds, *hot_cold, settle=settle)
            else:
                if self._at_scale:
                    self._perturbation.perturb(annealer, start, 0.0)
                hot_cold = self._temperatures(params.long_hot)
                annealer.cycle(params.long_rounds * rounds, *hot_cold)
            yield
            if self._incumbent.value_s < before * (1.0 - params.worth):
                patience = params.patience
                self._allow(annealer, start)
                continue
            # The better the plan, the fewer changes at once can still improve it, and
            # the longer it takes to balance them as well as before.
            share = max(share * params.relaxed_shrink, params.relaxed_least)
            rounds = int(rounds * params.cycle_growth)
            patience -= 1

    def _allow(self, annealer: Annealer, start: StartParams) -> None:
        """Let an annealer use all options that can still improve."""
        # The limits of a start are about idle time, which its own density guesses;
        # from here on the plan itself shows what is idle.
        limit, value_s = self._limits.of(start, 0.0), self._incumbent.value_s
        if self._vectors.is_sum and np.isfinite(value_s):
            better = value_s / self._vectors.unit_s * (1.0 - self._params.worth)
            most = better - float(annealer.state.base_time().min())
            limit = np.minimum(limit, max(most, LEAST_EXCESS))
        annealer.limit(self._regrets.of_option, self._limits.excess(limit, value_s))
