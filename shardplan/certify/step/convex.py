"""The shortest step if tables could be cut and mixed at will: paths, shares, slopes.

A linear program: shares of options per bundle, pressures that follow from their mean
loads, operations that take at least the lines below their curves, and times at which
operations end. Its dual says how much of the step each wait is worth: a circulation,
which comes apart into circuits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.certify.highs import End, Highs
from shardplan.certify.rows import ProgramRows
from shardplan.certify.step.circulation import shared_circuits
from shardplan.certify.step.mixture import Mix
from shardplan.problems.totals import first_least
from shardplan.records.certificate import Circuit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shardplan.certify.kelley import Clock
    from shardplan.certify.step.least import Staircase
    from shardplan.certify.step.menu import StepMenu
    from shardplan.records.arrays import Floats, Ints

_MOST_COLUMNS = 20_000
"""Options that are looked at, at once; more are chosen by their prices."""
_FEW_COLUMNS = 1_500
"""Options up to which all of them are."""
_MOST_LONGEST = 5_000
"""Options up to which longest items count: the program has a row for most of them."""
_PRICINGS, _MOST_PRICED = 6, 300_000
"""How often others are chosen, and for how many options: of larger menus the sum of the
mixture looks at all of them, which is quicker."""
_SHARE = 0.2
"""Share of the time left for the program of a larger menu; without it, circuits are
mixed where each bundle takes what presses least, which proves nearly as much."""
_LINES = 12
"""Lines below a curve."""
_STEEP = 1e3
"""Slope of the line that keeps a pressure below the most that matters."""
_OVERFULL = 1e3
"""What a tier that is too full by its own size costs, in units of the program."""
_GAP, _HALF = 1e-3, 0.5
"""How near to the best whole options are, and what counts as taken."""
_LEAST_FLOW = 1e-7
"""Share of the step below which a wait is worth nothing."""


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
        Do without the longest items of tables.
    """

    menu: StepMenu
    stairs: list[Staircase | None]
    unit: float
    is_plain: bool = False

    def solve(self, stop: Clock | None) -> Mix | None:
        """Solve it; None if HiGHS does not, or not in time."""
        chosen = self._first_options
        is_priced = len(self.pressed) <= _MOST_PRICED
        share = 1.0 if is_priced else _SHARE
        for _ in range(_PRICINGS if is_priced else 1):
            program = _Program(self, chosen)
            end = program.run(stop, share)
            if end is not End.OPTIMAL:
                return None if is_priced else self._least_mix()
            more = program.cheaper()
            if not len(more):
                break
            chosen = np.union1d(chosen, more)
        if not program.fits:  # memory is short: its prices will say so
            program.forget_pools()
            end = program.run(stop, share)
        return program.mix() if end is End.OPTIMAL else None

    def _least_mix(self) -> Mix | None:
        """Mix circuits where each bundle takes what presses least: quickly."""
        start = self.menu.problem.options.start
        program = _Program(self, first_least(self.pressed.sum(axis=1), start))
        program.forget_pools()
        return program.mix() if program.run(None) is End.OPTIMAL else None

    def ranges(
        self, which: Iterable[int], stop: Clock | None
    ) -> dict[int, tuple[float, float]] | None:
        """Return the least and most pressure of operations below a step of 1 unit.

        None if the program has no solution so short, as it is or in time.
        """
        program = _Program(self, self._first_options)
        return program.ranges(which, stop)

    def choose(self, stop: Clock | None) -> Ints | None:
        """Return the options of the shortest step where none is cut (B,).

        Longest items count for collectives, too. None if HiGHS finds none in time.
        """
        return _Program(self, self._first_options, is_whole=True).choose(stop)

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
        if len(self.pressed) <= _FEW_COLUMNS:
            return np.arange(len(self.pressed))
        is_large = len(self.pressed) > _MOST_PRICED
        few = None if is_large else self.menu.undominated
        if few is not None and len(few) <= _MOST_COLUMNS:
            return few
        ways = np.c_[self.pressed.sum(axis=1), self.pressed, self.menu.shares]
        ways = ways + 1e-3 * ways[:, :1]
        return np.unique([first_least(way, start) for way in ways.T])


class _Program:
    """The program with some of the options.

    Columns: the step, how much too full a tier is (its price finds options that fit),
    ends of operations, their times, pressures, shares of options.
    """

    def __init__(
        self, step: ConvexStep, options: Ints, *, is_whole: bool = False
    ) -> None:
        self._step, self._options, self._is_whole = step, options, is_whole
        self._is_open = False
        graph = step.menu.graph
        self._size, self._num = len(graph.program), len(step.menu.pressures)
        self._end, self._time = 2, 2 + self._size
        self._pressure = self._time + self._num
        self._first = self._pressure + self._num
        count = self._first + len(options)
        cost = np.zeros(count)
        cost[:2] = 1.0, _OVERFULL
        lower = np.zeros(count)
        lower[self._end : self._time] = -np.inf
        upper = np.full(count, np.inf)
        for k, stairs in enumerate(step.stairs):
            if stairs is not None:
                lower[self._pressure + k] = stairs.low / step.unit
        kind: dict[str, Any] = {"presolve": "off"}
        if is_whole:
            kind = {"integer": np.arange(count) >= self._first, "mip_rel_gap": _GAP}
        self._model = Highs("the convex step of a bound", cost, lower, upper, **kind)
        self._rows = ProgramRows()
        self._bundles()
        self._pools()
        self._presses()
        self._longest()
        self._lines()
        self._waits()
        self._rows.give(self._model, count)

    def run(self, stop: Clock | None, share: float = 1.0) -> End:
        """Solve in a share of the time that is left."""
        left_s = share * stop.remaining_s() if stop else np.inf
        return self._model.run(time_limit_s=left_s)

    @property
    def fits(self) -> bool:
        """Whether pools hold the solution."""
        return not self._is_open and self._model.values.item(1) <= _LEAST_FLOW

    def choose(self, stop: Clock | None) -> Ints | None:
        """See `ConvexStep.choose`."""
        self.run(stop)
        if not self._model.has_values or not self.fits:
            return None
        return self._options[self._model.values[self._first :] > _HALF]

    def _bundles(self) -> None:
        start = self._step.menu.problem.options.start
        bundle = np.searchsorted(start, self._options, "right") - 1
        ones = np.ones(len(bundle))
        columns = self._first + np.arange(len(bundle))
        self._rows.add(ones[: len(start) - 1], bundle, columns, ones, equal=True)

    def _pools(self) -> None:
        """Let no tier hold more than it can."""
        shares = self._step.menu.shares[self._options]
        tiers = np.flatnonzero(shares.any(axis=0))
        option, tier = np.nonzero(shares[:, tiers])
        every, ones = np.arange(len(tiers)), np.ones(len(tiers))
        row = np.r_[tier, every]
        column = np.r_[self._first + option, np.ones(len(tiers), dtype=np.int64)]
        value = np.r_[-shares[option, tiers[tier]], ones]
        first = self._rows.add(-ones, row, column, value)
        self._pool_rows = list(zip(first + every, tiers, strict=True))

    def forget_pools(self) -> None:
        """Let every pool hold anything."""
        self._is_open = True
        for row, _ in self._pool_rows:
            self._model.bound_row(int(row), -np.inf, np.inf)

    def _presses(self) -> None:
        """Let every pressure be at least what the options add up to."""
        pressed = self._step.pressed[self._options]
        option, k = np.nonzero(pressed)
        own = np.arange(self._num)
        first = self._rows.add(
            np.zeros(self._num),
            np.r_[own, k],
            np.r_[self._pressure + own, self._first + option],
            np.r_[np.ones(self._num), -pressed[option, k]],
        )
        self._press_rows = first + own

    def _longest(self) -> None:
        """Let every kernel take at least what each bundle's longest item does.

        Rows that what all bundles press at least makes true are left out. Of
        collectives such rows made worse proofs: their lines became too steep.
        """
        pressed = self._step.pressed
        self._longest_rows = np.zeros((0, 3), dtype=np.int64)
        if self._step.is_plain or len(pressed) > _MOST_LONGEST:
            return
        alone = self._step.alone
        start = self._step.menu.problem.options.start
        surely = np.minimum.reduceat(pressed, start[:-1], axis=0).sum(axis=0)
        longest = np.maximum.reduceat(alone, start[:-1], axis=0)
        is_kernel = np.array([p.curve is None for p in self._step.menu.pressures])
        bundle, k = np.nonzero((longest > surely) & (is_kernel | self._is_whole))
        every, ones = np.arange(len(bundle)), np.ones(len(bundle))
        first = np.searchsorted(self._options, start)
        sizes = np.diff(first)[bundle]
        row = np.repeat(every, sizes)
        at = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        at += np.repeat(first[:-1][bundle], sizes)
        number = self._rows.add(
            np.zeros(len(bundle)),
            np.r_[every, row],
            np.r_[self._pressure + k, self._first + at],
            np.r_[ones, -alone[self._options[at], k[row]]],
        )
        self._longest_rows = np.c_[number + every, bundle, k]

    def _lines(self) -> None:
        """Put lines below what each operation takes."""
        found: list[tuple[int, float, float]] = []
        runs, unit = self._step.menu.runs, self._step.unit
        for k, stairs in enumerate(self._step.stairs):
            if stairs is None:
                found.append((k, 0.0, 1.0))
                continue
            for slope in (*stairs.slopes(_LINES, runs=bool(runs[k])), _STEEP):
                height = stairs.intercept(slope, runs=bool(runs[k])) / unit
                found.append((k, height, slope))
        own, heights, slopes = (np.array(part) for part in zip(*found, strict=True))
        row, ones = np.arange(len(found)), np.ones(len(found))
        first = self._rows.add(
            heights,
            np.r_[row, row],
            np.r_[self._time + own, self._pressure + own],
            np.r_[ones, -slopes],
        )
        self._line_rows = list(zip(first + row, own, strict=True))

    def _waits(self) -> None:
        """Let operations end after what they wait for, and their own time."""
        menu, graph = self._step.menu, self._step.menu.graph
        index = [menu.index(op.name) for op in graph.program]
        waits = [
            (before, after, steps)
            for after, some in enumerate(graph.graph.waits)
            for before, steps in some
        ]
        least, row, column, value = [], [], [], []
        for number, (before, after, steps) in enumerate(waits):
            k = index[after]
            least.append(0.0 if k is not None else graph.own_s[after] / self._step.unit)
            terms = [(0, float(steps))]
            if before != after:
                terms += [(self._end + after, 1.0), (self._end + before, -1.0)]
            if k is not None:
                terms.append((self._time + k, -1.0))
            row += [number] * len(terms)
            column += [term[0] for term in terms]
            value += [term[1] for term in terms]
        first = self._rows.add(np.array(least), row, column, value)
        self._wait_rows = [(first + i, *wait) for i, wait in enumerate(waits)]

    def ranges(
        self, which: Iterable[int], stop: Clock | None
    ) -> dict[int, tuple[float, float]] | None:
        """See `ConvexStep.ranges`."""
        unit = self._step.unit
        self._model.bound(np.zeros(2), np.array([1.0, 0.0]))
        self._model.price(0, 0.0)
        found = {}
        for k in which:
            ends = []
            for sign in (1.0, -1.0):
                self._model.price(self._pressure + k, sign)
                if self.run(stop) is not End.OPTIMAL:
                    return None
                ends.append(sign * self._model.objective * unit)
            self._model.price(self._pressure + k, 0.0)
            found[k] = ends[0], ends[1]
        return found

    def cheaper(self) -> Ints:
        """Return options that would shorten the step by their reduced cost."""
        pressed, shares = self._step.pressed, self._step.menu.shares
        if len(self._options) == len(pressed):
            return np.zeros(0, dtype=np.int64)
        duals = self._model.row_duals
        cost = pressed @ duals[self._press_rows]
        for row, tier in self._pool_rows:
            cost += duals[row] * shares[:, tier]
        start = self._step.menu.problem.options.start
        for row, bundle, k in self._longest_rows[duals[self._longest_rows[:, 0]] > 0]:
            own = slice(start[bundle], start[bundle + 1])
            cost[own] += duals[row] * self._step.alone[own, k]
        best = first_least(cost, start)
        promised = duals[: len(start) - 1] - cost[best]
        return np.asarray(best[promised > _LEAST_FLOW / len(best)])

    def mix(self) -> Mix:
        """Read circuits off the duals of waits, and slopes off those of lines."""
        duals, values = self._model.row_duals, self._model.values
        flow = {
            (before, after, steps): duals[row]
            for row, before, after, steps in self._wait_rows
            if duals[row] > _LEAST_FLOW
        }
        names = [op.name for op in self._step.menu.graph.program]
        circuits = [
            Circuit(operations=tuple(names[i] for i in visits), share=share)
            for visits, share in shared_circuits(flow, _LEAST_FLOW)
        ]
        shares = np.zeros(len(self._step.pressed))
        shares[self._options] = values[self._first :]
        return Mix(
            self._model.objective * self._step.unit,
            tuple(circuits),
            self._slopes(duals),
            values[self._pressure : self._first] * self._step.unit,
            self._is_long(values[self._first :]),
            self.fits,
            shares,
        )

    def _is_long(self, shares: Floats) -> bool:
        step, some = self._step, np.flatnonzero(shares > _LEAST_FLOW)
        if len(step.pressed) > _MOST_LONGEST:
            return False
        chosen, part = self._options[some], shares[some, None]
        start = np.searchsorted(chosen, step.menu.problem.options.start[:-1])
        longest = np.add.reduceat(step.alone[chosen] * part, start, axis=0)
        mean = (step.pressed[chosen] * part).sum(axis=0)
        return bool((longest > mean * (1.0 + _LEAST_FLOW)).any())

    def _slopes(self, duals: Floats) -> dict[str, float]:
        """Return what a second of load is worth of a second of each operation.

        Lines below curves say so, and limits of pressures: what is known of these bends
        the line.
        """
        worth = np.zeros(self._num)
        for row, k in self._line_rows:
            worth[k] += duals[row]
        load = np.maximum(duals[self._press_rows], 0.0)
        return {
            p.operation: float(load[k] / worth[k])
            for k, p in enumerate(self._step.menu.pressures)
            if worth[k] > _LEAST_FLOW and p.curve is not None
        }
