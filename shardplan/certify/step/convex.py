"""The shortest step if tables could be cut and mixed at will: paths, shares, slopes.

A linear program: shares of options per bundle, pressures that follow from their mean
loads, operations that take at least the lines below their curves, and times at which
operations end. Its dual says how much of the step each wait is worth: a circulation,
which comes apart into circuits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.certify.highs import End
from shardplan.certify.step.convex_program import ConvexProgram
from shardplan.problems.totals import first_least

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shardplan.certify.kelley import Clock
    from shardplan.certify.step.least import Staircase
    from shardplan.certify.step.menu import StepMenu
    from shardplan.certify.step.mixture import Mix, Mixture
    from shardplan.certify.step.start import Start
    from shardplan.records.arrays import Bools, Floats, Ints

_MOST_COLUMNS = 20_000
"""Options that are looked at, at once; more are chosen by their prices."""
_FEW_COLUMNS = 1_500
"""Options up to which all of them are."""
_PRICINGS, _MOST_PRICED = 6, 300_000
"""How often others are chosen, and for how many options: of larger menus the sum of the
mixture looks at all of them, which is quicker."""
_MOST_LONGEST = 5_000
"""Options up to which longest items count here: there is a row for most of them."""
_MUCH_LONGER = 0.01
"""Share of the step by which one exceeds a mean, for prices of it in large menus."""
_LEAST_SHARE = 1e-7
"""Share of a table below which it takes nothing of an option."""
_SHARE = 0.2
"""Share of the time left for the program of a larger menu; without it, circuits are
mixed where each bundle takes what presses least, which proves nearly as much."""
_LINES = 12
"""Lines below a curve."""
_STEEP = 1e3
"""Slope of the line that keeps a pressure below the most that matters."""

Line = tuple[int, float, float]
"""An operation's number, the line's height at no pressure [unit], and its slope."""


@dataclass(frozen=True, eq=False)
class ConvexStep:
    """The program of one case.

    Attributes
    ----------
    menu : StepMenu
    stairs : list of Staircase or None
        Below the curve of each operation that has one.
    unit : float
        What times are counted in [s].
    is_plain : bool
        Do without the longest items of tables, and without counts.
    most : float array (K,), optional
        Pressures above these do not matter [s].
    start : Start, optional
        Where it begins.
    beside : float array (K,), optional
        What a mixture has beside each kernel; see `Mixture.beside`.
    """

    menu: StepMenu
    stairs: list[Staircase | None]
    unit: float
    is_plain: bool = False
    most: Floats | None = None
    start: Start | None = None
    beside: Floats | None = None

    @classmethod
    def after(
        cls,
        mixture: Mixture,
        pressure: Floats,
        *,
        is_plain: bool,
        start: Start | None = None,
    ) -> Self:
        """Return the program with curves cut where a mixture of its case says.

        Parameters
        ----------
        pressure : float array (K,)
            Of the mixture [s].
        """
        stairs, most = mixture.staircases, mixture.most_s
        beside = mixture.beside(pressure)
        return cls(mixture.menu, stairs, mixture.limit_s, is_plain, most, start, beside)

    def solve(self, stop: Clock | None) -> Mix | None:
        """Solve it; None if HiGHS does not, or not in time."""
        chosen, start = self._first_options, self.start
        is_priced = len(self.pressed) <= _MOST_PRICED
        share = 1.0 if is_priced else _SHARE
        for _ in range(_PRICINGS if is_priced else 1):
            program = ConvexProgram(self, chosen, start)
            end = program.run(stop, share)
            if end is not End.OPTIMAL:
                return None if is_priced else self._least_mix()
            more = program.cheaper()
            if not len(more):
                break
            chosen, start = np.union1d(chosen, more), program.start
        if not program.fits:  # memory is short: its prices will say so
            return self._least_mix()
        return program.mix() if end is End.OPTIMAL else None

    def _least_mix(self) -> Mix | None:
        """Mix circuits where each bundle takes what presses least: quickly."""
        start = self.menu.problem.options.start
        program = ConvexProgram(self, first_least(self.pressed.sum(axis=1), start))
        program.forget_pools()
        return program.mix() if program.run(None) is End.OPTIMAL else None

    def ranges(
        self, which: Iterable[int], stop: Clock | None
    ) -> dict[int, tuple[float, float]] | None:
        """Return the least and most pressure of operations below a step of 1 unit.

        None if the program has no solution so short, as it is or in time.
        """
        return self.program().ranges(which, stop)

    def choose(self, stop: Clock | None) -> Ints | None:
        """Return the options of the shortest step where none is cut (B,).

        Longest items count for collectives, too. None if HiGHS finds none in time.
        """
        return ConvexProgram(self, self._first_options, is_whole=True).choose(stop)

    def program(self) -> ConvexProgram:
        """Return the program with the first options."""
        return ConvexProgram(self, self._first_options, self.start)

    @property
    def has_all(self) -> bool:
        """Whether all options are columns, and none is chosen by its price."""
        return len(self.pressed) <= _FEW_COLUMNS

    @property
    def has_many(self) -> bool:
        """Whether options are too many for a row per longest item."""
        return len(self.pressed) > _MOST_LONGEST

    def is_long(self, shares: Floats) -> bool:
        """Whether a longest item of what tables take (O,) presses more than the mean.

        Of large menus prices of them take longer than others, and must be worth it:
        without giants on SSD splits prove more in that time.
        """
        if self.has_many and not self.menu.whole.options.uses_ssd:
            return False
        chosen = np.flatnonzero(shares > _LEAST_SHARE)
        part = shares[chosen, None]
        start = np.searchsorted(chosen, self.menu.problem.options.start[:-1])
        longest = np.add.reduceat(self.alone[chosen] * part, start, axis=0)
        mean = (self.pressed[chosen] * part).sum(axis=0)
        worth = _MUCH_LONGER if self.has_many else 0.0
        return bool((longest - worth > mean * (1.0 - _LEAST_SHARE)).any())

    @cached_property
    def lines(self) -> list[Line]:
        """Lines below what each operation takes."""
        found: list[Line] = []
        for k, stairs in enumerate(self.stairs):
            found += self.below(self.menu, k, stairs)
        return found

    def below(self, menu: StepMenu, k: int, stairs: Staircase | None) -> list[Line]:
        """List lines below an operation in a case; steep ones limit its pressure."""
        if stairs is None:
            most = menu.span(k).high / self.unit
            steep = [(k, -_STEEP * most, 1.0 + _STEEP)] if most < np.inf else []
            return [(k, 0.0, 1.0), *steep]
        runs = bool(self.menu.runs[k])
        return [
            (k, stairs.intercept(slope, runs=runs) / self.unit, slope)
            for slope in (*stairs.slopes(_LINES, runs=runs), _STEEP)
        ]

    def least(self, menu: StepMenu, k: int, stairs: Staircase | None) -> float:
        """Return the least pressure of an operation in a case [unit].

        The rank with the most pressure of a kernel may have nothing else of its phase,
        so that it counts for as much less.
        """
        if stairs is not None:
            return stairs.low / self.unit
        beside = 0.0 if self.beside is None else self.beside.item(k)
        return max(menu.span(k).low - beside, 0.0) / self.unit

    @cached_property
    def highest(self) -> Floats:
        """Pressures that no plan of the case exceeds (K,) [s]."""
        own = [np.inf if s is None else s.high for s in self.stairs]
        spans = [self.menu.span(k).high for k in range(len(own))]
        most = np.inf if self.most is None else self.most
        return np.minimum(np.minimum(own, spans), most)

    @cached_property
    def is_too_much(self) -> Bools:
        """Options that exceed them by themselves (O,)."""
        if self.most is None or not self.has_all:
            return np.zeros(len(self.pressed), dtype=bool)
        return np.asarray((self.menu.alone > self.most).any(axis=1))

    @cached_property
    def pressed(self) -> Floats:
        """Pressure that each option adds at least (O, K) [unit]."""
        return np.asarray(self.menu.pressed / self.unit)

    @cached_property
    def alone(self) -> Floats:
        """Pressure of each option's longest item by itself (O, K) [unit]."""
        return np.asarray(self.menu.alone / self.unit)

    @cached_property
    def _first_options(self) -> Ints:
        """Those that no other one beats, or the cheapest of bundles in some ways."""
        start = self.menu.problem.options.start
        if self.has_all:
            return np.arange(len(self.pressed))
        if self.start is not None:
            keep, looked_at = np.flatnonzero(self.menu.keep), self.start.options
            own = np.flatnonzero(np.isin(keep, looked_at))
            return np.union1d(own, first_least(self.pressed.sum(axis=1), start))
        is_large = len(self.pressed) > _MOST_PRICED
        few = None if is_large else self.menu.undominated
        if few is not None and len(few) <= _MOST_COLUMNS:
            return few
        ways = np.c_[self.pressed.sum(axis=1), self.pressed, self.menu.shares]
        ways = ways + 1e-3 * ways[:, :1]
        return np.unique([first_least(way, start) for way in ways.T])
