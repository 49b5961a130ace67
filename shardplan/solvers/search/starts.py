"""Where annealing begins: options by price within limits, placed longest first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.totals import least_per_table
from shardplan.solvers.params import DEFAULTS, SolverParams
from shardplan.solvers.placement import (
    CLOCK_EVERY,
    Placer,
    mean_phase_load,
    placing_order,
)
from shardplan.solvers.search.anneal import Annealer
from shardplan.solvers.search.params import StartParams
from shardplan.solvers.search.state import State
from shardplan.solvers.selection import select_from
from shardplan.solvers.tolerances import LEAST_EXCESS

if TYPE_CHECKING:
    from shardplan.certify.regrets import Regrets
    from shardplan.problems.problem import Assignment
    from shardplan.problems.totals import OptionTotals
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.base import Stop
    from shardplan.solvers.search.incumbent import Incumbent
    from shardplan.solvers.search.limits import Limits
    from shardplan.solvers.search.vectors import Vectors


_RAISES = (1.0, 1.3, 1.7, 2.5, 5.0, 20.0)
"""Factors on the limits of a start: the first that leaves options which can fit."""


class Starts:
    """Makes states to anneal.

    What a good plan does with its memory is not known beforehand, so starts differ in
    what they assume of it; see `StartParams`.
    """

    def __init__(
        self,
        vectors: Vectors,
        totals: OptionTotals,
        regrets: Regrets,
        limits: Limits,
        rng: np.random.Generator,
        stop: Stop,
        incumbent: Incumbent,
        params: SolverParams = DEFAULTS,
    ) -> None:
        self._problem, self._vectors, self._totals = vectors.problem, vectors, totals
        self._regrets, self._limits, self._rng = regrets, limits, rng
        self._stop, self._incumbent = stop, incumbent
        self._all, self._params = params, params.search

    def draw(self) -> StartParams:
        """Draw a start at random."""
        params, draw = self._params, self._rng.random(3).tolist()
        least, more = params.restart_scale
        return StartParams(
            scale=least + more * draw[0],
            density=params.restart_density * draw[1],
            fill=1.0 - params.restart_unfilled * draw[2],
            filling=float(self._rng.choice(params.restart_fillings)),
        )

    def begin(self, start: StartParams) -> Annealer | None:
        """Choose options by price within limits and place them, too full if need be.

        Where a bundle finds no place, as pins and rivals leave none, the best plan so
        far is changed into these options as far as possible. None where there is no
        such plan, or no time.
        """
        limits = self._limits
        excess, legal = self._within(limits.of(start))
        seconds = self._totals.seconds + limits.idle_s(start)
        totals = replace(self._totals, seconds=seconds)
        fill = self._fill(start, legal)
        choice = select_from(self._problem, totals, legal, fill, self._all.choice)
        state = State(self._problem, self._vectors)
        left = self._place(state, choice)
        if left is None:
            return None
        annealer = self._annealer(state, start, excess)
        if not annealer.insert(left, choice):
            if self._incumbent.assignment is None:
                return None
            state.return_to(self._incumbent.assignment)
            annealer.redirect(np.flatnonzero(state.option != choice).tolist(), choice)
        self._incumbent.look_at(state)
        return annealer

    def at(self, plan: Assignment, start: StartParams) -> Annealer:
        """Begin with a plan instead of what a start would choose."""
        state = State(self._problem, self._vectors)
        state.return_to(plan)
        return self._annealer(state, start, self._within(self._limits.of(start))[0])

    def _annealer(self, state: State, start: StartParams, excess: Floats) -> Annealer:
        return Annealer(
            state,
            self._limits.regret(start),
            excess,
            self._rng,
            self._stop,
            self._incumbent.look_at,
            self._params,
        )

    def _within(self, limit: Floats) -> tuple[Floats, Bools]:
        """Say by how much options exceed limits, and which may be chosen (O,).

        Limits are raised until what they leave can fit: finer cuts need more memory,
        for all ranks keep room for the rows that they exchange.
        """
        menu = self._problem.options
        for factor in _RAISES:
            found = self._limits.excess(factor * limit, self._incumbent.value_s)
            excess = np.maximum(found, 0.0)
            least = np.minimum.reduceat(excess, menu.start[:-1])
            legal = excess <= np.repeat(least, np.diff(menu.start)) + LEAST_EXCESS
            if self._least_share(legal) <= 1.0:
                break
        return excess, legal

    def _least_share(self, legal: Bools) -> float:
        """Share of the memory that the options of least bytes need."""
        # Of all tiers together: the fullest tier of each table's own would add up to
        # more than there is where some tables leave HBM and others DDR.
        needed = np.where(legal, self._totals.all_bytes, np.inf)
        least = float(least_per_table(needed, self._problem.options).sum())
        return least / max(self._totals.num_tiers, 1)

    def _fill(self, start: StartParams, legal: Bools) -> float:
        """Share of the memory to use: more where it is dear, or hardly enough."""
        least = min(self._least_share(legal), 1.0)
        params = self._params
        if self._problem.world_size > params.scale_ranks:
            has_tiers = self._problem.options.uses_pools.any()
            share = params.room_share_tiers if has_tiers else params.room_share
            return max(start.fill, least + share * (1.0 - least))
        # Free memory makes placing easy, but costs its price: what the price adds to
        # the bound is what leaving it free may add to the plan.
        fill = 1.0 - (1.0 - start.fill) / (1.0 + self._regrets.memory)
        return max(fill, least + params.room_share * (1.0 - least))

    def _place(self, state: State, choice: Ints) -> list[int] | None:
        """Place what fits, the largest first; return the bundles that do not.

        None if time is over.
        """
        has_plan = self._incumbent.assignment is not None
        scale = mean_phase_load(self._problem, choice)
        placer = Placer(self._problem, scale, params=self._all.placement)
        left = []
        order = placing_order(self._problem, self._totals, choice).tolist()
        for number, bundle in enumerate(order):
            is_time = number % CLOCK_EVERY == CLOCK_EVERY - 1
            if is_time and self._stop.give_up(has_plan=has_plan):
                return None
            if placer.place(bundle, int(choice[bundle])):
                state.put(bundle, int(choice[bundle]), placer.places[bundle])
            else:
                left.append(bundle)
        return left
