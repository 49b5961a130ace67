"""Largest differencing (Karmarkar and Karp), with memory as a second number.

With tables restricted to `table_wise` this is the second heuristic of Neo
(Mudigere et al., arXiv 2104.05158, section 4.2).
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.totals import OptionTotals
from shardplan.solvers.base import Observer, SolverResult, Stop, finished
from shardplan.solvers.params import DEFAULTS, SolverParams
from shardplan.solvers.placement import (
    Placer,
    mean_phase_load,
    place_fallback,
    placing_order,
)
from shardplan.solvers.selection import select

if TYPE_CHECKING:
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Bools, Floats, Ints


class Piece(NamedTuple):
    """One item of a bundle: its weight in the partition and where it comes from."""

    weight: float
    bundle: int
    position: int


class LargestDifferencing:
    """Join the two most uneven partial partitions until one is left.

    Items on single ranks of one class are partitioned; everything else (groups,
    pinned or separated tables, items to keep apart, mixed clusters) is placed greedily
    before.
    An item whose rank has no memory left goes to the least loaded one that has.

    Parameters
    ----------
    has_plan : bool
        Whether there is a plan already, so that none need be found after the stop.
    """

    def __init__(
        self, params: SolverParams = DEFAULTS, *, has_plan: bool = False
    ) -> None:
        self._params, self._has_plan = params, has_plan

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`; the seed is not used, for nothing here is random."""
        totals = OptionTotals.of(problem)
        bound = totals.lower_bound(problem)
        mean = max(totals.mean_rank_seconds(problem), bound)
        best: Assignment | None = None
        value = np.inf
        for share in self._params.ldm.item_shares:
            if stop.give_up(has_plan=self._has_plan or best is not None):
                break
            limit_s = share * mean
            choice = select(problem, totals, limit_s, 1.0, params=self._params.choice)
            if choice is None:
                continue
            # Differencing knows one number per item. Time alone may overfill ranks;
            # with memory added, neither of them is balanced as well as by itself.
            for weight in self._params.ldm.memory_weights:
                if stop.give_up(has_plan=self._has_plan or best is not None):
                    break
                placer = self._solve_choice(problem, totals, choice, weight)
                if placer is None:
                    continue
                found = placer.loads.value(problem.objective)
                if found < value:
                    best, value = placer.assignment(), found
                    observer.improved(value, bound)
        return finished(best, value, bound, stop)

    def _solve_choice(
        self, problem: Problem, totals: OptionTotals, choice: Ints, memory_weight: float
    ) -> Placer | None:
        """Place the fixed part greedily, then the rest as partitioned."""
        free = _is_free(problem, choice)
        placer = Placer(
            problem,
            mean_phase_load(problem, choice),
            params=self._params.placement,
        )
        order = placing_order(problem, totals, choice)
        for bundle in order[~free[order]]:
            if not place_fallback(
                problem, totals, placer, int(bundle), int(choice[bundle])
            ):
                return None
        pieces = _pieces(problem, choice, np.flatnonzero(free), memory_weight)
        wanted = _wanted(problem, placer, pieces, choice)
        for bundle in order[free[order]]:
            option = int(choice[bundle])
            if placer.place(int(bundle), option, wanted[int(bundle)]):
                continue
            if not place_fallback(problem, totals, placer, int(bundle), option):
                return None
        return placer


def _is_free(problem: Problem, choice: Ints) -> Bools:
    """Bundles whose items may go to any rank, independently of each other."""
    menu = problem.options
    free = (menu.scope[choice] == Scope.RANK) & ~menu.apart[choice]
    free &= ~menu.same_host[choice] & ~problem.limited
    return np.asarray(free & (len(problem.cluster.host_groups) == 1))


def _pieces(
    problem: Problem, choice: Ints, bundles: Ints, memory_weight: float
) -> list[Piece]:
    """Items with their weight: time over mean time, plus weighted memory."""
    menu = problem.options
    time = menu.item_cost[:, 0].sum(axis=1)
    memory = menu.item_bytes[:, 0]
    pieces = [
        (item, int(bundle), position)
        for bundle in bundles
        for position, item in enumerate(menu.copies_of(choice[bundle]).tolist())
    ]
    items = np.array([piece[0] for piece in pieces], dtype=np.int64)
    total_time, total_memory = time[items].sum() or 1.0, memory[items].sum() or 1.0
    weight = time / total_time + memory_weight * memory / total_memory
    return [Piece(float(weight[item]), b, position) for item, b, position in pieces]


def _wanted(
    problem: Problem, placer: Placer, pieces: list[Piece], choice: Ints
) -> dict[int, Ints]:
    """Preferred ranks: the heaviest part goes to the rank with the least load."""
    load = placer.loads.cost.sum(axis=1)
    ranks = np.argsort(load, kind="stable")
    wanted = {
        piece.bundle: [0] * problem.options.num_places(choice[piece.bundle])
        for piece in pieces
    }
    for rank, part in zip(
        ranks, largest_differencing(pieces, len(ranks)), strict=False
    ):
        for piece in part:
            wanted[piece.bundle][piece.position] = int(rank)
    return {bundle: np.array(places) for bundle, places in wanted.items()}


def largest_differencing(pieces: list[Piece], num_parts: int) -> list[list[Piece]]:
    """Partition pieces into parts of nearly equal weight, heaviest part first.

    Notes
    -----
    A partial partition is its non-empty parts, heaviest first. The two with the
    largest difference between heaviest and lightest part are joined, heavy parts of
    one with light parts of the other, until one remains.

    References
    ----------
    Karmarkar and Karp, "The differencing method of set partitioning", 1982;
    multi-way as in Michiels, Korst and Aarts, 2003.
    """
    # Parts are nodes of a tree: copying their pieces at every join would take as long
    # as all joins. Numbers make equal differences come in the order of pieces.
    children: list[tuple[int, int]] = []
    heap: list[tuple[float, int, Partition]] = []
    for number, piece in enumerate(pieces):
        single = Partition(np.array([piece.weight]), np.array([number]))
        heap.append((-_difference(single, num_parts), number, single))
    heapq.heapify(heap)
    number = len(pieces)
    while len(heap) > 1:
        _, _, first = heapq.heappop(heap)
        _, _, second = heapq.heappop(heap)
        joined = _join(first, second, num_parts, len(pieces), children)
        heapq.heappush(heap, (-_difference(joined, num_parts), number, joined))
        number += 1
    return _expanded(heap[0][2], pieces, children) if heap else []


class Partition(NamedTuple):
    """Non-empty parts, heaviest first: weights, and the nodes that stand for them.

    Nodes are pieces, and after them pairs of nodes that were put together.
    """

    weight: Floats
    node: Ints


def _difference(parts: Partition, num_parts: int) -> float:
    lightest = parts.weight[-1] if len(parts.weight) == num_parts else 0.0
    return float(parts.weight[0] - lightest)


def _join(
    first: Partition,
    second: Partition,
    num_parts: int,
    num_pieces: int,
    children: list[tuple[int, int]],
) -> Partition:
    """Add the heavy parts of one to the light (or empty) parts of the other."""
    overlap = max(0, len(first.weight) + len(second.weight) - num_parts)
    keep, rest = len(first.weight) - overlap, len(second.weight) - overlap
    light, heavy = first.node[keep:], second.node[rest:][::-1]
    both = num_pieces + len(children) + np.arange(overlap)
    children.extend(zip(light.tolist(), heavy.tolist(), strict=True))
    sums = first.weight[keep:] + second.weight[rest:][::-1]
    weight = np.concatenate([first.weight[:keep], second.weight[:rest], sums])
    node = np.concatenate([first.node[:keep], second.node[:rest], both])
    order = np.argsort(-weight, kind="stable")
    return Partition(weight[order], node[order])


def _expanded(
    parts: Partition, pieces: list[Piece], children: list[tuple[int, int]]
) -> list[list[Piece]]:
    """List the pieces of every part."""
    part_of = dict(zip(parts.node.tolist(), range(len(parts.node)), strict=True))
    for number in range(len(children) - 1, -1, -1):
        part = part_of[len(pieces) + number]
        for child in children[number]:
            part_of[child] = part
    result: list[list[Piece]] = [[] for _ in parts.node]
    for number, piece in enumerate(pieces):
        result[part_of[number]].append(piece)
    return result
