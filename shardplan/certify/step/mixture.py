"""What shares of circuits prove: a sum over phases, as bounds of sums know it.

Why the bound holds. A step that repeats takes at least the mean time around any circuit
of what waits for what, and so at least a mean of circuits by shares,

    step >= sum_k w[k] d[k],        w[k] = sum_j share[j] count[j, k] / steps[j].

Between two operations that all ranks begin and end together, a circuit may follow any
rank: these parts count as the slowest rank's sum. (The slowest rank of each operation
by itself would count too much.) Parts that share an operation are joined: a sum of
maxima is at least the maximum of sums. Within a part a rank's seconds are its loads
times passes, or more. A collective of all ranks takes at least

    d[k] >= intercept[k] + slope[k] pressure[k]

for the line below its curve, up to the pressure at which the step would be over the
threshold; the intercept counts where the operation is known to run. So

    step >= constant + sum_p max_r (weighted loads of r in phase p),

and the second part is what bounds of `step` are about, with pressures in place of
loads: `Relaxed` takes the mean load of ranks and the load of single ranks apart.

What this leaves of the limit for one operation limits its pressure: options that press
more by themselves are left out, and pieces that do not fit on a rank together are
counted (`counts`): with a price g, in a phase of which no rank has more than g,

    step >= constant - g + sum_p max_r (...).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import fsum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.certify.relaxed import Relaxed
from shardplan.certify.step.counts import Count, counted, filling
from shardplan.certify.step.kernel_lines import KernelLines, kernel_lines
from shardplan.records.sharding import Objective

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shardplan.certify.step.least import Staircase
    from shardplan.certify.step.menu import StepMenu
    from shardplan.certify.step.start import Start
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Floats
    from shardplan.records.certificate import Circuit

_SAFE = 1e-12
"""Share taken off, more than the roundings of weighted sums."""
_EVERYWHERE = "everywhere"
_GROUPS = {
    "length_exchange": "ids",
    "id_exchange": "ids",
    "output_all_to_all": "outputs",
    "gradient_all_to_all": "gradients",
}
"""Phases of collectives; what loads all ranks alike is one phase."""
_NOTHING_S = 1e-30
"""Below any pressure that is not 0 [s]."""
_ROUNDS = 3
"""How often limits of single operations are sharpened by each other."""


class Mix(NamedTuple):
    """Circuits and slopes to mix, as the program of a case finds them.

    Attributes
    ----------
    step_s : float
        Its step, a bound up to HiGHS's tolerances [s].
    circuits : tuple of Circuit
    slopes : dict of str to float
    pressure : float array (K,)
        Of each operation that depends on tables [s].
    is_long : bool
        Whether the longest item of some table presses as much as the mean load.
    fits : bool
        Whether pools hold it; without a solution that fits they hold anything.
    shares : float array (O,)
        Of each option.
    counts : tuple of Count
        Prices of pieces.
    start : Start
        Where a program like it may begin.
    """

    step_s: float
    circuits: tuple[Circuit, ...]
    slopes: dict[str, float]
    pressure: Floats
    is_long: bool
    fits: bool
    shares: Floats
    counts: tuple[Count, ...]
    start: Start


@dataclass(frozen=True, eq=False)
class Mixture:
    """Circuits by shares, and lines below the operations on them.

    Attributes
    ----------
    menu : StepMenu
    circuits : sequence of Circuit
        Their shares sum to 1, or less.
    slopes : mapping of str to float
        Of operations with a curve; 0 where it is missing.
    limit_s : float
        Only plans with a shorter step matter [s].
    counts : sequence of Count
        Prices of pieces.
    """

    menu: StepMenu
    circuits: Sequence[Circuit]
    slopes: Mapping[str, float]
    limit_s: float
    counts: Sequence[Count] = ()

    @cached_property
    def weights(self) -> Floats:
        """How often the circuits pass each operation that depends on tables (K,)."""
        counts, position = self._counts, self.menu.graph.position
        return np.array(
            [counts[position[n]] if n in position else 0.0 for n in self._names]
        )

    @cached_property
    def constant_s(self) -> float:
        """What does not depend on the plan; the limit if there is none below it [s]."""
        if self._left is None:
            return self.limit_s
        lines = self.weights * self._intercepts
        counts = fsum(count.price_s for count in self.counts)
        error = _SAFE * (self._error_s(lines) + counts)
        return float(self._dense_s + lines.sum() - counts - error)

    @cached_property
    def problem(self) -> Problem:
        """The weighted sum as a problem under `step`, without what ranks share."""
        own = self.inner.problem
        options = replace(own.options, item_cost=self._costs(peak=False))
        return replace(own, objective=Objective.STEP, options=options)

    @cached_property
    def inner(self) -> StepMenu:
        """The case without options that take too long by themselves."""
        return self._left or self.menu

    @cached_property
    def _left(self) -> StepMenu | None:
        return self.menu.within(self.most_s)

    @cached_property
    def relaxed(self) -> Relaxed:
        """The relaxed problem of the weighted sum."""
        return Relaxed.of(self.problem, self._costs(peak=True))

    def line_s(self, k: int, pressure: float) -> float:
        """Return what the line of an operation says of it under a pressure [s]."""
        return float(self._intercepts[k] + self._slopes[k] * pressure)

    @cached_property
    def most_s(self) -> Floats:
        """Pressures that no plan exceeds that matters (K,) [s]."""
        spans = [self.menu.span(k).high for k in range(len(self.weights))]
        own = [np.inf if s is None else s.high for s in self.staircases]
        found = np.minimum(spans, own)
        for phase in self._phases:
            some = [k for k in phase if self.staircases[k] is None]
            some = [k for k in some if self.weights[k] > 0]
            if some:
                most_s = self._spare_s(phase) / self.weights[some]
                found[some] = np.minimum(found[some], most_s)
        return np.maximum(found, _NOTHING_S)

    def _spare_s(self, phase: list[int]) -> float:
        """Return what the limit leaves of what all others take at least [s]."""
        lines = self.weights * self._intercepts
        lines[phase] = 0.0
        added = self.menu.pressed * (self.weights * self._slopes)
        rest = np.delete(added, phase, axis=1).sum(axis=1)
        least = np.minimum.reduceat(rest, self.menu.problem.options.start[:-1])
        taken = self._dense_s + lines.sum() + least.sum() * (1.0 - _SAFE)
        return max(float(self.limit_s - taken + _SAFE * self._error_s(lines)), 0.0)

    def beside(self, pressure: Floats) -> Floats:
        """Return what else is in the phase of each kernel, for one of its passes (K,).

        Parameters
        ----------
        pressure : float array (K,)
            Of each operation [s].
        """
        own, found = self.weights * pressure, np.zeros(len(pressure))
        for kernels in self._kernels:
            found[kernels] = (own[kernels].sum() - own[kernels]) / self.weights[kernels]
        return found

    @cached_property
    def _kernels(self) -> list[list[int]]:
        """What has no curve, by phase; what all ranks meet in is none's, and alone."""
        is_kernel = np.array([p.curve is None for p in self.menu.pressures])
        parts = [[k for k in phase if is_kernel[k]] for phase in self._phases]
        own = is_kernel & (self.weights > 0)
        own[[k for part in parts for k in part]] = False
        alone = [[k] for k in map(int, np.flatnonzero(own))]
        return [part for part in parts if part] + alone

    @property
    def _names(self) -> list[str]:
        return [pressure.operation for pressure in self.menu.pressures]

    @cached_property
    def _counts(self) -> Floats:
        return self.menu.graph.counts(self.circuits)

    @cached_property
    def _dense_s(self) -> float:
        """Seconds on the circuits that depend on no table."""
        graph, names = self.menu.graph, set(self._names)
        own = [op.name not in names for op in graph.program]
        return float((self._counts * graph.own_s)[own].sum())

    @cached_property
    def staircases(self) -> list[Staircase | None]:
        """Below curves, up to what the limit leaves of each operation.

        Whatever takes more than the limit without what all others take at least cannot
        be. The lines that say so are flat enough to be above 0 everywhere.
        """
        stairs = self.menu.staircases(self.limit_s)
        for _ in range(_ROUNDS):
            flattest = [np.inf if s is None else s.flattest for s in stairs]
            slopes = np.minimum(self._slopes, flattest)
            own = self.weights * self._lines(stairs, slopes)
            spare = self.limit_s - self._dense_s - own.sum() + own
            spare = spare - self._others_s(slopes) + _SAFE * self._error_s(own)
            for k, found in enumerate(stairs):
                if found is not None and self.weights[k] > 0:
                    stairs[k] = found.up_to(float(spare[k] / self.weights[k]))
        return stairs

    @cached_property
    def _intercepts(self) -> Floats:
        return self._lines(self.staircases, self._slopes)

    @cached_property
    def _slopes(self) -> Floats:
        return self._kernel_lines.slopes

    @cached_property
    def _kernel_lines(self) -> KernelLines:
        """What the case says of pressures of kernels; slopes of all operations."""
        given = np.array([self.slope(k) for k in range(len(self.weights))])
        spans = [self.menu.span(k) for k in range(len(given))]
        return kernel_lines(given, self.weights, spans, self._kernels)

    def _lines(self, stairs: Sequence[Staircase | None], slopes: Floats) -> Floats:
        """Seconds without pressure of lines below operations (K,) [s]."""
        runs = self.menu.runs
        return np.array(
            [
                own if s is None else s.intercept(slope, runs=runs)
                for own, s, slope, runs in zip(
                    self._kernel_lines.intercepts.tolist(),
                    stairs,
                    slopes.tolist(),
                    runs.tolist(),
                    strict=True,
                )
            ]
        )

    def _error_s(self, lines: Floats) -> float:
        """Sum of what is added up and taken away: sums are off by a share of it [s]."""
        return self._dense_s + self.limit_s + float(np.abs(lines).sum())

    def slope(self, k: int) -> float:
        """Seconds of an operation per second of its pressure, as the case gives it.

        Of kernels 1 where it gives none, and 0 of all else.
        """
        pressure = self.menu.pressures[k]
        none = 1.0 if pressure.curve is None else 0.0
        return self.slopes.get(pressure.operation, none)

    def _others_s(self, slopes: Floats) -> Floats:
        """Least that tables add to all operations but one (K,) [s]."""
        added = self.menu.pressed * (self.weights * slopes)
        rest = added.sum(axis=1, keepdims=True) - added
        least = np.minimum.reduceat(rest, self.menu.problem.options.start[:-1], axis=0)
        return np.asarray(least.sum(axis=0)) * (1.0 - _SAFE)

    def _pressed(self, k: int, *, peak: bool) -> Floats:
        """Weighted pressure of every item on one operation (I, C) [s]."""
        pressure, cost = self.menu.pressures[k], self._finite
        factor = pressure.peak if peak else pressure.mean
        factor = factor * (self.weights[k] * self._slopes[k])
        some = np.flatnonzero(factor.any(axis=0))
        own = cost[:, :, pressure.columns[some]]
        return np.asarray((own * factor[:, some]).sum(axis=2))

    @cached_property
    def _finite(self) -> Floats:
        """Prices with nothing where an item cannot be (I, C, R) [s]."""
        cost = self.inner.problem.options.item_cost
        return np.where(
            np.asarray(np.isfinite(cost).all(axis=2))[:, :, None], cost, 0.0
        )

    def _costs(self, *, peak: bool) -> Floats:
        """Weighted pressures by phase (I, C, P) [s]; infinite where items cannot be."""
        cost = self.inner.problem.options.item_cost
        own = len(self._phases)
        found = np.zeros((*cost.shape[:2], max(own + len(self.counts), 1)))
        for phase, count in enumerate(self.counts, own):
            each = self._counted(count) * count.price_s
            found[:, :, phase] = (each * (1.0 - _SAFE))[:, None]
        for phase, operations in enumerate(self._phases):
            for k in operations:
                found[:, :, phase] += self._pressed(k, peak=peak) * (1.0 - _SAFE)
        nowhere = np.asarray(~np.isfinite(cost).all(axis=2))
        return np.where(nowhere[:, :, None], np.inf, found)

    def _counted(self, count: Count) -> Floats:
        """Return what of a rank each item takes (I,)."""
        k, menu = self._names.index(count.operation), self.inner
        each = counted(menu, k, count.pieces, self.most_s.item(k))
        if not count.beside:
            return each
        k = self._names.index(count.beside)
        return filling(menu, each, k, count.least_s, self.most_s.item(k))

    @cached_property
    def _phases(self) -> list[list[int]]:
        """Operations by phase: joined parts between meetings, and collectives."""
        index = {name: k for k, name in enumerate(self._names)}
        local: list[set[int]] = []
        for circuit in self.circuits:
            for part in self.menu.graph.segments(circuit):
                names = (self.menu.graph.program[i].name for i in part)
                own = {index[name] for name in names if name in index}
                own = {k for k in own if self.menu.pressures[k].curve is None}
                joined = own.union(*(other for other in local if other & own))
                local = [other for other in local if not other & own]
                local += [joined] if joined else []
        groups: dict[str, list[int]] = {}
        for k, pressure in enumerate(self.menu.pressures):
            if pressure.curve is not None and self.weights[k] > 0:
                groups.setdefault(
                    _GROUPS.get(pressure.operation, _EVERYWHERE), []
                ).append(k)
        return [sorted(part) for part in local] + list(groups.values())
