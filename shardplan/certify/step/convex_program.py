"""The linear program of one case of a proof about the step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.certify.highs import End, Highs
from shardplan.certify.rows import ProgramRows
from shardplan.certify.step.circulation import shared_circuits
from shardplan.certify.step.counts import Count, count_rows, filling_rows
from shardplan.certify.step.menu import are_few
from shardplan.certify.step.mixture import Mix
from shardplan.certify.step.start import Start
from shardplan.problems.totals import first_least
from shardplan.records.certificate import Circuit

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable

    from shardplan.certify.kelley import Clock
    from shardplan.certify.step.convex import ConvexStep, Line
    from shardplan.certify.step.least import Staircase
    from shardplan.certify.step.menu import StepMenu
    from shardplan.records.arrays import Floats, Ints

_OVERFULL = 1e3
"""What a tier that is too full by its own size costs, in units of the program."""
_OVERCOUNTED = 10.0
"""What one piece per rank too many costs."""
_GAP, _HALF = 1e-3, 0.5
"""How near to the best whole options are, and what counts as taken."""
_LEAST_FLOW = 1e-7
"""Share of the step below which a wait is worth nothing."""


class ConvexProgram:
    """The program with some of the options.

    Columns: the step, how much too full a tier is (its price finds options that fit),
    how many pieces too many a rank has, ends of operations, their times, pressures,
    shares of options.
    """

    def __init__(
        self,
        step: ConvexStep,
        options: Ints,
        start: Start | None = None,
        *,
        is_whole: bool = False,
    ) -> None:
        self._step, self._options, self._is_whole = step, options, is_whole
        self._is_open = False
        graph = step.menu.graph
        self._size, self._num = len(graph.program), len(step.menu.pressures)
        self._end, self._time = 3, 3 + self._size
        self._pressure = self._time + self._num
        self._first = self._pressure + self._num
        count = self._first + len(options)
        self._columns: list[Hashable] = [
            *("step", "overfull", "overcounted"),
            *(("end", op.name) for op in graph.program),
            *(("time", k) for k in range(self._num)),
            *(("pressure", k) for k in range(self._num)),
            *np.flatnonzero(step.menu.keep)[options].tolist(),
        ]
        cost = np.zeros(count)
        cost[:3] = 1.0, _OVERFULL, _OVERCOUNTED
        lower = np.zeros(count)
        lower[self._end : self._time] = -np.inf
        upper = np.full(count, np.inf)
        upper[self._first :][step.is_too_much[options]] = 0.0
        for k, stairs in enumerate(step.stairs):
            lower[self._pressure + k] = step.least(step.menu, k, stairs)
        kind: dict[str, Any] = {"presolve": "off"}
        if is_whole:
            kind = {"integer": np.arange(count) >= self._first, "mip_rel_gap": _GAP}
        self._model = Highs("the convex step of a bound", cost, lower, upper, **kind)
        self._rows = ProgramRows()
        self._bundles()
        self._pools()
        self._presses()
        self._longest()
        self._counts()
        self._lines()
        self._waits()
        self._rows.give(self._model, count)
        if start is not None:
            start.give(self._model, self._labels)

    def run(self, stop: Clock | None, share: float = 1.0) -> End:
        """Solve in a share of the time that is left."""
        left_s = share * stop.remaining_s() if stop else np.inf
        return self._model.run(time_limit_s=left_s)

    @property
    def _labels(self) -> list[Hashable]:
        return [*self._columns, *self._rows.labels]

    @property
    def start(self) -> Start:
        """Where a program like it may begin."""
        own = np.flatnonzero(self._step.menu.keep)[self._options]
        return Start.of(self._model, own, self._labels)

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
        size = len(start) - 1
        labels = [("bundle", b) for b in range(size)]
        self._rows.add(ones[:size], bundle, columns, ones, equal=True, labels=labels)

    def _pools(self) -> None:
        """Let no tier hold more than it can."""
        shares = self._step.menu.shares[self._options]
        tiers = np.flatnonzero(shares.any(axis=0))
        option, tier = np.nonzero(shares[:, tiers])
        every, ones = np.arange(len(tiers)), np.ones(len(tiers))
        row = np.r_[tier, every]
        column = np.r_[self._first + option, np.ones(len(tiers), dtype=np.int64)]
        value = np.r_[-shares[option, tiers[tier]], ones]
        labels = [("pool", tier) for tier in tiers.tolist()]
        first = self._rows.add(-ones, row, column, value, labels=labels)
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
            labels=[("press", k) for k in range(self._num)],
        )
        self._press_rows = first + own

    def _longest(self) -> None:
        """Let every kernel take at least what each bundle's longest item does.

        Rows that what all bundles press at least makes true are left out. Of
        collectives such rows made worse proofs: their lines became too steep.
        """
        pressed = self._step.pressed
        self._longest_rows = np.zeros((0, 3), dtype=np.int64)
        if self._step.is_plain or self._step.has_many:
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
            labels=[("longest", *key) for key in zip(bundle, k, strict=True)],
        )
        self._longest_rows = np.c_[number + every, bundle, k]

    def _counts(self) -> None:
        """Let no rank have more pieces than fit there."""
        self._count_rows: list[tuple[int, Count]] = []
        if self._step.has_all and not (self._step.is_plain or self._is_whole):
            self._add_counts(self._rows, range(self._num), self._step.highest)

    def _add_counts(
        self, rows: ProgramRows, which: Collection[int], most: Floats
    ) -> None:
        menu = self._step.menu
        found = [
            (Count(menu.pressures[k].operation, pieces, 0.0), each)
            for k in which
            for pieces, each in count_rows(menu, k, most.item(k))
        ]
        if are_few(menu.whole):  # of more tables such rows took the time of splits
            found += filling_rows(menu, most, which)
        for count, each in found:
            own = np.flatnonzero(each[self._options])
            number = rows.add(
                np.array([-1.0]),
                np.zeros(len(own) + 1, dtype=np.int64),
                np.r_[2, self._first + own],
                np.r_[1.0, -each[self._options[own]]],
                labels=[("count", *count)],
            )
            self._count_rows.append((number, count))

    def _lines(self) -> None:
        """Put lines below what each operation takes."""
        found = self._step.lines
        first = self._add_lines(self._rows, found)
        self._line_rows = [(first + i, k) for i, (k, _, _) in enumerate(found)]

    def _add_lines(self, rows: ProgramRows, lines: list[Line]) -> int:
        own, heights, slopes = (np.array(part) for part in zip(*lines, strict=True))
        row, ones = np.arange(len(lines)), np.ones(len(lines))
        return rows.add(
            heights,
            np.r_[row, row],
            np.r_[self._time + own, self._pressure + own],
            np.r_[ones, -slopes],
            labels=[("line", i) for i in range(len(lines))],
        )

    def part_s(self, half: StepMenu, k: int | None, stop: Clock | None) -> float | None:
        """Return the step of a part of the case, beginning with the whole's solution.

        Parameters
        ----------
        half : StepMenu
            With the same operations that surely run.
        k : int or None
            Operation whose pressure it limits.

        Returns
        -------
        float or None
            [s]; None if there is no solution, or not in time.
        """
        model, step = self._model, self._step
        basis, known = model.basis, len(self._count_rows)
        own = np.flatnonzero(step.menu.keep)[self._options]
        open_to = np.where(step.is_too_much[self._options], 0.0, np.inf)
        shares = self._first + np.arange(len(own))
        zeros = np.zeros(len(own))
        model.bound_columns(shares, zeros, np.where(half.keep[own], open_to, 0.0))
        rows = ProgramRows()
        if k is not None:
            self._limit(rows, half, k)
            rows.give(model, self._first + len(own))
        end = self.run(stop)
        found = model.objective * step.unit if end is End.OPTIMAL else None
        del self._count_rows[known:]
        model.drop_rows(len(rows))
        model.bound_columns(shares, zeros, open_to)
        if k is not None:
            self._bound_pressure(k, step.menu, step.stairs[k])
        model.begin_with(basis)
        return found

    def _limit(self, rows: ProgramRows, half: StepMenu, k: int) -> None:
        """Limit a pressure as a part of the case does."""
        step, most, stairs = self._step, self._step.highest.copy(), None
        if step.stairs[k] is not None:
            stairs = half.stairs_of(k, step.unit, most.item(k))
        most[k] = stairs.high if stairs else min(most[k], half.span(k).high)
        self._bound_pressure(k, half, stairs)
        self._add_lines(rows, step.below(half, k, stairs))
        self._add_counts(rows, [k], most)

    def _bound_pressure(self, k: int, menu: StepMenu, stairs: Staircase | None) -> None:
        least = np.array([self._step.least(menu, k, stairs)])
        most = np.array([np.inf])
        self._model.bound_columns(np.array([self._pressure + k]), least, most)

    def _waits(self) -> None:
        """Let operations end after what they wait for, and their own time."""
        menu, graph = self._step.menu, self._step.menu.graph
        index = [menu.index(op.name) for op in graph.program]
        waits = list(graph.waits)
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
        names = [op.name for op in graph.program]
        labels = [("wait", names[i], names[j], steps) for i, j, steps in waits]
        first = self._rows.add(np.array(least), row, column, value, labels=labels)
        self._wait_rows = [(first + i, *wait) for i, wait in enumerate(waits)]

    def ranges(
        self, which: Iterable[int], stop: Clock | None
    ) -> dict[int, tuple[float, float]] | None:
        """See `ConvexStep.ranges`."""
        unit = self._step.unit
        self._model.bound(np.zeros(3), np.array([1.0, 0.0, 0.0]))
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
            self._step.is_long(shares),
            self.fits,
            shares,
            self._counted(duals),
            self.start,
        )

    def _counted(self, duals: Floats) -> tuple[Count, ...]:
        """Return the prices of pieces."""
        unit = self._step.unit
        return tuple(
            count._replace(price_s=float(duals[row] * unit))
            for row, count in self._count_rows
            if duals[row] > _LEAST_FLOW
        )

    def _slopes(self, duals: Floats) -> dict[str, float]:
        """Return what a second of load is worth of a second of each operation.

        Lines below them say so, and limits of pressures: what is known of these bends
        the line.
        """
        worth = np.zeros(self._num)
        for row, k in self._line_rows:
            worth[k] += duals[row]
        load, menu = np.maximum(duals[self._press_rows], 0.0), self._step.menu
        return {
            p.operation: float(load[k] / worth[k])
            for k, p in enumerate(menu.pressures)
            if worth[k] > _LEAST_FLOW and (p.curve is not None or menu.is_limited(k))
        }
