"""A part of the menu, and what certainly runs in plans that are made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.certify.step.circuits import RunGraph
from shardplan.certify.step.dominance import undominated
from shardplan.certify.step.least import EVERY, Span, Staircase
from shardplan.problems.totals import ranks_per_place
from shardplan.problems.weighted import StepView, step_pricer
from shardplan.records.memo import by_identity
from shardplan.steps.pressure import pressures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.steps.pressure import Pressure
    from shardplan.steps.pricing import StepPricer


_BY_OPTION = {"presses", "uses", "pressed", "alone", "shares"}
"""What is known of each option by itself: of fewer options it is the same."""
_OF_OPTIONS = _BY_OPTION | {
    *("problem", "pressures", "may_run", "undominated", "item_alone", "item_ranks"),
    "comes_with",
}
"""What depends on the options that are left alone, and is worked out once."""
_KEPT = 64
"""Graphs that are kept: of some systems, with what runs in their cases."""
_FEW = 2.0
"""Tables per rank up to which they are few."""
_SAFE = 1e-12
"""Share taken off, more than the roundings of a pressure."""


@dataclass(frozen=True, eq=False)
class StepMenu:
    """The options of one case of a proof.

    Attributes
    ----------
    whole : Problem
        Under `time`.
    keep : bool array (O,)
        Options of the whole menu that are left; every bundle has one.
    spans : dict of str to Span
        Pressures that the case is about, by operation.
    """

    whole: Problem
    keep: Bools
    spans: dict[str, Span] = field(default_factory=dict)

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """Take the whole menu."""
        return cls(problem, np.ones(len(problem.options), dtype=bool))

    @cached_property
    def problem(self) -> Problem:
        """The part of the problem; prices are by operation."""
        if self.keep.all():
            return self.whole
        return StepView(self.whole, np.flatnonzero(self.keep)).part

    @cached_property
    def pressures(self) -> tuple[Pressure, ...]:
        """What depends on tables."""
        return pressures(step_pricer(self.whole))

    @cached_property
    def uses(self) -> Bools:
        """Whether each option loads each operation by itself, wherever it is (O, K)."""
        menu, columns = self.problem.options, [p.columns[0] for p in self.pressures]
        busy = np.asarray((menu.item_cost[:, :, columns] > 0).all(axis=1))
        return np.logical_or.reduceat(busy, menu.item_start[:-1], axis=0)

    @cached_property
    def presses(self) -> Bools:
        """Whether each option may add to the pressure of each operation (O, K)."""
        menu = self.problem.options
        busy = np.asarray((menu.item_cost > 0).any(axis=1))
        some = [busy[:, p.columns].any(axis=1) for p in self.pressures]
        items = np.stack(some, axis=1)
        return np.logical_or.reduceat(items, menu.item_start[:-1], axis=0)

    @cached_property
    def runs(self) -> Bools:
        """Operations that run in every plan of the case (K,).

        One runs if the case says so, if a bundle has no option without it, or if
        whatever may be why another one runs needs it as well.
        """
        by_bundle = np.logical_and.reduceat(
            self.uses, self.problem.options.start[:-1], axis=0
        )
        runs = np.asarray(by_bundle.any(axis=0))
        spans = [self.spans.get(p.operation, EVERY) for p in self.pressures]
        runs |= np.array([span.runs for span in spans])
        while True:
            more = np.asarray(runs | self.comes_with[runs].any(axis=0))
            if (more == runs).all():
                return runs
            runs = more

    @cached_property
    def comes_with(self) -> Bools:
        """Operations that whatever presses on each one uses as well (K, K)."""
        uses, presses = (np.packbits(a, axis=0).T for a in (self.uses, self.presses))
        some = np.asarray(presses.any(axis=1))
        return np.asarray(~(presses[:, None] & ~uses).any(axis=2) & some[:, None])

    @cached_property
    def may_run(self) -> Bools:
        """Operations that run in some plan (K,)."""
        return np.asarray(self.uses.any(axis=0))

    @cached_property
    def pressed(self) -> Floats:
        """Pressure that each option adds at least, as a mean over ranks (O, K) [s]."""
        menu, world = self.problem.options, self.problem.world_size
        cost = np.where(np.isfinite(menu.item_cost), menu.item_cost, 0.0)
        size = ranks_per_place(menu, world)[menu.item_option]
        part = [
            (cost[:, :, p.columns] * p.mean).sum(axis=2).min(axis=1)
            for p in self.pressures
        ]
        items = np.stack(part, axis=1) * (menu.item_count * size / world)[:, None]
        return np.asarray(np.add.reduceat(items, menu.item_start[:-1], axis=0))

    @cached_property
    def item_alone(self) -> Floats:
        """Pressure of each item by itself, at least (I, K) [s]."""
        menu = self.problem.options
        cost = np.where(np.isfinite(menu.item_cost), menu.item_cost, 0.0)
        part = [
            (cost[:, :, p.columns] * p.peak).sum(axis=2).min(axis=1)
            for p in self.pressures
        ]
        return np.stack(part, axis=1)

    @cached_property
    def item_ranks(self) -> Floats:
        """Share of all ranks that each item is on (I,)."""
        menu, world = self.problem.options, self.problem.world_size
        size = ranks_per_place(menu, world)[menu.item_option]
        return np.asarray(menu.item_count * size / world)

    @cached_property
    def alone(self) -> Floats:
        """Pressure of each option's longest item by itself, at least (O, K) [s]."""
        start = self.problem.options.item_start[:-1]
        return np.maximum.reduceat(self.item_alone, start, axis=0)

    @cached_property
    def shares(self) -> Floats:
        """Share of each tier of the cluster that each option takes (O, 3)."""
        problem, menu = self.problem, self.problem.options
        room = np.array([problem.capacity.of_tier(tier).sum() for tier in range(3)])
        size = ranks_per_place(menu, problem.world_size)[menu.item_option]
        items = menu.item_bytes * (menu.item_count * size)[:, None]
        share = items / np.where(room > 0, room, 1.0)
        return np.asarray(np.add.reduceat(share, menu.item_start[:-1], axis=0))

    @cached_property
    def undominated(self) -> Ints | None:
        """Options that press less than each other one somewhere, or take less room."""
        ways = np.c_[self.pressed, self.shares]
        return undominated(ways, self.problem.options.start)

    @cached_property
    def graph(self) -> RunGraph:
        """What waits for what."""
        columns = [
            int(p.columns[0])
            for p, runs in zip(self.pressures, self.runs, strict=True)
            if runs
        ]
        return _graph(step_pricer(self.whole), ",".join(map(str, columns)))

    def index(self, operation: str) -> int | None:
        """Return the place of an operation among the pressures; None if it has none."""
        names = [p.operation for p in self.pressures]
        return names.index(operation) if operation in names else None

    def staircases(
        self, limit_s: float, most: Sequence[float] | None = None
    ) -> list[Staircase | None]:
        """Return what lies below the curve of each operation; None if it has none.

        Parameters
        ----------
        limit_s : float
            Plans with a longer step do not matter [s].
        most : sequence of K floats, optional
            Pressures above these do not matter either [s].
        """
        highest = [np.inf] * len(self.pressures) if most is None else most
        return [
            self.stairs_of(k, limit_s, highest[k]) if p.curve is not None else None
            for k, p in enumerate(self.pressures)
        ]

    def stairs_of(self, k: int, limit_s: float, most: float) -> Staircase:
        """Return what lies below the curve of one operation; see `staircases`."""
        span = self.span(k)
        span = span._replace(high=max(min(span.high, most), span.low))
        return Staircase.below(self.pressures[k], limit_s, span)

    def span(self, k: int) -> Span:
        """Return the pressures of an operation that the case is about."""
        return self.spans.get(self.pressures[k].operation, EVERY)

    def is_limited(self, k: int) -> bool:
        """Whether the case is about some of them."""
        span = self.span(k)
        return span.low > 0 or span.high < np.inf

    def at_most(self, k: int, pressure: float) -> StepMenu | None:
        """Return the case in which an operation has a pressure of at most this.

        Options that press more by themselves are left out, and with 0 all that use it;
        None if a bundle has no others.
        """
        options = self.problem.options
        found = self.pressures[k]
        if pressure > 0:
            cost = options.item_cost[:, :, found.columns]
            alone = np.nan_to_num(cost * found.peak, nan=0.0).sum(axis=2).min(axis=1)
            too_much = np.maximum.reduceat(alone, options.item_start[:-1])
            out = too_much * (1.0 - _SAFE) > pressure
        else:
            out = self.uses[:, k]
        span = self.spans.get(found.operation, EVERY)
        span = span._replace(high=min(span.high, pressure)) if pressure > 0 else EVERY
        return self._without(out, {**self.spans, found.operation: span})

    def within(self, most_s: Floats) -> StepMenu | None:
        """Leave out options that press more than this by themselves (K,) [s].

        None if a bundle has no others.
        """
        out: Bools = np.any(self.alone * (1.0 - _SAFE) > most_s, axis=1)
        return self._without(out, self.spans) if out.any() else self

    def taking(self, options: Ints) -> tuple[StepMenu | None, StepMenu | None]:
        """Return the case of plans that take one of some options, and of all others.

        Parameters
        ----------
        options : int array
            Of one bundle, indices of the whole menu.
        """
        own = np.flatnonzero(self.keep)
        bundle = self.whole.options.table[options[0]]
        is_own = self.whole.options.table[own] == bundle
        is_one = np.isin(own, options)
        taking = self._without(is_own & ~is_one, self.spans)
        return taking, self._without(is_one, self.spans)

    def _without(self, out: Bools, spans: dict[str, Span]) -> StepMenu | None:
        """Return the case without some options; None if a bundle has no others."""
        left = self.keep.copy()
        left[np.flatnonzero(self.keep)[out]] = False
        menu = self.whole.options
        if np.bincount(menu.table[left], minlength=self.whole.num_bundles).min() == 0:
            return None
        half = StepMenu(self.whole, left, spans)
        for known in _BY_OPTION & vars(self).keys():
            vars(half)[known] = vars(self)[known][~out]
        return half

    def above(self, k: int, pressure: float) -> StepMenu:
        """Return the case in which an operation has more pressure than this."""
        name = self.pressures[k].operation
        span = self.spans.get(name, EVERY)
        span = Span(max(span.low, pressure), span.high, runs=True)
        found = StepMenu(self.whole, self.keep, {**self.spans, name: span})
        for known in _OF_OPTIONS & vars(self).keys():
            vars(found)[known] = vars(self)[known]
        return found


def are_few(problem: Problem) -> bool:
    """Whether tables are few beside ranks: one option more or less counts then."""
    return problem.num_bundles <= _FEW * problem.world_size


@partial(by_identity, most=_KEPT)
def _graph(pricer: StepPricer, columns: str) -> RunGraph:
    """Return the graph where some columns have loads; the last ones are kept."""
    return RunGraph.of(pricer, map(int, filter(None, columns.split(","))))
