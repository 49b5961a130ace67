"""Planners from the literature, written from their papers, as solvers of this project.

All use the prices and memory of the problem, so only the way of searching differs.

References
----------
Zha et al., "DreamShard: Generalizable Embedding Table Placement for Recommender
Systems", NeurIPS 2022, arXiv 2210.02023, section 4.1: the four greedy heuristics.
Zha et al., "Pre-train and Search: Efficient Embedding Table Sharding with Pre-trained
Neural Cost Models" (NeuroShard), MLSys 2023, arXiv 2305.01868, section 3.3: beam
search over column-wise splits, greedy grid search over table-wise placements.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.problems.problem import Assignment
from shardplan.records.sharding import PHASES, Phase
from shardplan.solvers.base import Observer, Solver, SolverResult, Stop, finished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from shardplan.problems.problem import Problem

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Key = Callable[[Problem], Floats]

_COMPUTE = [PHASES.index(Phase.FWD_COMPUTE), PHASES.index(Phase.BWD_COMPUTE)]


class Splits:
    """Column-wise options of every table, cheapest kernel first.

    An option of a table cut into k blocks of columns puts each on one rank; k = 1 is
    the whole table.
    """

    def __init__(self, problem: Problem) -> None:
        menu = problem.options
        seconds = menu.item_count * menu.item_cost.sum(axis=2).min(axis=1)
        total = np.add.reduceat(seconds, menu.item_start[:-1])
        usable = (menu.scope == Scope.RANK) & (menu.row_shards == 1) & ~menu.same_host
        self._of: dict[tuple[int, int], list[int]] = {}
        chosen = np.flatnonzero(usable)
        for option in chosen[np.lexsort((total[chosen], menu.table[chosen]))]:
            key = int(menu.table[option]), int(menu.column_shards[option])
            self._of.setdefault(key, []).append(int(option))
        self._columns: dict[int, list[int]] = {}
        for table, columns in sorted(self._of):
            self._columns.setdefault(table, []).append(columns)

    def options(self, table: int, columns: int) -> list[int]:
        """Options of a table in so many blocks, the cheapest first."""
        return self._of.get((table, columns), [])

    def halved(self, table: int, columns: int) -> int | None:
        """Return the number of blocks after halving all, if the menu has it."""
        finer = 2 * columns
        return finer if (table, finer) in self._of else None

    def fewest(self, table: int) -> int:
        """Return the least number of blocks; 0 if the table has no such option."""
        return self._columns.get(table, [0])[0]


@dataclass
class Board:
    """What has been placed so far: work, columns and bytes of every rank."""

    problem: Problem
    work: Floats = field(init=False)
    columns: Floats = field(init=False)
    hbm: Floats = field(init=False)
    ddr: Floats = field(init=False)
    ssd: Floats = field(init=False)
    option: Ints = field(init=False)
    places: list[Ints] = field(init=False)

    def __post_init__(self) -> None:
        ranks, pools = self.problem.world_size, len(self.problem.capacity.pool_ddr)
        self.work, self.columns, self.hbm = (np.zeros(ranks) for _ in range(3))
        self.ddr, self.ssd = np.zeros(pools), np.zeros(pools)
        self.option = np.zeros(self.problem.num_bundles, dtype=np.int64)
        self.places = [np.zeros(0, dtype=np.int64)] * self.problem.num_bundles

    def place(
        self, table: int, option: int, work: Floats, limit: float = np.inf
    ) -> bool:
        """Put each block on the rank of least work with room for it, or none.

        Parameters
        ----------
        work : float array
            What a block adds to its rank's work, for each item of the option.
        limit : float
            Most columns on one rank.
        """
        menu = self.problem.options
        placed: list[tuple[int, int, float]] = []
        first, end = menu.item_start[option : option + 2].tolist()
        for item, own in zip(range(first, end), work.tolist(), strict=True):
            for _ in range(menu.item_count[item]):
                free = np.where(self._room(item, limit), self.work, np.inf)
                rank = int(np.argmin(free))
                if not np.isfinite(free[rank]):
                    for block in placed:
                        self._add(*block, -1.0)
                    return False
                self._add(item, rank, own, 1.0)
                placed.append((item, rank, own))
        self.option[table] = option
        self.places[table] = np.array([block[1] for block in placed], dtype=np.int64)
        return True

    def place_evenly(self, table: int, option: int, work: float) -> bool:
        """Place an option whose blocks all add the same to their rank's work."""
        menu = self.problem.options
        items = int(menu.item_start[option + 1] - menu.item_start[option])
        return self.place(table, option, np.full(items, work))

    def assignment(self) -> Assignment:
        """Return what was placed."""
        return Assignment(self.option.copy(), tuple(self.places))

    def _room(self, item: int, limit: float) -> NDArray[np.bool_]:
        menu, capacity = self.problem.options, self.problem.capacity
        hbm, ddr, ssd = menu.item_bytes[item]
        room = self.hbm + hbm <= capacity.rank_hbm
        if limit < np.inf:
            room &= self.columns + menu.item_columns[item] <= limit
        pools = (
            (ddr, self.ddr, capacity.pool_ddr),
            (ssd, self.ssd, capacity.pool_ssd),
        )
        for own, used, size in pools:
            if own > 0:
                room &= (used + own <= size)[capacity.rank_pool]
        return np.asarray(room)

    def _add(self, item: int, rank: int, work: float, sign: float) -> None:
        menu = self.problem.options
        pool = self.problem.capacity.rank_pool[rank]
        hbm, ddr, ssd = sign * menu.item_bytes[item]
        self.work[rank] += sign * work
        self.columns[rank] += sign * menu.item_columns[item]
        self.hbm[rank] += hbm
        self.ddr[pool] += ddr
        self.ssd[pool] += ssd


def _size(problem: Problem) -> Floats:
    return np.array([t.num_embeddings * t.embedding_dim for t in _tables(problem)])


def _dim(problem: Problem) -> Floats:
    return np.array([float(t.embedding_dim) for t in _tables(problem)])


def _lookup(problem: Problem) -> Floats:
    mean = [t.pooling_factor * t.coverage for t in _tables(problem)]
    return _dim(problem) * np.array(mean)


def _size_lookup(problem: Problem) -> Floats:
    return _size(problem) * _lookup(problem)


def _tables(problem: Problem) -> Iterator[object]:
    """Tables in the order of the bundles; `colocate` is not supported."""
    tables = problem.usage.workload.tables
    for members in problem.bundles.members:
        (index,) = members
        yield tables[index]


@dataclass(frozen=True)
class ExpertGreedy:
    """Whole tables, the most expensive first, each on the rank of least cost that fits.

    Two additions help it: a table takes its fastest kernel for which there is room
    (the paper knows HBM only), and one that fits no rank whole is cut into the fewest
    blocks of columns that do.

    Attributes
    ----------
    cost : function of a problem to a float array (B,)
        Rule of thumb for what a table costs.
    """

    cost: Key

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`; nothing here is random."""
        splits, cost = Splits(problem), self.cost(problem)
        board = Board(problem)
        for table in np.argsort(-cost, kind="stable"):
            blocks = splits.fewest(int(table))
            options = splits.options(int(table), blocks)
            work = float(cost[table]) / max(blocks, 1)
            if not any(board.place_evenly(int(table), o, work) for o in options):
                return finished(None, np.inf, 0.0, stop)
        value = problem.value(board.assignment())
        observer.improved(value, 0.0)
        return finished(board.assignment(), value, 0.0, stop)


@dataclass(frozen=True)
class NeuroShard:
    """Beam search over column splits around a greedy grid search; see `References`.

    In each round, every plan of the beam is tried with each of its most expensive and
    largest tables cut in two, and the best plans go on. The paper halves one block of
    a table; the menu has equal blocks only, so that all of them are halved here.
    Tables that fit no rank whole start with the fewest blocks that do.

    Attributes
    ----------
    candidates, width, rounds, limits : int
        N, K, L and M of the paper, with its defaults.
    slack : float
        The most columns of a rank go from the mean up to this times the mean.
    """

    candidates: int = 10
    width: int = 3
    rounds: int = 10
    limits: int = 11
    slack: float = 1.5

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`; nothing here is random."""
        inner = GridSearch(problem, self.limits, self.slack, stop, observer)
        first = tuple(inner.splits.fewest(b) for b in range(problem.num_bundles))
        if 0 in first:
            return finished(None, np.inf, 0.0, stop)
        beam = [(inner.value(first), first)]
        for _ in range(self.rounds):
            found = dict.fromkeys(
                split for _, plan in beam for split in self._splits(inner, plan)
            )
            tried = []
            for plan in found:
                if stop.now():
                    break
                tried.append((inner.value(plan), plan))
            if not tried:
                break
            beam = sorted(tried)[: self.width]
        return finished(inner.best, inner.best_s, 0.0, stop)

    def _splits(
        self, inner: GridSearch, plan: tuple[int, ...]
    ) -> Iterator[tuple[int, ...]]:
        """Yield the plans with one more table cut in two."""
        seconds, size = inner.of_blocks(plan)
        for key in (seconds, size):
            for table in np.argsort(-key, kind="stable")[: self.candidates]:
                finer = inner.splits.halved(int(table), plan[table])
                if finer is not None:
                    yield (*plan[:table], finer, *plan[table + 1 :])


class GridSearch:
    """Greedy placement for a grid of limits on the columns of a rank; keeps the best.

    Tables go in order of compute time, longest block first, each to the rank with the
    least compute time that has memory and columns left.
    """

    def __init__(
        self,
        problem: Problem,
        limits: int,
        slack: float,
        stop: Stop,
        observer: Observer,
    ) -> None:
        self._problem, self._stop, self._observer = problem, stop, observer
        self._limits = np.linspace(1.0, slack, limits)
        menu = problem.options
        self._compute = menu.item_cost[:, :, _COMPUTE].sum(axis=2).min(axis=1)
        self.splits = Splits(problem)
        self.best: Assignment | None = None
        self.best_s = np.inf

    def of_blocks(self, plan: tuple[int, ...]) -> tuple[Floats, Floats]:
        """Compute time and bytes of HBM of each table's largest block."""
        menu = self._problem.options
        item = menu.item_start[
            [self.splits.options(b, k)[0] for b, k in enumerate(plan)]
        ]
        return self._compute[item], menu.item_bytes[item, 0]

    def value(self, plan: tuple[int, ...]) -> float:
        """Value of the best placement over the grid; infinite if none fits."""
        order = np.argsort(-self.of_blocks(plan)[0], kind="stable")
        columns = sum(t.embedding_dim for t in _tables(self._problem))  # type: ignore[attr-defined]
        mean, best = columns / self._problem.world_size, np.inf
        for limit in (*(mean * self._limits), np.inf):
            if self._stop.now() and np.isfinite(self.best_s):
                break
            board = self._placed(plan, order, limit)
            if board is None:
                continue
            assignment = board.assignment()
            value = self._problem.value(assignment)
            best = min(best, value)
            if value < self.best_s:
                self.best, self.best_s = assignment, value
                self._observer.improved(value, 0.0)
        return best

    def _placed(self, plan: tuple[int, ...], order: Ints, limit: float) -> Board | None:
        board = Board(self._problem)
        for table in order:
            options = self.splits.options(int(table), plan[table])
            if not any(
                board.place(int(table), o, self._work(o), limit) for o in options
            ):
                return None
        return board

    def _work(self, option: int) -> Floats:
        """Compute time of each item of an option."""
        return np.asarray(self._compute[self._problem.options.items_of(option)])


BASELINES: dict[str, Solver] = {
    "size": ExpertGreedy(_size),
    "dim": ExpertGreedy(_dim),
    "lookup": ExpertGreedy(_lookup),
    "size-lookup": ExpertGreedy(_size_lookup),
    "neuroshard": NeuroShard(),
}
"""Solvers by name."""
