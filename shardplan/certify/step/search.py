"""Search for a proof about the predicted step: cases, circuits, slopes, and prices."""

from __future__ import annotations

import heapq
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.dual import Early, by_longest_items, lower_bound, strengthen
from shardplan.certify.menus import InvalidCertificateError
from shardplan.certify.params import PROOF_DEFAULTS, ProofParams
from shardplan.certify.step.convex import ConvexStep
from shardplan.certify.step.menu import StepMenu, are_few
from shardplan.certify.step.mixture import Mixture
from shardplan.certify.step.nodes import StepCaseNode, case_of
from shardplan.certify.step.splits import (
    Halves,
    long_meetings,
    to_narrow,
    ways_to_split,
)
from shardplan.records.certificate import Certificate, StepCase

if TYPE_CHECKING:
    from shardplan.certify.dual import Bound
    from shardplan.certify.kelley import Clock
    from shardplan.certify.step.nodes import Mixed
    from shardplan.problems.problem import Problem

_MIXES = 3
"""Linear programs per case: curves are cut where the one before says."""
_MOST_CASES, _MOST_BY_OPTIONS = 60, 150
"""Splits of a proof, and of one that also splits by options."""
_MOST_OPTIONS = 100_000
"""Options above which a proof has one case: each would take a quarter of a minute."""
_FEW_OPTIONS = 1_500
"""Options up to which a proof begins with narrowing, and above which with what runs."""
_RUNNING = 0.6
"""Share of the time that has to be left when it is asked whether another one runs."""
_REST_SHARE = 0.1
"""Share of the time that splits leave for the sums of the cases."""
_FEW_CASES = 8
"""Splits of one that is to take no time."""
_NARROWINGS = 2
"""How often pressures are narrowed."""
_NARROWER = 1.2
"""Ratio of pressures that is worth a case."""
_ROOM = 0.97
"""Room that is left to refute it, for the program is not exact."""
_FAR = 0.5
"""Part of the way to the limit that a half is nearly refuted with."""
_LITTLE = 1e-3
"""Share of the step below which a pressure counts as none."""
_REPLAY = 0.7
"""Time to verify cases of a large menu, as a share of the time that they took."""
_SEEN = 0.99
"""Share of the convex step that a sum proves, or another mixture is tried."""
_KEPT = 0.97
"""Share of what a case proves that parts of it prove too; less is soon made up for."""
_SAME = 1e-4
"""Share of the step below which a further program is not worth it."""


class StepProof:
    """A growing proof that no plan has a shorter step than a limit.

    Parameters
    ----------
    problem : Problem
        Under `time`.
    limit_s : float
        Predicted step of a known plan [s].
    is_quick : bool
        Few cases, and nothing that takes long in each.
    """

    def __init__(
        self,
        problem: Problem,
        limit_s: float,
        stop: Clock | None = None,
        params: ProofParams = PROOF_DEFAULTS,
        *,
        is_quick: bool = False,
    ) -> None:
        self._problem, self._limit, self._stop = problem, limit_s, stop
        self._is_large = len(problem.options) > _MOST_OPTIONS
        self._params, self._is_quick = params, is_quick
        self._is_few = are_few(problem)
        longest = _MOST_BY_OPTIONS if self._is_few else _MOST_CASES
        most = _FEW_CASES if is_quick else longest
        self._most_cases = 0 if self._is_large else most
        self._begin_s, self._replay_s = self._left_s(), 0.0
        self._effort = 1 if is_quick else 2
        self._order = self._count = 0
        self._open: list[tuple[float, int, StepCaseNode]] = []
        self._aside: list[StepCaseNode] = []
        self._root = StepCaseNode(StepMenu.of(problem), 0.0)
        has_many = len(problem.options) > _FEW_OPTIONS
        if (has_many or self._solve(self._root)) and not self._narrow(self._root):
            self._push(self._root)

    @property
    def value_s(self) -> float:
        """Bound of the case that is worst so far [s]."""
        if self._root.bound is None and not self._root.children:
            return self._root.bound_s
        return self._open[0][0] if self._open else self._limit

    def certificate(self) -> Certificate:
        """Return the proof so far."""
        return Certificate(
            all_tiers=self._problem.all_tiers,
            num_options=len(self._problem.options),
            threshold_s=self._limit,
            steps=tuple(self._root.cases()),
        )

    def mixes(self) -> tuple[Mixed, ...]:
        """Return how each case that is not refuted mixes options, the worst first."""
        cases = (node for *_, node in sorted(self._open, key=lambda one: one[:2]))
        return tuple(case.mixed() for case in cases if len(case.shares))

    def grow(self) -> None:
        """Do what helps the worst case, then the next, until nothing does."""
        left_s = _REST_SHARE * self._stop.remaining_s() if self._stop else 0.0
        if self._is_large and np.isfinite(self._begin_s):
            self._replay_s = _REPLAY * (self._begin_s - self._left_s())
        while self._open and not self._is_over():
            node = heapq.heappop(self._open)[2]
            is_early = not self._stop or self._stop.remaining_s() >= left_s
            if is_early and (self._split(node) or self._narrow(node)):
                continue
            has_more = self._strengthen(node)
            self._push(node)
            if not has_more:
                break

    def _push(self, node: StepCaseNode) -> None:
        if node.bound_s < self._limit:
            self._order += 1
            heapq.heappush(self._open, (node.bound_s, self._order, node))

    def _solve(self, node: StepCaseNode) -> bool:
        """Find circuits, slopes and first prices of a case; whether there are any."""
        if node.mixture is None and not self._mix(node):
            return False
        mixture = node.mixture
        assert mixture is not None
        self._prove(node, mixture)
        for other in node.earlier:
            # The sum of the last may not see what the one before cut off.
            if node.bound_s >= _SEEN * min(node.least_s, self._limit):
                break
            self._try(node, other)
        node.earlier = ()
        is_plain = node.is_plain or self._is_large
        if node.bound_s < self._limit <= node.least_s and not is_plain:
            # Longest items make it too long, which the sum does not see: without them.
            node.is_plain, node.mixture, node.least_s = True, None, 0.0
            if not self._solve(node):  # time is over
                node.mixture = mixture
        return True

    def _prove(self, node: StepCaseNode, mixture: Mixture) -> None:
        """Find first prices for the weighted sum of a mixture."""
        rest_s = self._limit - mixture.constant_s
        if rest_s <= 0:
            node.case, node.bound_s = case_of(mixture, None), self._limit
            return
        params = self._params.model_copy(update={"quick_tests": 0})
        problem, relaxed = mixture.problem, mixture.relaxed
        stop = None if self._is_large else self._stop  # it is quicker than all before
        bound = lower_bound(problem, rest_s, stop, params, relaxed)
        if node.is_long:
            bound = by_longest_items(problem, bound, rest_s, stop, relaxed)
        self._keep(node, mixture, bound)

    def _inherit(self, node: StepCaseNode, parent: Mixture, least_s: float) -> None:
        """Mix a case like the one that it is a part of, if its own proves less."""
        menu = node.menu
        if menu is None or node.bound_s >= least_s:
            return
        known = parent.circuits, parent.slopes, self._limit, parent.counts
        same = Mixture(menu, *known)
        # Of what waits in the larger case, something may run between in the smaller.
        with suppress(InvalidCertificateError):
            self._try(node, same)

    def _try(self, node: StepCaseNode, other: Mixture) -> None:
        """Prove a case by another mixture, and keep that if it proves more."""
        before, own, bound = node.bound_s, node.mixture, node.bound
        node.bound = None
        try:
            self._prove(node, other)
        finally:
            kept = (other, node.bound) if node.bound_s > before else (own, bound)
            node.mixture, node.bound = kept

    def _mix(self, node: StepCaseNode) -> bool:
        """Mix circuits; curves are cut where the mixture before says."""
        menu = node.menu
        assert menu is not None
        stairs = menu.staircases(self._limit)
        program = ConvexStep(
            menu,
            stairs,
            self._limit,
            is_plain=node.is_plain,
            start=node.start,
            beside=node.beside,
        )
        for _ in range(1 if self._is_large else _MIXES):
            mix = program.solve(self._stop)
            if mix is None or mix.step_s < node.least_s * (1.0 + _SAME):
                break
            mixture = Mixture(menu, mix.circuits, mix.slopes, self._limit, mix.counts)
            node.earlier = (*node.earlier, node.mixture) if node.mixture else ()
            node.mixture, node.pressure = mixture, mix.pressure
            node.shares, node.start = mix.shares, mix.start
            node.least_s, node.is_long = mix.step_s, mix.is_long
            if mix.step_s >= self._limit or not mix.fits:  # it is refuted, or will be
                break
            program = ConvexStep.after(
                mixture, mix.pressure, is_plain=node.is_plain, start=node.start
            )
        return node.mixture is not None

    def _keep(self, node: StepCaseNode, mixture: Mixture, bound: Bound) -> None:
        value = min(mixture.constant_s + bound.value_s, self._limit)
        node.bound = bound
        if value > node.bound_s:
            node.bound_s = value
            node.case = case_of(mixture, bound.certificate)

    def _split(self, node: StepCaseNode) -> bool:
        """Split a case in the first way that does not prove less."""
        if self._count >= self._most_cases:
            return False
        ways = ways_to_split(node, self._limit, self._stop, is_few=self._is_few)
        return any(self._split_by(node, *way) for way in ways)

    def _split_by(self, node: StepCaseNode, split: StepCase, halves: Halves) -> bool:
        """Split a case in two, unless they prove less than it does."""
        mixture, own, node.case = node.mixture, node.case, split
        assert mixture is not None
        node.children = tuple(self._part(half, node) for half in halves)
        leaves = [
            leaf for leaf in node.children if leaf.menu is None or self._solve(leaf)
        ]
        for leaf in leaves:
            leaf.is_long |= node.is_long and bool(split.options)
            self._inherit(leaf, mixture, node.bound_s)
        least_s = min((leaf.bound_s for leaf in leaves), default=0.0)
        if len(leaves) < len(node.children) or least_s < _KEPT * node.bound_s:
            node.case, node.children = own, ()  # time is over, or it proves less
            return False
        self._count += 1
        node.forget()
        for leaf in leaves:
            self._push(leaf)
        return True

    def _narrow(self, node: StepCaseNode) -> bool:
        """Put what has to be looked at of a case in its place, if it is less."""
        mixture = node.mixture
        if node.is_narrow:
            return False
        node.is_narrow, own, self._aside = True, node.case, []
        leaf = self._narrowed(node) if mixture else self._running(node)
        if leaf is node and mixture is not None:
            return False
        is_solved = self._solve(leaf)
        if leaf is node:
            return False
        if is_solved and mixture is not None:
            self._inherit(leaf, mixture, node.bound_s)
        if not is_solved or leaf.bound_s < _KEPT * node.bound_s:  # time is over
            node.case, node.children = own, ()
            return False
        leaf.is_narrow = True
        for case in (leaf, *self._aside):
            self._push(case)
        while node is not leaf:
            some = (child for child in node.children if child not in self._aside)
            node.forget()
            node = next(child for child in some if child.menu is not None)
        return True

    def _narrowed(self, node: StepCaseNode) -> StepCaseNode:
        """Split off what cannot be: pressures too low or too high for the limit."""
        if self._is_quick:
            return node
        for _ in range(_NARROWINGS):
            if not self._mix(node) or node.least_s >= self._limit:
                return node
            mixture = node.mixture
            assert mixture is not None
            program = ConvexStep.after(mixture, node.pressure, is_plain=node.is_plain)
            some = to_narrow(mixture, every=node is self._root)
            ranges = program.ranges(some, self._stop)
            if ranges is None:
                return node
            before = node
            for k, stairs in some.items():
                low, high = ranges[k]
                if self._is_over():
                    return node
                if low * _ROOM > max(stairs.low, _LITTLE * self._limit) * _NARROWER:
                    node = self._without(node, k, low * _ROOM, above=False)
                if high / _ROOM * _NARROWER < stairs.high:
                    node = self._without(node, k, high / _ROOM, above=True)
            if node is before:
                return node
        return node

    def _running(self, node: StepCaseNode) -> StepCaseNode:
        """Split off plans without what surely takes long."""
        assert node.menu is not None
        for k in long_meetings(node.menu, self._limit):
            if self._left_s() >= _RUNNING * self._begin_s:  # both may be infinite
                node = self._without(node, k, 0.0, above=False)
        return node

    def _without(
        self, node: StepCaseNode, k: int, at_s: float, *, above: bool
    ) -> StepCaseNode:
        """Return what is left of a case if one half of it is refuted; else the case.

        A half that is nearly refuted is put aside, to be split on its own.
        """
        assert node.menu is not None
        halves = [node.menu.at_most(k, at_s), node.menu.above(k, at_s)]
        nodes = [self._part(half, node) for half in halves]
        refuted, rest = nodes[above], nodes[not above]
        if rest.menu is None:
            return node
        if refuted.menu is not None:
            self._solve(refuted)
            far = 1.0 if self._is_large else _FAR  # it would be split no further
            if refuted.bound_s >= self._limit:
                refuted.forget()
            elif refuted.bound_s >= far * self._limit + (1 - far) * self._root.bound_s:
                self._aside.append(refuted)
            else:
                return node
        node.case = StepCase(split=node.menu.pressures[k].operation, at_s=at_s)
        node.children = (nodes[0], nodes[1])
        return rest

    def _part(self, half: StepMenu | None, whole: StepCaseNode) -> StepCaseNode:
        """Begin a part of a case; one without plans is refuted."""
        part = StepCaseNode(half, 0.0 if half else self._limit, start=whole.start)
        if whole.mixture is not None:
            part.beside = whole.mixture.beside(whole.pressure)
        return part

    def _left_s(self) -> float:
        return self._stop.remaining_s() if self._stop is not None else np.inf

    def _is_over(self) -> bool:
        return self._stop is not None and self._stop.now()

    def _strengthen(self, node: StepCaseNode) -> bool:
        """Spend time on the weighted sum of a case, more each time, if there is any."""
        mixture, bound = node.mixture, node.bound
        if mixture is None or bound is None or node.effort >= self._effort:
            return False
        node.effort += 1
        rest_s = self._limit - mixture.constant_s
        problem, relaxed = mixture.problem, mixture.relaxed
        stop = Early(self._stop, self._replay_s) if self._stop else None
        if node.effort > 1:
            bound = strengthen(problem, bound, rest_s, stop, self._params, relaxed)
        else:
            bound = lower_bound(problem, rest_s, stop, self._params, relaxed)
        self._keep(node, mixture, bound)
        return True
