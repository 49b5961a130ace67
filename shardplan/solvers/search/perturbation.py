"""Changes between cycles: cheaper options of some bundles, finer cuts of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.totals import first_least

if TYPE_CHECKING:
    from shardplan.certify.regrets import Regrets
    from shardplan.records.arrays import Ints
    from shardplan.solvers.search.anneal import Annealer
    from shardplan.solvers.search.limits import Limits
    from shardplan.solvers.search.params import SearchParams, StartParams
    from shardplan.solvers.search.state import State
    from shardplan.solvers.search.vectors import Vectors


_OVER_LIMIT = 1e3
"""Regret of an option that is twice as long as allowed, in units of the bound: more
than any option saves, so that it is only taken where a bundle has no other."""


class Perturbation:
    """Changes options that annealing cannot change well by itself.

    An annealed state is tight: a cheaper option needs memory that others hold, a finer
    cut puts a shard on one more rank. Alone, both are refused; several at once, and
    balanced after, may be better.
    """

    def __init__(
        self,
        vectors: Vectors,
        regrets: Regrets,
        limits: Limits,
        rng: np.random.Generator,
        params: SearchParams,
    ) -> None:
        self._menu, self._unit_s = vectors.problem.options, vectors.unit_s
        self._at_scale = vectors.problem.world_size > params.scale_ranks
        self._regret, self._limits = regrets.of_option, limits
        self._rng, self._params = rng, params

    def perturb(self, annealer: Annealer, start: StartParams, share: float) -> None:
        """Relax some bundles, and cut those of the worst rank more finely.

        Parameters
        ----------
        share : float
            Of the bundles that could be relaxed.
        """
        target = self._target(start)
        some = self._to_relax(annealer.state, target, share)
        if self._params.cut_finer:
            some += self._cut_finer(annealer.state, target)
        annealer.redirect(list(dict.fromkeys(some)), target)

    def _target(self, start: StartParams) -> Ints:
        """Best option of each bundle if memory mattered less than at the start."""
        # How much memory matters in a good plan is not known: too much at a start, or
        # it would not fit, and less the better the shards are balanced.
        levels = self._params.memory_levels
        share = int(self._rng.integers(levels)) / levels
        excess = np.maximum(self._limits.excess(self._limits.of(start, share)), 0.0)
        regret = self._limits.regret(start, share)
        return first_least(
            regret + _OVER_LIMIT * self._unit_s * excess, self._menu.start
        )

    def _to_relax(self, state: State, target: Ints, share: float) -> list[int]:
        """Draw some bundles that are not yet where they should be, and cost more."""
        worse = self._regret[state.option] > self._regret[target]
        found = np.flatnonzero(worse & (state.option != target))
        size = int(np.ceil(share * len(found)))
        return [int(bundle) for bundle in self._rng.permutation(found)[:size]]

    def _cut_finer(self, state: State, target: Ints) -> list[int]:
        """Choose finer cuts as targets of some bundles of the worst ranks."""
        some, params = [], self._params
        # Of hundreds of ranks about as slow most are so by chance, and an exchange
        # relieves them: finer cuts there would cost all ranks more than the gap.
        chance = 0.0 if self._at_scale else params.finer_probability
        room = state.value() - state.base_time()
        for rank in self._worst_ranks(state).tolist():
            for bundle in state.bundles_on(rank):
                option = int(state.option[bundle])
                finer = self._finer(bundle, option)
                longest = self._limits.longest[option].sum()
                alone = longest > params.alone_share * room[rank]
                if finer is not None and (alone or self._rng.random() < chance):
                    target[bundle] = finer
                    some.append(bundle)
        return some

    def _worst_ranks(self, state: State) -> Ints:
        """List the rank with most time; in large clusters also those about as slow."""
        time = state.load[:, :-1].sum(axis=1)
        if not self._at_scale:
            return np.array([np.argmax(time)])
        # Where shards of equal length meet, many ranks are equally slow. There is time
        # for few cycles at scale: one rank after the other would never end.
        mean, top = float(time.mean()), float(time.max())
        return np.flatnonzero(time >= top - self._params.anneal.as_slow * (top - mean))

    def _finer(self, bundle: int, option: int) -> int | None:
        """Cheapest option of a bundle with clearly smaller shards."""
        start, end = self._menu.start[bundle : bundle + 2]
        longest = self._limits.longest[start:end].sum(axis=1)
        most = self._params.finer_share * self._limits.longest[option].sum()
        fits = self._limits.memory[start:end] <= self._limits.memory[option]
        regret = np.where((longest < most) & fits, self._regret[start:end], np.inf)
        best = int(np.argmin(regret))
        return int(start) + best if np.isfinite(regret[best]) else None
