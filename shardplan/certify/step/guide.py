"""Where short steps may be: which collectives run there, and what loads cost.

Sums do not see that an operation takes time as soon as one table needs it, nor what it
then holds up. Here it is decided first what runs: the linear program of a bound says
how short the step could be with each choice. It begins with what a plan runs; from each
choice that is the best so far it goes on to those that run one kind more or less. The
duals of the best program say what a second of each load is worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.certify.step.convex import ConvexStep
from shardplan.certify.step.least import Span, Staircase
from shardplan.certify.step.menu import StepMenu
from shardplan.certify.step.mixture import Mixture
from shardplan.problems.weighted import step_pricer

if TYPE_CHECKING:
    from shardplan.certify.kelley import Clock
    from shardplan.certify.step.mixture import Mix
    from shardplan.certify.step.start import Start
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Bools, Floats, Ints

_NEAR = 1.5
"""Ratio of pressures within which lines below curves are good."""
_LITTLE = 1e-3
"""Share of the step below which a pressure is no guide to where lines are good."""
_SAME = 1e-4
"""Share of the step within which another program says the same."""
_ROUNDS = 3
"""Programs with lines near the pressures of the one before."""


class Guide(NamedTuple):
    """A part of the menu, and weights of its loads.

    Attributes
    ----------
    options : int array
        Of the whole menu, sorted; every bundle has one.
    weights : float array (R,)
        Seconds of the step per second of each column of the `StepPricer`.
    step_s : float
        About what the step would be if tables could be cut at will [s].
    """

    options: Ints
    weights: Floats
    step_s: float


class _Case(NamedTuple):
    """What runs, and the program's answer."""

    menu: StepMenu
    mix: Mix


def find_guide(problem: Problem, loads: Floats, stop: Clock | None) -> Guide | None:
    """Return the guide to the shortest step near a plan; None without time for one.

    Parameters
    ----------
    problem : Problem
        Under `time`.
    loads : float array (W, R)
        Of a plan.
    """
    limit_s = step_pricer(problem).predict(loads).step_s
    whole = StepMenu.of(problem)
    kinds = _kinds(whole)
    waiting = [_runs(whole, kinds, loads)]
    tried: set[bytes] = set()
    best: _Case | None = None
    while waiting and not (stop and stop.now()):
        runs = waiting.pop(0)
        if runs.tobytes() in tried:
            continue
        tried.add(runs.tobytes())
        start = best and best.mix.start
        case = _solve(whole, kinds, runs, limit_s, stop, start)
        goes_on = best is None
        if case and (best is None or case.mix.step_s < best.mix.step_s):
            best, goes_on = case, True
        if goes_on:
            waiting += list(runs ^ np.eye(len(kinds), dtype=bool))
    return None if best is None else _guide(best, limit_s)


def choose_options(problem: Problem, loads: Floats, stop: Clock | None) -> Ints | None:
    """Return an option per table (B,) by the program, none cut; None without time.

    It runs what a plan runs, with lines near the pressures of the cut tables.

    Parameters
    ----------
    problem : Problem
        Under `time`.
    loads : float array (W, R)
        Of a plan.
    """
    limit_s = step_pricer(problem).predict(loads).step_s
    whole = StepMenu.of(problem)
    kinds = _kinds(whole)
    menu = _running(whole, kinds, _runs(whole, kinds, loads))
    if menu is None:
        return None
    stairs = menu.staircases(limit_s)
    mix = ConvexStep(menu, stairs, limit_s).solve(stop)
    if mix is None or not mix.fits:
        return None
    chosen = ConvexStep(menu, _all_near(menu, stairs, mix, limit_s), limit_s).choose(
        stop
    )
    return None if chosen is None else np.flatnonzero(menu.keep)[chosen]


def _runs(menu: StepMenu, kinds: list[list[int]], loads: Floats) -> Bools:
    """Say of each kind whether a plan runs it."""
    columns = [menu.pressures[kind[0]].columns for kind in kinds]
    return np.array([loads[:, some].any() for some in columns], dtype=bool)


def _kinds(menu: StepMenu) -> list[list[int]]:
    """List operations that may or may not run, those together that come together."""
    found: dict[bytes, list[int]] = {}
    for k in map(int, np.flatnonzero(menu.may_run & ~menu.runs)):
        found.setdefault(menu.uses[:, k].tobytes(), []).append(k)
    has_curve = [p.curve is not None for p in menu.pressures]
    return [kind for kind in found.values() if any(has_curve[k] for k in kind)]


def _running(menu: StepMenu, kinds: list[list[int]], runs: Bools) -> StepMenu | None:
    """Return the case of a choice of what runs; None if there is no plan."""
    for kind, is_on in zip(kinds, runs.tolist(), strict=True):
        if is_on:
            for k in kind:
                menu = menu.above(k, 0.0)
            continue
        half = menu.at_most(kind[0], 0.0)
        if half is None:
            return None
        menu = half
    return menu


def _solve(
    whole: StepMenu,
    kinds: list[list[int]],
    runs: Bools,
    limit_s: float,
    stop: Clock | None,
    start: Start | None,
) -> _Case | None:
    """Solve the program of a choice of what runs; None if there is no plan."""
    menu = _running(whole, kinds, runs)
    if menu is None:
        return None
    stairs, best = menu.staircases(limit_s), None
    for _ in range(_ROUNDS):
        mix = ConvexStep(menu, stairs, limit_s, start=start).solve(stop)
        if mix is None or not mix.fits:
            break
        start = mix.start
        is_settled = (
            best is not None and abs(mix.step_s - best.step_s) < _SAME * limit_s
        )
        best = mix
        if is_settled:
            break
        stairs = _all_near(menu, stairs, mix, limit_s)
    return None if best is None else _Case(menu, best)


def _all_near(
    menu: StepMenu, stairs: list[Staircase | None], mix: Mix, limit_s: float
) -> list[Staircase | None]:
    """Return what lies below curves at about the pressures of a solution."""
    return [
        s and _near(menu, k, s, float(mix.pressure[k]), _LITTLE * limit_s)
        for k, s in enumerate(stairs)
    ]


def _near(
    menu: StepMenu, k: int, stairs: Staircase, pressure: float, least: float
) -> Staircase:
    """Return what lies below a curve at about a pressure, if it is not too little."""
    if pressure < least:
        return stairs
    span = Span(pressure / _NEAR, pressure * _NEAR, bool(menu.runs[k]))
    return Staircase.below(menu.pressures[k], np.inf, span)


def _guide(case: _Case, limit_s: float) -> Guide:
    menu, mix = case
    mixture = Mixture(menu, mix.circuits, mix.slopes, limit_s)
    weights = np.zeros(len(step_pricer(menu.whole).phases))
    for k, pressure in enumerate(menu.pressures):
        weights[pressure.columns[0]] = mixture.weights[k] * mixture.slope(k)
    return Guide(np.flatnonzero(menu.keep), weights, mix.step_s)
