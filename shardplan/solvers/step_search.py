"""Anneal single tables on the predicted step itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import SCOPES, Scope
from shardplan.problems.problem import Assignment
from shardplan.problems.weighted import StepCurves, weights_at

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Floats, Ints
    from shardplan.solvers.base import Stop

_HOT, _COLD = 2e-3, 5e-5
"""First and last temperature, as shares of the step."""
_NOISE = 0.1
"""Spread of a rank's load when places are chosen, as a share of its mean."""
_RENEW = 400
"""Moves after which curves and paths are taken at the present plan again."""
_FRUITLESS = 2000
"""Moves without a better plan after which the best one is taken up again."""
_MOVES = 200
"""Moves per table where nothing limits the search."""
_RETRY = 0.3
"""Share of moves that keep the table's option and only change its places."""


@dataclass
class _Pools:
    """What is on ranks (W, R) [s], and on the pools of each tier [bytes]."""

    cost: Floats
    tiers: tuple[Floats, Floats, Floats]


class StepSearch:
    """Moves one table at a time to another option, or to other places.

    Parameters
    ----------
    problem : Problem
        Under `time`.

    Notes
    -----
    A move is judged by the longest of the paths seen so far, with operations as long as
    their curves say: a fixed time if in use, and a slope. Plans that look best are
    predicted exactly, and their paths join the others.
    """

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem = problem
        self._rng = np.random.default_rng(seed)
        self._cost = problem.options.item_cost
        self._rooms = problem.rooms
        self._free = [
            b for b in range(problem.num_bundles) if not problem.conflicts.get(b)
        ]
        self._rank_class = problem.cluster.rank_class
        self._pool = problem.capacity.rank_pool

    def improve(self, start: Assignment, stop: Stop) -> Assignment:
        """Return the best assignment found from a start until `stop` says so."""
        if not self._free:
            return start
        option, places = start.option.copy(), list(start.places)
        pools = self._pools(start)
        curves = StepCurves.at(self._problem, pools.cost)
        weights = weights_at(self._problem, pools.cost)
        best, best_s = start, curves.exact_s
        now_s, moves, found_at = best_s, 0, 0
        most = _MOVES * len(self._free) if self._is_endless(stop) else np.inf
        left_s, left_work = stop.remaining_s(), stop.work_limit - stop.work
        while moves < most and not stop.now():
            moves, stop.work = moves + 1, stop.work + 1
            if moves % _RENEW == 0:
                if moves - found_at >= _FRUITLESS:
                    option, places, found_at = best.option.copy(), [*best.places], moves
                pools = self._pools(Assignment(option, tuple(places)))
                curves = curves.renewed(pools.cost)
                weights = weights_at(self._problem, pools.cost)
                now_s = curves.exact_s
            bundle = self._free[int(self._rng.integers(len(self._free)))]
            before = int(option[bundle]), places[bundle]
            self._shift(pools, *before, -1.0)
            after = self._draw(bundle, before[0], pools, weights)
            if after is None:
                self._shift(pools, *before, 1.0)
                continue
            self._shift(pools, *after, 1.0)
            new_s = curves.step_s(pools.cost)
            share = self._progress(stop, moves / most, left_s, left_work)
            heat = _HOT * (_COLD / _HOT) ** share * best_s
            most_s = now_s - heat * np.log(self._rng.random())
            if new_s > most_s or not self._fits(pools):
                self._shift(pools, *after, -1.0)
                self._shift(pools, *before, 1.0)
                continue
            option[bundle], places[bundle] = after
            now_s = new_s
            if new_s < best_s * (1.0 - 1e-6):
                found = Assignment(option.copy(), tuple(places))
                curves = curves.renewed(self._problem.loads(found).cost)
                now_s = curves.exact_s
                if now_s < best_s:
                    best, best_s, found_at = found, now_s, moves
        return best

    def _is_endless(self, stop: Stop) -> bool:
        return stop.is_endless and not stop.is_by_work

    def _progress(
        self, stop: Stop, of_moves: float, left_s: float, left_work: float
    ) -> float:
        """Share of the search that is over."""
        if stop.is_by_work:
            return 1.0 - (stop.work_limit - stop.work) / max(left_work, 1.0)
        if stop.is_endless:
            return of_moves
        return min(1.0, 1.0 - stop.remaining_s() / max(left_s, 1e-9))

    def _pools(self, assignment: Assignment) -> _Pools:
        loads = self._problem.loads(assignment)
        return _Pools(loads.cost, (loads.hbm, loads.ddr, loads.ssd))

    def _fits(self, pools: _Pools) -> bool:
        pairs = zip(pools.tiers, self._rooms, strict=True)
        return all(bool((used <= room).all()) for used, room in pairs)

    def _shift(self, pools: _Pools, option: int, places: Ints, sign: float) -> None:
        """Add an option's items to ranks and pools, or take them off."""
        menu, items = self._problem.options, self._problem.options.copies_of(option)
        scope = int(menu.scope[option])
        if scope == Scope.ALL:
            ranks = np.arange(len(pools.cost))
            self._add(pools, items, np.zeros_like(ranks), ranks, sign)
        elif scope == Scope.RANK:
            self._add(pools, items, np.arange(len(items)), places, sign)
        else:
            which, ranks = self._problem.ranks_of(scope, places)
            self._add(pools, items, which, ranks, sign)

    def _add(
        self, pools: _Pools, items: Ints, which: Ints, ranks: Ints, sign: float
    ) -> None:
        menu, chosen = self._problem.options, items[which]
        cost = self._cost[chosen, self._rank_class[ranks]]
        np.add.at(pools.cost, ranks, sign * cost)
        num_bytes = sign * menu.item_bytes[chosen].T
        pool = self._pool[ranks]
        for used, at, added in zip(
            pools.tiers, (ranks, pool, pool), num_bytes, strict=True
        ):
            np.add.at(used, at, added)

    def _draw(
        self, bundle: int, before: int, pools: _Pools, weights: Floats
    ) -> tuple[int, Ints] | None:
        """Draw an option of a bundle, and good places for it; None if it has none."""
        menu, option = self._problem.options, before
        if self._rng.random() > _RETRY:
            first, last = menu.start[bundle], menu.start[bundle + 1]
            option = int(self._rng.integers(first, last))
        places = self._places(bundle, option, pools, weights)
        return None if places is None else (option, places)

    def _places(
        self, bundle: int, option: int, pools: _Pools, weights: Floats
    ) -> Ints | None:
        """Choose the places with the least weighted load, and some luck."""
        problem, menu = self._problem, self._problem.options
        scope = int(menu.scope[option])
        if scope == Scope.ALL:
            return np.zeros(0, dtype=np.int64)
        legal, wanted = problem.group_places(bundle, option), menu.num_places(option)
        load = pools.cost @ weights
        load = load + _NOISE * load.mean() * self._rng.random(len(load))
        load[pools.tiers[0] + menu.largest_hbm_bytes[option] > self._rooms[0]] = np.inf
        if scope != Scope.RANK:
            load = np.add.reduceat(
                load, problem.cluster.groups(SCOPES[scope]).first_rank
            )
        if menu.same_host[option]:
            host = problem.cluster.rank_host[legal]
            legal = legal[host == host[load[legal].argmin()]]
        if len(legal) < wanted:
            return None
        order = np.argsort(load[legal], kind="stable")[:wanted]
        return np.asarray(legal[order])
