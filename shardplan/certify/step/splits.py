"""Where to split a case of a proof about the step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.highs import End
from shardplan.certify.step.convex import ConvexStep
from shardplan.costs.scopes import Scope
from shardplan.problems.totals import first_least
from shardplan.records.certificate import StepCase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.certify.kelley import Clock
    from shardplan.certify.step.least import Staircase
    from shardplan.certify.step.menu import StepMenu
    from shardplan.certify.step.mixture import Mixture
    from shardplan.certify.step.nodes import StepCaseNode
    from shardplan.records.arrays import Ints

_CURVES = 3
"""Operations whose curve is split by pressure, at most, before the best is taken."""
_WORTH = 1e-3
"""Share of the step that a split must be able to gain."""
_WORTH_LAST = 1e-4
"""The same for cases of few tables that nothing else splits."""
_LARGER = 0.2
"""What a gain of the half that gains more counts: it may be a split that comes later
which helps the other one."""
_TABLES = 6
"""Tables that are split by options, at most, before the best is taken."""
_WORTH_OPTIONS = 1e-4
"""What such a split must be able to gain: others follow that need it."""
_UNCUT = 1e-6
"""Share of the longest item below which what is cut of a table is rounding."""
FEW_OPTIONS = 1_500
"""Options up to which pressures of longest items are tried."""
_TAKEN = 0.01
"""Part of an option above which the program takes it."""
_BELOW = 1e-9
"""Share by which such a pressure is below that of the item, for it to be above."""
_PIECE = 0.1
"""Share of a pressure above which a piece counts on a rank."""
_SUMS = 3
"""Sums of pieces that are tried per operation, the least first."""
_GIANTS = 1.1, 1.25, 1.5
"""Where a kernel is split, as ratios to the mean of its phase."""
_SAME = 1e-6
"""Share of a pressure within which it is the sum of some pieces."""
_MUCH = 0.05
"""Share of the step above which the pressure of a collective is long."""


Halves = tuple["StepMenu | None", "StepMenu | None"]
"""The menus of two cases; None for one without plans."""


def ways_to_split(
    node: StepCaseNode, limit_s: float, stop: Clock | None, *, is_few: bool
) -> Iterator[tuple[StepCase, Halves]]:
    """List the best split by what runs or by a pressure, then the best by options.

    Where neither gains much, the last is by a pressure, and gains little.

    Parameters
    ----------
    limit_s : float
        Predicted step of a known plan [s].
    is_few : bool
        Tables are few beside ranks: without it none is split by options.
    """
    menu = node.menu
    if menu is None:
        return
    if way := best_split(node, limit_s, stop):
        yield _by_pressure(menu, *way)
    options = best_options(node, limit_s, stop) if is_few else None
    if options is not None:
        yield StepCase(options=tuple(options.tolist())), menu.taking(options)
    if is_few and (way := best_split(node, limit_s, stop, _WORTH_LAST)):
        yield _by_pressure(menu, *way)


def _by_pressure(menu: StepMenu, k: int, at_s: float) -> tuple[StepCase, Halves]:
    split = StepCase(split=menu.pressures[k].operation, at_s=at_s)
    return split, (menu.at_most(k, at_s), menu.above(k, at_s))


def best_split(
    node: StepCaseNode, limit_s: float, stop: Clock | None, worth: float = _WORTH
) -> tuple[int, float] | None:
    """Return the operation and the pressure that raise the smaller half most.

    Parameters
    ----------
    node : StepCaseNode
        A case with a mixture.
    limit_s : float
        Predicted step of a known plan [s].
    worth : float
        Share of the step that a split must be able to gain.

    Returns
    -------
    tuple of int and float, or None
        Index of the operation and pressure [s]; None if no split is worth it.
    """
    menu, mixture = node.menu, node.mixture
    if menu is None or mixture is None:
        return None
    best, most = None, worth * node.least_s
    trials = Trials(node, limit_s, stop)
    for k, at_s in _ways(node, menu, mixture, worth * limit_s):
        gains = [
            trials.step_s(half, k) - node.least_s
            for half in (menu.above(k, at_s), menu.at_most(k, at_s))
            if half is not None
        ]
        gain = min(gains) + _LARGER * min(max(gains), limit_s - node.least_s)
        if at_s == 0 and len(gains) > 1 and gains[1] >= limit_s - node.least_s:
            return k, at_s  # it runs in every plan that matters
        if gain > most:
            best, most = (k, at_s), gain
    return best


def best_options(node: StepCaseNode, limit_s: float, stop: Clock | None) -> Ints | None:
    """Return options of a table to split by: those with the longer longest items.

    Where the program takes a part of several options of a table, what is longer than
    their mean goes into one half, and the rest into the other: none has what it took.
    The table is the one with the largest product of gains (strong branching).

    Returns
    -------
    int array or None
        Indices of the whole menu; None if the program cuts no table.
    """
    menu, mixture = node.menu, node.mixture
    if menu is None or mixture is None or len(node.shares) == 0:
        return None
    slopes = np.array([mixture.slope(k) for k in range(len(mixture.weights))])
    longest = menu.alone @ (mixture.weights * slopes)
    start = menu.problem.options.start
    mean = np.add.reduceat(node.shares * longest, start[:-1])
    bundle = np.repeat(np.arange(len(start) - 1), np.diff(start))
    spread = np.add.reduceat(node.shares * np.abs(longest - mean[bundle]), start[:-1])
    own = np.flatnonzero(menu.keep)
    best: Ints | None = None
    most = 0.0
    trials = Trials(node, limit_s, stop)
    for b in spread.argsort()[::-1][:_TABLES].tolist():
        some = np.arange(start[b], start[b + 1])
        few = some[longest[some] > mean[b]]
        if spread[b] <= _UNCUT * longest.max():
            break
        options: Ints = own[few]
        gains = [
            trials.step_s(half) - node.least_s
            for half in menu.taking(options)
            if half is not None
        ]
        least_s = _WORTH_OPTIONS * node.least_s
        some_s = np.clip(gains, least_s, max(limit_s - node.least_s, least_s))
        if (gain := float(some_s.prod())) > most:
            best, most = options, gain
    return best


def to_narrow(mixture: Mixture, *, every: bool) -> dict[int, Staircase]:
    """Return the curves of operations to narrow: all, or those on circuits."""
    return {
        k: stairs
        for k, stairs in enumerate(mixture.staircases)
        if stairs and (every or mixture.weights[k] > 0)
    }


def long_meetings(menu: StepMenu, limit_s: float) -> list[int]:
    """List collectives that take long where each table takes what presses least.

    Whether they run is not known, but plans that do without them are likely to be too
    long: of large menus that is found sooner than the best split.

    Parameters
    ----------
    limit_s : float
        Predicted step of a known plan [s].
    """
    least = first_least(menu.pressed.sum(axis=1), menu.problem.options.start)
    pressure = menu.pressed[least].sum(axis=0)
    meets = np.array([p.meets for p in menu.pressures])
    may = meets & menu.may_run & ~menu.runs & (pressure > _MUCH * limit_s)
    found: list[int] = np.flatnonzero(may)[pressure[may].argsort()[::-1]].tolist()
    return found


def _ways(
    node: StepCaseNode,
    menu: StepMenu,
    mixture: Mixture,
    worth_s: float,
) -> Iterator[tuple[int, float]]:
    """List collectives that may or may not run, and pressures to split at."""
    kinds = set()
    for k in map(int, np.flatnonzero(menu.may_run & ~menu.runs)):
        kind = menu.uses[:, k].tobytes()
        if menu.pressures[k].is_local:  # it has no latency to count
            continue
        if kind not in kinds:  # what comes together is decided together
            kinds.add(kind)
            yield k, 0.0
    errors = []
    for k, stairs in enumerate(mixture.staircases):
        at_s = float(node.pressure[k])
        if stairs is not None and stairs.low < at_s < stairs.high:
            error = stairs.least(at_s) - mixture.line_s(k, at_s)
            errors.append((mixture.weights[k] * error, k, at_s))
    for error, k, at_s in sorted(errors)[-_CURVES:]:
        if error > worth_s:
            yield k, at_s
    yield from below_longest(node, menu, mixture)
    yield from below_sums(node, menu, mixture)
    yield from below_giants(node, menu, mixture)


def below_sums(
    node: StepCaseNode, menu: StepMenu, mixture: Mixture
) -> Iterator[tuple[int, float]]:
    """List pressures just below those of one more piece than the program's pressure.

    A rank has whole pieces: with less pressure it has one less, which counts see, and
    what has more than the mean has that much.
    """
    options = menu.problem.options
    if len(menu.whole.options) > FEW_OPTIONS:
        return
    is_piece = options.scope != Scope.ALL
    taken = menu.alone[is_piece & (node.shares > _TAKEN)]
    for k, stairs in enumerate(mixture.staircases):
        if stairs is None:
            continue
        own_s = max(float(node.pressure[k]), stairs.low)
        pieces = np.unique(taken[:, k][taken[:, k] > _PIECE * own_s])
        more = np.floor(own_s / pieces * (1.0 + _SAME)) + 1.0
        sums = np.unique(more * pieces) * (1.0 - _BELOW)
        others = np.diff(sums, prepend=0.0) > _SAME * sums
        for at_s in sums[others][:_SUMS].tolist():
            if stairs.low < at_s < stairs.high:
                yield k, at_s


def below_longest(
    node: StepCaseNode, menu: StepMenu, mixture: Mixture
) -> Iterator[tuple[int, float]]:
    """List pressures just below those of longest items that means do not reach.

    With more than that an operation takes longer than the program says, and with less
    a table has to do without the option that it took. Of large menus each try takes
    longer than it is worth.
    """
    if len(menu.whole.options) > FEW_OPTIONS:
        return
    taken = menu.alone[node.shares > _TAKEN] * (1.0 - _BELOW)
    for k, stairs in enumerate(mixture.staircases):
        at_s = float(taken[:, k].max(initial=0.0))
        is_seen = at_s <= max(node.pressure[k], stairs.low) if stairs else True
        if stairs and mixture.weights[k] > 0 and not is_seen and at_s < stairs.high:
            yield k, at_s


def below_giants(
    node: StepCaseNode, menu: StepMenu, mixture: Mixture
) -> Iterator[tuple[int, float]]:
    """List pressures of a kernel above its phase's mean, if an item alone exceeds it.

    With more than that the phase takes longer than the program says, and with less a
    table has to do without the option that it took. Giants on SSD are such items;
    elsewhere tries of these splits took more time than they gained.
    """
    if not menu.whole.options.uses_ssd:
        return
    taken = menu.alone[node.shares > _TAKEN].max(axis=0, initial=0.0)
    mean = node.pressure + mixture.beside(node.pressure)
    is_kernel = np.array([stairs is None for stairs in mixture.staircases])
    over = np.where(is_kernel & (mixture.weights > 0), taken - mean, 0.0)
    k = int((over * mixture.weights).argmax())
    if over[k] > 0.0 and mean[k] > 0.0:
        for ratio in _GIANTS:
            if (at_s := ratio * mean.item(k)) < taken[k]:
                yield k, at_s


class Trials:
    """Steps of parts of a case, by its program; most from the case's own solution."""

    def __init__(self, node: StepCaseNode, limit_s: float, stop: Clock | None) -> None:
        menu, mixture = node.menu, node.mixture
        assert menu is not None
        assert mixture is not None
        self._menu, self._limit, self._stop = menu, limit_s, stop
        self._highs = [np.inf if s is None else s.high for s in mixture.staircases]
        self._most, self._start = mixture.most_s, node.start
        self._beside = mixture.beside(node.pressure)
        program = self._step(menu).program()
        self._program = program if program.run(stop) is End.OPTIMAL else None

    def step_s(self, half: StepMenu, k: int | None = None) -> float:
        """Return the convex step of a part, which may limit a pressure [s]."""
        if self._program is None or (half.runs != self._menu.runs).any():
            mix = self._step(half).solve(self._stop)
            return self._limit if mix is None else mix.step_s
        found = self._program.part_s(half, k, self._stop)
        return self._limit if found is None else found

    def _step(self, menu: StepMenu) -> ConvexStep:
        stairs = menu.staircases(self._limit, self._highs)
        return ConvexStep(
            menu,
            stairs,
            self._limit,
            most=self._most,
            start=self._start,
            beside=self._beside,
        )
