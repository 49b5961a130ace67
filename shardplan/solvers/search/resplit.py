"""Split the HBM of ranks among their caches again, with all shards in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.problem import Assignment
from shardplan.records.sharding import Objective
from shardplan.solvers.search.params import SEARCH_DEFAULTS, SearchParams
from shardplan.solvers.tolerances import LEAST_GAIN, NO_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.solvers.base import Stop


class Step(NamedTuple):
    """One segment of a curve: time saved per byte, and the point where it ends."""

    gain: float
    point: int


class Part(NamedTuple):
    """A bundle on one rank: for each alternative the bytes per tier, and the time."""

    bundle: int
    present: int
    tier_bytes: list[list[float]]
    time_s: list[float]


Choice = dict[int, int]
"""Alternative that each bundle takes."""


def curve(hbm: Sequence[float], time_s: Sequence[float], first: int) -> list[Step]:
    """Return the lower convex hull of time over bytes from a point on, as steps.

    The gain falls from step to step. What saves time and no bytes comes first.
    """
    steps: list[Step] = []
    point = first
    while True:
        best, gain = -1, 0.0
        for other, (size, time) in enumerate(zip(hbm, time_s, strict=True)):
            saved, more = time_s[point] - time, size - hbm[point]
            if saved <= 0.0:
                continue
            density = saved / more if more > 0.0 else np.inf
            if density > gain or (density == gain and time < time_s[best]):
                best, gain = other, density
        if best < 0:
            return steps
        steps.append(Step(gain, best))
        point = best


def spend(
    curves: Sequence[Sequence[Step]], take: Callable[[int, int], bool]
) -> Step | None:
    """Take the steps of all curves, the greatest gain first.

    After a step that `take` refuses, the rest of its curve is left out.

    Returns
    -------
    Step or None
        The first refused one.

    Notes
    -----
    Steps of one curve come in order, since its gain falls. So for one pool the
    points reached before the first refusal have the least total time of all choices,
    also fractional ones, that need no more bytes; and the least possible time for
    the whole pool is lower by less than what the refused step saves.
    """
    steps = [(step, index) for index, curve in enumerate(curves) for step in curve]
    steps.sort(key=lambda pair: -pair[0].gain)
    refused: Step | None = None
    over = set[int]()
    for step, index in steps:
        if index not in over and not take(index, step.point):
            over.add(index)
            refused = refused or step
    return refused


def resplit(
    problem: Problem,
    assignment: Assignment,
    stop: Stop | None = None,
    params: SearchParams = SEARCH_DEFAULTS,
) -> Assignment:
    """Choose anew how much of each table is in HBM, and leave all shards in place.

    Options change only within one structure and row type, so every shard keeps its
    ranks and its columns.

    Returns
    -------
    Assignment
        Its value is not higher, and with an equal value its total time is not; it
        fits if the given one does.
    """
    split = _Split(problem, assignment, params)
    split.improve_all(stop)
    result = split.assignment()
    return result if split.is_better(result) else assignment


@dataclass(eq=False)
class _Bundle:
    """A bundle's A alternatives at its K ranks.

    Attributes
    ----------
    options : int array (A,)
    present : int
        Index of the one it takes now.
    ranks : int array (K,)
    cost : float array (A, K, P)
    tier_bytes : float array (A, K, 3)
    """

    options: Ints
    present: int
    ranks: Ints
    cost: Floats
    tier_bytes: Floats

    @property
    def is_spread(self) -> bool:
        """Whether it is on several ranks."""
        return len(self.ranks) > 1


class _Split:
    """An assignment whose cache fractions change, with its loads."""

    def __init__(
        self, problem: Problem, assignment: Assignment, params: SearchParams
    ) -> None:
        self._problem, self._given, self._params = problem, assignment, params
        self._is_sum = problem.objective is Objective.MAX_RANK
        self._pool = problem.capacity.rank_pool
        self._loads = loads = problem.loads(assignment)
        self._cost, self._used = loads.cost, (loads.hbm, loads.ddr, loads.ssd)
        self._value = loads.value(problem.objective)
        self._given_value, self._given_total = self._value, loads.cost.sum()
        self._room = problem.rooms
        self._bundles: dict[int, _Bundle] = {}
        self._on_rank: list[list[int]] = [[] for _ in range(problem.world_size)]
        for index, bundle in _bundles(problem, assignment, params.resplit_ranks):
            self._bundles[index] = bundle
            for rank in bundle.ranks.tolist():
                self._on_rank[rank].append(index)

    def assignment(self) -> Assignment:
        """Return the assignment as it is now."""
        option = self._given.option.copy()
        for index, bundle in self._bundles.items():
            option[index] = bundle.options[bundle.present]
        return Assignment(option, self._given.places)

    def is_better(self, assignment: Assignment) -> bool:
        """Whether an assignment is really better than the given one: added up anew."""
        loads = self._problem.loads(assignment)
        value = loads.value(self._problem.objective)
        if not loads.fits(self._problem.capacity):
            return False
        total = loads.cost.sum()
        return bool(
            value < self._given_value
            or (value == self._given_value and total < self._given_total)
        )

    def improve_all(self, stop: Stop | None) -> None:
        """Improve rank by rank, the slowest first, while it lowers the objective."""
        for _ in range(self._params.resplit_passes):
            before = self._value
            for rank in self._slowest_first().tolist():
                if stop is not None and (stop.requested or not stop.remaining_s()):
                    return
                self._improve(rank)
            if self._value > before * (1.0 - LEAST_GAIN):
                return

    def _slowest_first(self) -> Ints:
        """Ranks that hold caches, in order of how much they bound the objective."""
        has = np.array([bool(bundles) for bundles in self._on_rank])
        order = np.argsort(-self._level().max(axis=1), kind="stable")
        return np.asarray(order[has[order]])

    def _level(self) -> Floats:
        """Look up the loads of ranks as shares of the slowest one's (W, D)."""
        cost = self._cost
        if self._is_sum:
            cost = cost.sum(axis=1, keepdims=True)
        return np.asarray(cost / np.maximum(cost.max(axis=0), NO_SECONDS))

    def _improve(self, rank: int) -> None:
        """Try splits of a rank's HBM: from the least caches, and from the present."""
        weight = np.ones(self._problem.num_phases)
        if not self._is_sum:
            top = np.maximum(self._cost.max(axis=0), NO_SECONDS)
            weight = (self._cost[rank] / top) ** self._params.resplit_sharpness
        parts = [self._part(index, rank, weight) for index in self._on_rank[rank]]
        own = [part for part in parts if not self._bundles[part.bundle].is_spread]
        found = [self._spend(rank, parts, anew=True)]
        found.append(self._spend(rank, parts, anew=False))
        if len(own) < len(parts):
            found.append(self._spend(rank, own, anew=True))
        found.sort(key=lambda pair: -pair[0])
        for saved, choice in found:
            if saved <= 0.0 or self._take(choice):
                return

    def _part(self, index: int, rank: int, weight: Floats) -> Part:
        """Look at a bundle on one rank; leave out what other ranks cannot bear."""
        bundle = self._bundles[index]
        here = 0
        time = bundle.cost @ weight
        if bundle.is_spread:
            here = int(np.flatnonzero(bundle.ranks == rank)[0])
            fits = self._fits_on_all(bundle, here)
            time = np.where(fits[:, None], time, np.inf)
        return Part(
            index,
            bundle.present,
            bundle.tier_bytes[:, here].tolist(),
            time[:, here].tolist(),
        )

    def _fits_on_all(self, bundle: _Bundle, here: int) -> Bools:
        """Alternatives with room on all ranks, which stay as fast as the slowest (A,).

        How fast the rank at index `here` gets does not matter.
        """
        ranks, now = bundle.ranks, bundle.present
        more = bundle.tier_bytes[:, :, 0] - bundle.tier_bytes[now, :, 0]
        room = (self._room[0] - self._used[0])[ranks]
        fits = ((more <= 0.0) | (more <= room)).all(axis=1)
        slower = bundle.cost - bundle.cost[now]
        cost, slack = self._cost, self._cost.max(axis=0) - self._cost[ranks]
        if self._is_sum:
            slower = slower.sum(axis=2, keepdims=True)
            total = cost.sum(axis=1)
            slack = (total.max() - total[ranks])[:, None]
        bearable = ((slower <= 0.0) | (slower <= slack)).all(axis=2)
        bearable[:, here] = True
        return np.asarray(fits & bearable.all(axis=1))

    def _spend(
        self, rank: int, parts: list[Part], *, anew: bool
    ) -> tuple[float, Choice]:
        """Spend a rank's HBM greedily; return what it saves there, and the choice.

        What is left goes to steps of the curves of the alternatives that still fit.

        Parameters
        ----------
        anew : bool
            Start from the least HBM of each bundle, not from its present one.
        """
        pool = int(self._pool[rank])
        room = [
            float(self._room[tier][at] - self._used[tier][at])
            for tier, at in enumerate((rank, pool, pool))
        ]
        now = {part.bundle: part.present for part in parts}

        def take(index: int, point: int) -> bool:
            part = parts[index]
            old, new = part.tier_bytes[now[part.bundle]], part.tier_bytes[point]
            more = [b - a for a, b in zip(old, new, strict=True)]
            if any(m > 0.0 and m > r for m, r in zip(more, room, strict=True)):
                return False
            for tier, size in enumerate(more):
                room[tier] -= size
            now[part.bundle] = point
            return True

        if anew:
            for index, part in enumerate(parts):
                take(index, _least(part))
        curves = [_curve_of(part, now[part.bundle], np.inf) for part in parts]
        if spend(curves, take) is not None:
            curves = [_curve_of(part, now[part.bundle], room[0]) for part in parts]
            spend(curves, take)
        saved = sum(p.time_s[p.present] - p.time_s[now[p.bundle]] for p in parts)
        changed = {p.bundle: now[p.bundle] for p in parts if now[p.bundle] != p.present}
        return saved, changed

    def _take(self, choice: Choice) -> bool:
        """Change bundles if all pools hold it and nothing gets worse."""
        bundles = [self._bundles[index] for index in choice]
        ranks = np.concatenate([bundle.ranks for bundle in bundles])
        pairs = list(zip(bundles, choice.values(), strict=True))
        cost = np.concatenate([b.cost[new] - b.cost[b.present] for b, new in pairs])
        more = np.concatenate(
            [b.tier_bytes[new] - b.tier_bytes[b.present] for b, new in pairs]
        )
        owner = (ranks, self._pool[ranks], self._pool[ranks])
        old_cost = self._cost[ranks]
        old_used = [used[at] for used, at in zip(self._used, owner, strict=True)]
        np.add.at(self._cost, ranks, cost)
        for tier, at in enumerate(owner):
            np.add.at(self._used[tier], at, more[:, tier])
        value = self._loads.value(self._problem.objective)
        is_better = value < self._value or (value == self._value and cost.sum() < 0.0)
        if is_better and all(
            self._holds(tier, at, old)
            for tier, (at, old) in enumerate(zip(owner, old_used, strict=True))
        ):
            self._value = value
            for bundle, new in pairs:
                bundle.present = new
            return True
        self._cost[ranks] = old_cost
        for tier, at in enumerate(owner):
            self._used[tier][at] = old_used[tier]
        return False

    def _holds(self, tier: int, at: Ints, old: Floats) -> bool:
        used = self._used[tier][at]
        return bool(((used <= self._room[tier][at]) | (used <= old)).all())


def _least(part: Part) -> int:
    """Alternative of least HBM among those that fit, the fastest of equal ones."""
    usable = [i for i, time in enumerate(part.time_s) if time < np.inf]
    return min(usable, key=lambda i: (part.tier_bytes[i][0], part.time_s[i]))


def _curve_of(part: Part, first: int, room: float) -> list[Step]:
    """Curve of the alternatives that need at most so many more bytes of HBM."""
    hbm = [tiers[0] for tiers in part.tier_bytes]
    most = hbm[first] + room
    time_s = [t if h <= most else np.inf for h, t in zip(hbm, part.time_s, strict=True)]
    return curve(hbm, time_s, first)


def _bundles(
    problem: Problem, assignment: Assignment, most_ranks: int
) -> Iterator[tuple[int, _Bundle]]:
    """Yield the bundles that have a choice, with what it means at their ranks."""
    menu, rank_class = problem.options, problem.cluster.rank_class
    option = assignment.option
    similar = np.flatnonzero(_is_similar(problem, option))
    ends = np.searchsorted(menu.table[similar], np.arange(problem.num_bundles + 1))
    for index in np.flatnonzero(np.diff(ends) > 1).tolist():
        options = similar[ends[index] : ends[index + 1]]
        first, last = menu.item_start[option[index]], menu.item_start[option[index] + 1]
        item = np.repeat(np.arange(last - first), menu.item_count[first:last])
        scope, places = int(menu.scope[option[index]]), assignment.places[index]
        if scope == Scope.ALL:
            continue
        which, ranks = problem.ranks_of(scope, places)
        if len(ranks) > most_ranks:
            continue
        items = menu.item_start[options][:, None] + item[which]
        cost = menu.item_cost[items, rank_class[ranks]]
        tier_bytes = menu.item_bytes[items]
        if len(ranks) > 1 and len(set(ranks.tolist())) < len(ranks):
            order = np.argsort(ranks, kind="stable")
            ranks, start = np.unique(ranks[order], return_index=True)
            cost = np.add.reduceat(cost[:, order], start, axis=1)
            tier_bytes = np.add.reduceat(tier_bytes[:, order], start, axis=1)
        present = int(np.searchsorted(options, option[index]))
        yield index, _Bundle(options, present, ranks, cost, tier_bytes)


def _is_similar(problem: Problem, option: Ints) -> Bools:
    """Options with the structure, row type and items of their bundle's one (O,)."""
    menu = problem.options
    items = np.diff(menu.item_start)
    columns = (
        menu.sharding_type,
        menu.scope,
        menu.column_shards,
        menu.row_shards,
        menu.same_host,
        menu.dtype,
        items,
        menu.item_count[menu.item_start[:-1]],
        menu.item_columns[menu.item_start[:-1]],
    )
    own = option[menu.table]
    same = [column == column[own] for column in columns]
    return np.asarray(np.logical_and.reduce(same))
