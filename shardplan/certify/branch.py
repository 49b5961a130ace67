"""Raise a bound by cases: the slowest rank of a phase takes long, or it does not.

For `step`, an option with a long item is cheap only if some phase is long anyway. The
prices of a single relaxation cannot say "either this phase is long, or no option with
a long item is used"; two cases can. The case with the smallest bound is split first.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.kelley import Domain, maximise
from shardplan.certify.oracle import PoolOracle
from shardplan.certify.params import PROOF_DEFAULTS, ProofParams
from shardplan.certify.rounds import phase_peaks
from shardplan.certify.verify import Box, open_menu, round_bound
from shardplan.records.certificate import Case, Prices

if TYPE_CHECKING:
    from shardplan.certify.kelley import Clock
    from shardplan.certify.relaxed import Relaxed
    from shardplan.records.arrays import Bools, Ints


@dataclass(eq=False)
class _Node:
    """A case: its box, what is left of the menu, and what was found."""

    box: Box
    keep: Bools
    below: int | None
    bound: float
    prices: Prices
    rounds: list[Prices] = field(default_factory=list)
    phase: int | None = None
    at_s: float = 0.0
    children: tuple[_Node, ...] = ()

    def cases(self) -> list[Case]:
        """List this case and all that follow from it, in the order of a certificate."""
        waiting, found = [self], []
        while waiting:
            node = waiting.pop()
            rounds = tuple(node.rounds)
            found.append(Case(rounds=rounds, phase=node.phase, at_s=node.at_s))
            waiting += node.children[::-1]
        return found


class Tree:
    """A growing proof that no plan is faster than a limit.

    Parameters
    ----------
    relaxed : Relaxed
        With a single class of ranks.
    rounds : tuple of Prices
        The rounds of the first case; the first one is where the search begins.
    limit : float
        Value of a known plan, or what is hoped for [s].
    """

    def __init__(
        self,
        relaxed: Relaxed,
        rounds: tuple[Prices, ...],
        limit: float,
        params: ProofParams = PROOF_DEFAULTS,
    ) -> None:
        self._limit = limit
        self._params = params.tree
        self._planes = params.cutting_planes.replace(radius=params.tree.radius)
        box = Box.whole(relaxed.num_dimensions, limit)
        menu = open_menu(relaxed, box, None)
        best = 0.0
        for prices in rounds:
            if menu.has_empty_bundle:
                break
            bound = round_bound(menu, prices, box)
            best = max(best, bound.value_s)
            menu = menu.select(~(bound.given >= limit))
        if menu.has_empty_bundle:
            best = limit
        self._menu = menu
        keep = np.ones(len(menu), dtype=bool)
        first = rounds[0]
        self._root = _Node(box, keep, None, min(best, limit), first, list(rounds))
        self._order = 0
        self._open: list[tuple[float, int, _Node]] = []
        self.work = 0.0
        if best < limit:
            self._oracle = PoolOracle.of(menu)
            self._peaks = phase_peaks(menu)
            self._push(self._root)

    @property
    def value_s(self) -> float:
        """Bound of the case that is worst so far [s]."""
        return self._open[0][0] if self._open else self._limit

    def cases(self) -> tuple[Case, ...]:
        """Return the proof so far."""
        return tuple(self._root.cases())

    def grow(self, most_work: float, stop: Clock | None) -> None:
        """Split the worst case until there is nothing to gain.

        Parameters
        ----------
        most_work : float
            Options looked at, summed over all evaluations.
        """
        most_cases = self._params.most_cases
        while self._open and self.work < most_work and self._order < most_cases:
            if stop and stop.now():
                break
            node = self._open[0][2]
            split = self._split(node)
            if split is None:
                break
            heapq.heappop(self._open)
            node.phase, node.at_s = split
            box, parent = node.box, node
            node.children = tuple(
                _Node(case, parent.keep, below, parent.bound, parent.prices)
                for case, below in (
                    (box.below(*split), split[0]),
                    (box.above(*split), None),
                )
            )
            for child in node.children:
                self._solve(child)
                self._push(child)

    def _push(self, node: _Node) -> None:
        if node.bound < self._limit:
            self._order += 1
            heapq.heappush(self._open, (node.bound, self._order, node))

    def _solve(self, node: _Node) -> None:
        """Find prices for a case, and exclude options by them."""
        menu = open_menu(self._menu.select(node.keep), node.box, node.below)
        self.work += len(menu)
        for _ in range(self._params.most_rounds):
            node.keep = self._mask(menu)
            if menu.has_empty_bundle:
                node.bound = self._limit
                return
            node.prices = self._prices(node)
            node.rounds.append(node.prices)
            bound = round_bound(menu, node.prices, node.box)
            node.bound = min(max(node.bound, bound.value_s), self._limit)
            left = ~(bound.given >= self._limit)
            if node.bound >= self._limit:
                return
            menu = menu.select(left)
            if left.mean() > self._params.stalled:
                break
        node.keep = self._mask(menu)
        if menu.has_empty_bundle:
            node.bound = self._limit

    def _mask(self, menu: Relaxed) -> Bools:
        keep = np.zeros(len(self._menu), dtype=bool)
        keep[np.searchsorted(self._menu.option, menu.option)] = True
        return keep

    def _prices(self, node: _Node) -> Prices:
        function = self._oracle.restricted(node.keep, node.box, self._active(node.box))
        upper = np.full(len(function.phases) + len(function.tiers), np.inf)
        upper[: len(function.phases)] = self._params.most_price
        start = function.from_prices(self._menu, node.prices)
        found = maximise(
            function,
            Domain(upper),
            np.minimum(start, upper),
            self._planes,
            enough=self._limit / function.unit,
        )
        overhead = self._params.overhead
        self.work += found.steps * (float(node.keep.sum()) + overhead)
        return function.to_prices(self._menu, found.prices)

    def _active(self, box: Box) -> Ints:
        low, high = np.array(box.low), np.array(box.high)
        return np.flatnonzero((low > 0) | (high < self._limit))

    def _split(self, node: _Node) -> tuple[int, float] | None:
        """Choose a phase and the time to split it at; None if nothing is long."""
        everything = np.arange(self._menu.num_dimensions)
        function = self._oracle.restricted(node.keep, node.box, everything)
        point = function(function.from_prices(self._menu, node.prices))
        loads = function.seconds[point.choice].sum(axis=0) * function.unit
        lengths = np.maximum(loads, node.box.low)
        slack = self._limit - node.bound
        long = self._peaks[node.keep][point.choice] - lengths
        excess = np.minimum(np.maximum(long, 0.0), slack)
        score = excess.max(axis=0) + self._params.crowd * excess.sum(axis=0)
        phase = int(np.argmax(score))
        most = float(excess[:, phase].max())
        if most <= self._params.least_split * self._limit:
            return None
        return phase, float(lengths[phase] + self._params.cut * most)
