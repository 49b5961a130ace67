"""Lower the threshold of a plan of few large tables by packing them anew."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from shardplan.problems.problem import Assignment
from shardplan.records.sharding import Objective
from shardplan.solvers.pack.params import PACK_DEFAULTS, PackParams
from shardplan.solvers.pack.patterns import Filling
from shardplan.solvers.pack.pieces import Pieces
from shardplan.solvers.pack.program import Packed, PackingProgram, Room
from shardplan.solvers.pack.ranks import Ranks
from shardplan.solvers.search.vectors import Vectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.problems.problem import Problem
    from shardplan.solvers.base import Stop


class Packer:
    """Packs the tables of an assignment anew, all but those on hosts or limited.

    Only the sum over the phases is looked at, so it is for `max-rank`: several longest
    times seldom shrink together. Options on all ranks may put as much on each as now,
    or about as much.

    Parameters
    ----------
    low_s : float
        No plan is below this [s].
    """

    def __init__(
        self,
        problem: Problem,
        low_s: float,
        seed: int,
        params: PackParams = PACK_DEFAULTS,
    ) -> None:
        self._problem, self._low_s, self._params = problem, low_s, params
        self._rng = np.random.default_rng(seed)

    def suits(self, assignment: Assignment) -> bool:
        """Whether there is something to pack, and not too much."""
        return self._attempt(assignment) is not None

    def improve(
        self, assignment: Assignment, stop: Stop, *, vary: bool
    ) -> Iterator[Assignment]:
        """Yield better and better assignments, if packing suits.

        Bytes are rounded up, but pools that ranks share are not looked at.

        Parameters
        ----------
        vary : bool
            Draw at random what options on all ranks may use.
        """
        attempt = self._attempt(assignment)
        if attempt is None:
            return
        if vary:
            factor = np.exp(self._rng.normal(0.0, self._params.spread))
            attempt.allow(factor, abs(self._rng.normal(0.0, self._params.more)))
        yield from attempt.lower(self._low_s, stop)

    def _attempt(self, assignment: Assignment) -> _Attempt | None:
        """Look at an assignment; None if there is nothing to pack, or too much."""
        problem, params = self._problem, self._params
        has_many = problem.num_bundles > params.most_tables
        if problem.objective is Objective.STEP or has_many:
            return None
        value = problem.value(assignment)
        if not 0.0 < value < np.inf:
            return None
        vectors = Vectors.of(problem, value)
        pieces = Pieces.of(problem, assignment, vectors, params.grid)
        ranks = Ranks.of(pieces.base, problem.cluster.rank_class)
        is_little = 0 < pieces.num_kinds <= params.most_kinds
        if not is_little or len(ranks.number) > params.most_rank_kinds:
            return None
        return _Attempt(problem, pieces, ranks, assignment, params)


class _Attempt:
    """Thresholds, for one limit of options on all ranks.

    The value of the assignment that it begins with is the unit of time.
    """

    def __init__(
        self,
        problem: Problem,
        pieces: Pieces,
        ranks: Ranks,
        assignment: Assignment,
        params: PackParams,
    ) -> None:
        self._params = params
        self._problem, self._pieces, self._ranks = problem, pieces, ranks
        self._given, self._unit_s = assignment, problem.value(assignment)
        self._uniform = pieces.uniform[pieces.taken(assignment)].sum(axis=0)
        self._program = PackingProgram(pieces, ranks, params)
        for rank_kind, pattern in self._patterns_now():
            self._program.add(rank_kind, pattern)

    def allow(self, factor: float, more: float) -> None:
        """Let options on all ranks use a multiple of now, and a share of all."""
        self._uniform = self._uniform * factor + more

    def lower(self, low_s: float, stop: Stop) -> Iterator[Assignment]:
        """Pack below lower and lower thresholds, while that is found soon enough."""
        high = 1.0 - self._params.worth
        low = self._least(low_s / self._unit_s, high, stop)
        while high > low * (1.0 + self._params.sharpness) and not stop.now():
            threshold = (low + high) / 2.0
            limits = self._limits(threshold)
            packed = None
            if self._program.is_possible(limits, stop):
                seconds = min(self._params.program_s, stop.remaining_s())
                packed = self._program.solve(limits, seconds)
            found = packed and self._assignment(packed)
            if found is None:
                low = threshold
            else:
                yield found
                value = self._problem.value(found) / self._unit_s
                high = min(threshold, value * (1.0 - self._params.worth))

    def _least(self, low: float, high: float, stop: Stop) -> float:
        """Threshold below which not even fractions fit, about; at most `high`."""
        if not self._program.is_possible(self._limits(high), stop):
            return high
        while high > low * (1.0 + self._params.sharpness) and not stop.now():
            middle = (low + high) / 2.0
            if self._program.is_possible(self._limits(middle), stop):
                high = middle
            else:
                low = middle
        return low

    def _assignment(self, packed: Packed) -> Assignment | None:
        """Put the pieces on ranks that hold their patterns.

        Returns
        -------
        Assignment or None
            None if shards that must be apart would meet on a rank.
        """
        pieces, ranks = self._pieces, self._ranks
        free = [
            np.flatnonzero(ranks.kind == k).tolist() for k in range(len(ranks.number))
        ]
        slots: list[Counter[int]] = [Counter() for _ in range(pieces.num_kinds)]
        for rank_kind, pattern, number in packed.patterns:
            for _ in range(number):
                rank = free[rank_kind].pop()
                for kind, copies in zip(*pattern, strict=True):
                    slots[kind][rank] += copies
        option, places = self._given.option.copy(), list(self._given.places)
        taken = np.flatnonzero(packed.taken)
        most = self._problem.options.num_copies[pieces.options[taken]]
        for index in taken[np.argsort(-most, kind="stable")].tolist():
            bundle = int(pieces.bundles[pieces.owner[index]])
            option[bundle] = pieces.options[index]
            apart = bool(self._problem.apart[option[bundle]])
            ranks_of = _take(slots, pieces.kinds_of(index).tolist(), apart=apart)
            if ranks_of is None:
                return None
            places[bundle] = np.array(ranks_of, dtype=np.int64)
        return Assignment(option, tuple(places))

    def _limits(self, threshold: float) -> Room:
        """Room of ranks for patterns: time up to a threshold, and all the memory."""
        room = 1.0 - self._ranks.base - self._uniform[self._ranks.rank_class]
        room[:, 0] += threshold - 1.0
        return Room(room, self._uniform)

    def _patterns_now(self) -> Iterator[tuple[int, Filling]]:
        """Return the patterns that the ranks hold now."""
        pieces, ranks = self._pieces, self._ranks
        count = np.zeros((len(ranks.kind), pieces.num_kinds), dtype=np.int64)
        for index in np.flatnonzero(pieces.taken(self._given)).tolist():
            places = self._given.places[int(pieces.bundles[pieces.owner[index]])]
            np.add.at(count, (places, pieces.kinds_of(index)), 1)
        for rank in np.flatnonzero(count.any(axis=1)).tolist():
            kinds = np.flatnonzero(count[rank])
            copies = tuple(count[rank, kinds].tolist())
            yield int(ranks.kind[rank]), Filling(tuple(kinds.tolist()), copies)


def _take(
    slots: list[Counter[int]], kinds: list[int], *, apart: bool
) -> list[int] | None:
    """Take a slot for each piece of an option, where most are left, and its rank.

    Returns
    -------
    list of int or None
        None if the pieces must be on ranks of their own, and no slot is.
    """
    ranks: list[int] = []
    for kind in kinds:
        free = [
            (n, r)
            for r, n in slots[kind].items()
            if n and (r not in ranks or not apart)
        ]
        if not free:
            return None
        rank = max(free)[1]
        slots[kind][rank] -= 1
        ranks.append(rank)
    return ranks
