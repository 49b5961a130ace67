"""Memory of hosts that is divided over their ranks, as TorchRec's planner counts it.

Solvers know host memory as a pool of each host. Where the cost model gives every rank
a fixed share of it, options that no share holds are left out, and ranks above their
share hand items to others.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from shardplan.problem import Assignment
from shardplan.sharding import Objective, Scope
from shardplan.solvers.base import GAP_TOLERANCE, SolverResult, SolveStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from shardplan.problem import Problem
    from shardplan.solvers.base import Observer, Solver, Stop

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_LESS = 0.99
"""An exchange gives back at most this share of what is moved away."""
_SLACK = 1e-9
"""Share of a rank's memory left free: another order of summation still fits."""


def solve_by_rank(
    solver: Solver, problem: Problem, stop: Stop, seed: int, observer: Observer
) -> SolverResult:
    """Solve; where ranks have shares of host memory, return a plan that keeps them.

    The bound stays: fewer plans are allowed than the solver bounds.
    """
    rooms = problem.capacity.rank_rooms()
    if rooms is None:
        return solver.solve(problem, stop, seed, observer)
    kept = np.flatnonzero(_is_holdable(problem, rooms))
    inner = _select(problem, kept)
    if (np.diff(inner.options.start) == 0).any():
        return SolverResult(None, 0.0, SolveStatus.NOT_FOUND)
    found = solver.solve(inner, stop, seed, observer)
    if found.assignment is None:
        return found
    if inner is not problem:
        option = kept[found.assignment.option]
        found = replace(
            found,
            assignment=Assignment(option, found.assignment.places),
            certificate=None,
        )
    return _repaired(problem, found, rooms)


def _is_holdable(problem: Problem, rooms: Floats) -> NDArray[np.bool_]:
    """Whether some rank has the room for each item of an option, bool array (O,)."""
    menu = problem.options
    fits = (menu.item_bytes <= rooms.max(axis=0)).all(axis=1)
    return np.asarray(np.logical_and.reduceat(fits, menu.item_start[:-1]))


def _select(problem: Problem, kept: Ints) -> Problem:
    """Return the problem with some of its options only."""
    if len(kept) == len(problem.options):
        return problem
    bundles = problem.bundles
    return replace(
        problem,
        options=problem.options.select(kept, len(bundles)),
        bundles=replace(bundles, sources=bundles.sources[kept]),
    )


def _repaired(problem: Problem, found: SolverResult, rooms: Floats) -> SolverResult:
    """Move items off ranks that hold too much; without a plan if that fails."""
    assert found.assignment is not None
    ranks = _Ranks(problem, found.assignment, rooms)
    if not ranks.overfull().any():
        return found
    while ranks.overfull().any():
        if not ranks.relieve():
            return SolverResult(None, found.lower_bound_s, SolveStatus.NOT_FOUND)
    assignment = ranks.assignment()
    value = problem.value(assignment)
    is_best = value <= found.lower_bound_s * (1.0 + GAP_TOLERANCE)
    status = found.status
    if status is SolveStatus.OPTIMAL and not is_best:
        status = SolveStatus.FEASIBLE
    return replace(found, assignment=assignment, status=status)


class _Ranks:
    """What an assignment puts on every rank, and moves of its items.

    Parameters
    ----------
    rooms : float array (W, 3)
        Bytes that each rank may hold, per tier.
    """

    def __init__(self, problem: Problem, assignment: Assignment, rooms: Floats) -> None:
        world = problem.world_size
        self._problem = problem
        self._rooms = rooms * (1.0 - _SLACK)
        self._option = assignment.option
        self._places = [places.copy() for places in assignment.places]
        self._used = np.zeros((world, rooms.shape[1]))
        self._cost = np.zeros((world, problem.num_phases))
        self._movable: list[tuple[int, int, int]] = []
        for bundle, option in enumerate(assignment.option.tolist()):
            self._add_bundle(bundle, option)

    def assignment(self) -> Assignment:
        """Return where everything is now."""
        return Assignment(self._option, tuple(self._places))

    def overfull(self) -> NDArray[np.bool_]:
        """Ranks and tiers that hold more than their share, bool array (W, 3)."""
        return np.asarray(self._used > self._rooms)

    def relieve(self) -> bool:
        """Make the best move or swap off the fullest rank; False if there is none."""
        excess = (self._used - self._rooms) / np.maximum(self._rooms, 1.0)
        rank, tier = (int(i) for i in np.unravel_index(excess.argmax(), excess.shape))
        held = [
            number
            for number, (_, _, item) in enumerate(self._movable)
            if self._holder(number) == rank
            and self._problem.options.item_bytes[item, tier] > 0
        ]
        moves = [
            (self._value_after(self._movable[number][2], rank, target), number, target)
            for number in held
            for target in self._targets(number)
        ]
        if moves:
            _, number, target = min(moves)
            self._move(number, target)
            return True
        swaps = [swap for number in held for swap in self._swaps(number, rank, tier)]
        if not swaps:
            return False
        _, number, target, others = min(swaps)
        self._move(number, target)
        for other in others:
            self._move(other, rank)
        return True

    def _move(self, number: int, target: int) -> None:
        bundle, position, item = self._movable[number]
        self._put(item, self._places[bundle][position : position + 1], -1.0)
        self._put(item, np.array([target]), 1.0)
        self._places[bundle][position] = target

    def _swaps(
        self, number: int, rank: int, tier: int
    ) -> Iterator[tuple[float, int, int, tuple[int, ...]]]:
        """Yield exchanges with other ranks: (slower rank, item, target, items back).

        The rank then holds less of the tier, and no other rank is above its share.
        """
        menu = self._problem.options
        bundle, _, item = self._movable[number]
        on_rank: dict[int, list[int]] = defaultdict(list)
        for other in range(len(self._movable)):
            on_rank[self._holder(other)].append(other)
        room = np.maximum(self._rooms[rank], self._used[rank]) - self._used[rank]
        room = room + menu.item_bytes[item]
        room[tier] = menu.item_bytes[item, tier] * _LESS
        legal = self._problem.allowed_ranks(bundle)
        for target in np.flatnonzero(legal).tolist():
            if target == rank:
                continue
            missing = self._used[target] + menu.item_bytes[item] - self._rooms[target]
            others = self._in_return(on_rank[target], rank, missing, room)
            if others:
                given = [self._movable[other][2] for other in others]
                yield self._slower(item, given, rank, target), number, target, others

    def _in_return(
        self, numbers: list[int], rank: int, missing: Floats, room: Floats
    ) -> tuple[int, ...]:
        """Choose items, large ones first, that free what is missing and find room."""
        item_bytes = self._problem.options.item_bytes
        chosen, size = [], np.zeros(len(room))
        for number in sorted(
            numbers, key=lambda n: -item_bytes[self._movable[n][2], 0]
        ):
            bundle, _, item = self._movable[number]
            fits = (size + item_bytes[item] <= room).all()
            if fits and self._problem.allowed_ranks(bundle)[rank]:
                chosen.append(number)
                size = size + item_bytes[item]
                if (size >= missing).all():
                    return tuple(chosen)
        return ()

    def _slower(self, item: int, given: list[int], rank: int, target: int) -> float:
        """Seconds of the slower of two ranks after an exchange, over all phases."""
        cost, rank_class = (
            self._problem.options.item_cost,
            self._problem.cluster.rank_class,
        )
        ours, theirs = cost[:, rank_class[rank]], cost[:, rank_class[target]]
        here = self._cost[rank].sum() - ours[item].sum() + ours[given].sum()
        there = self._cost[target].sum() + theirs[item].sum() - theirs[given].sum()
        return float(max(here, there))

    def _add_bundle(self, bundle: int, option: int) -> None:
        problem, menu = self._problem, self._problem.options
        scope, places = int(menu.scope[option]), self._places[bundle]
        items = np.arange(menu.item_start[option], menu.item_start[option + 1])
        items = np.repeat(items, menu.item_count[items])
        is_free = (
            scope == Scope.RANK
            and menu.row_shards[option] == 1
            and not menu.same_host[option]
            and not problem.conflicts.get(bundle)
        )
        for position, item in enumerate(items.tolist()):
            place = 0 if scope == Scope.ALL else int(places[position])
            chosen = problem.place_ranks(scope, place)
            self._put(item, np.arange(chosen.start, chosen.stop), 1.0)
            if is_free:
                self._movable.append((bundle, position, item))

    def _put(self, item: int, ranks: Ints, sign: float) -> None:
        menu, cluster = self._problem.options, self._problem.cluster
        self._used[ranks] += sign * menu.item_bytes[item]
        self._cost[ranks] += sign * menu.item_cost[item, cluster.rank_class[ranks]]

    def _holder(self, number: int) -> int:
        bundle, position, _ = self._movable[number]
        return int(self._places[bundle][position])

    def _targets(self, number: int) -> Iterator[int]:
        """Ranks that have room for an item."""
        bundle, _, item = self._movable[number]
        menu = self._problem.options
        legal = self._problem.group_places(bundle, int(self._option[bundle]))
        with_it = self._used[legal] + menu.item_bytes[item]
        yield from legal[(with_it <= self._rooms[legal]).all(axis=1)].tolist()

    def _value_after(self, item: int, source: int, target: int) -> float:
        cost = self._cost.copy()
        both = np.array([source, target])
        own = self._problem.cluster.rank_class[both]
        cost[both] += (
            np.array([[-1.0], [1.0]]) * self._problem.options.item_cost[item, own]
        )
        if self._problem.objective is Objective.STEP:
            return float(cost.max(axis=0).sum())
        return float(cost.sum(axis=1).max())
