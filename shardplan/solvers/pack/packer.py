"""Lower the threshold of a plan of few large tables by packing them anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.problem import Assignment
from shardplan.sharding import Scope
from shardplan.solvers.pack.patterns import Pattern
from shardplan.solvers.pack.pieces import Pieces
from shardplan.solvers.pack.program import Limits, Packed, PackingProgram
from shardplan.solvers.pack.ranks import Ranks
from shardplan.solvers.search.vectors import Vectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from shardplan.problem import Problem
    from shardplan.solvers.base import Stop

    Floats = NDArray[np.float64]

_MOST_KINDS, _MOST_BUNDLES, _MOST_RANK_KINDS = 800, 128, 24
_SHARPNESS = 2e-3
_SECONDS = 2.0
"""For one integer program."""
_SPREAD, _MORE = 0.3, 0.03
_WORTH = 1e-4


class Packer:
    """Packs the tables of an assignment anew, all but those on hosts or limited.

    The longest times of all ranks shrink together to a threshold. Options on all
    ranks may put as much on each as now, or about as much.

    Parameters
    ----------
    low_s : float
        No plan is below this [s].
    """

    def __init__(self, problem: Problem, low_s: float, seed: int) -> None:
        self._problem, self._low = problem, low_s
        self._vectors = Vectors.of(problem, low_s)
        self._rng = np.random.default_rng(seed)

    @property
    def is_promising(self) -> bool:
        """Whether bundles are few, and only the sum over the phases counts.

        Several longest times seldom shrink together.
        """
        return self._vectors.is_sum and self._problem.num_bundles <= _MOST_BUNDLES

    def improve(
        self, assignment: Assignment, stop: Stop, *, vary: bool
    ) -> Iterator[Assignment]:
        """Yield better and better assignments; none if it is too much work.

        Bytes are rounded up, but pools that ranks share are not looked at.

        Parameters
        ----------
        vary : bool
            Draw at random what options on all ranks may use.
        """
        pieces = Pieces.of(self._problem, assignment, self._vectors)
        ranks = Ranks.of(pieces.base, self._problem.cluster.rank_class)
        is_too_much = (
            not 0 < pieces.num_kinds <= _MOST_KINDS
            or len(ranks.number) > _MOST_RANK_KINDS
        )
        if is_too_much:
            return
        attempt = _Attempt(self._vectors, pieces, ranks, assignment)
        if vary:
            factor = np.exp(self._rng.normal(0.0, _SPREAD))
            attempt.allow(factor, abs(self._rng.normal(0.0, _MORE)))
        yield from attempt.lower(1.0, stop)


class _Attempt:
    """Thresholds, for one limit of options on all ranks."""

    def __init__(
        self, vectors: Vectors, pieces: Pieces, ranks: Ranks, assignment: Assignment
    ) -> None:
        problem = vectors.problem
        self._problem, self._pieces, self._ranks = problem, pieces, ranks
        self._given, self._unit_s = assignment, vectors.unit_s
        cost = problem.loads(assignment).cost / vectors.unit_s
        cost = (
            cost.sum(axis=1, keepdims=True)
            if vectors.is_sum
            else cost[:, vectors.phases]
        )
        self._top = cost.max(axis=0)
        self._uniform = pieces.uniform_now(assignment)
        self._program = PackingProgram(pieces, ranks)
        for rank_kind, pattern in self._patterns_now():
            self._program.add(rank_kind, pattern)

    def allow(self, factor: float, more: float) -> None:
        """Let options on all ranks use a multiple of now and a share of the rest."""
        self._uniform = self._uniform * factor
        self._uniform[:, : len(self._top)] += more * self._top
        self._uniform[:, len(self._top) :] += more

    def lower(self, low: float, stop: Stop) -> Iterator[Assignment]:
        """Pack below lower and lower thresholds, while that is found soon enough."""
        high = float(self._top.sum()) * (1.0 - _WORTH)
        low = self._least(low, high, stop)
        while high > low * (1.0 + _SHARPNESS) and not stop.now():
            threshold = (low + high) / 2.0
            limits = self._limits(threshold)
            packed = None
            if self._program.is_possible(limits, stop):
                packed = self._program.solve(limits, min(_SECONDS, stop.remaining_s()))
            if packed is None:
                low = threshold
            else:
                found = self._assignment(packed)
                yield found
                value = self._problem.value(found) / self._unit_s
                high = min(threshold, value * (1.0 - _WORTH))

    def _least(self, low: float, high: float, stop: Stop) -> float:
        """Threshold below which not even fractions fit, about; at most `high`."""
        if not self._program.is_possible(self._limits(high), stop):
            return high
        while high > low * (1.0 + _SHARPNESS) and not stop.now():
            middle = (low + high) / 2.0
            if self._program.is_possible(self._limits(middle), stop):
                high = middle
            else:
                low = middle
        return low

    def _assignment(self, packed: Packed) -> Assignment:
        """Put the pieces on ranks that hold their patterns."""
        pieces, ranks = self._pieces, self._ranks
        free = [
            np.flatnonzero(ranks.kind == k).tolist() for k in range(len(ranks.number))
        ]
        slots: list[list[int]] = [[] for _ in range(pieces.num_kinds)]
        for rank_kind, pattern, number in packed.patterns:
            for _ in range(number):
                rank = free[rank_kind].pop()
                for kind, copies in zip(*pattern, strict=True):
                    slots[kind] += [rank] * copies
        option, places = self._given.option.copy(), list(self._given.places)
        for index in np.flatnonzero(packed.taken).tolist():
            bundle = int(pieces.bundles[pieces.owner[index]])
            option[bundle] = pieces.options[index]
            kinds = np.repeat(pieces.kind, pieces.copies)
            kinds = kinds[np.repeat(pieces.item_option, pieces.copies) == index]
            places[bundle] = np.array([slots[k].pop() for k in kinds], dtype=np.int64)
        return Assignment(option, tuple(places))

    def _limits(self, threshold: float) -> Limits:
        """Room of ranks if all longest times shrink alike; 1 in each memory."""
        ranks, num_times = self._ranks, len(self._top)
        room = 1.0 - ranks.base - self._uniform[ranks.rank_class]
        share = threshold / self._top.sum()
        room[:, :num_times] += share * self._top - 1.0
        return Limits(room, self._uniform)

    def _patterns_now(self) -> Iterator[tuple[int, Pattern]]:
        """Return the patterns that the ranks hold now."""
        pieces, problem = self._pieces, self._problem
        taken = self._given.option[pieces.bundles][pieces.owner] == pieces.options
        count = np.zeros((problem.world_size, pieces.num_kinds), dtype=np.int64)
        for index in np.flatnonzero(taken).tolist():
            if problem.options.scope[pieces.options[index]] != Scope.RANK:
                continue
            bundle = int(pieces.bundles[pieces.owner[index]])
            own = pieces.item_option == index
            kinds = np.repeat(pieces.kind[own], pieces.copies[own])
            np.add.at(count, (self._given.places[bundle], kinds), 1)
        for rank, held in enumerate(count):
            kinds = np.flatnonzero(held)
            if len(kinds):
                copies = tuple(held[kinds].tolist())
                yield (
                    int(self._ranks.kind[rank]),
                    Pattern(tuple(kinds.tolist()), copies),
                )
