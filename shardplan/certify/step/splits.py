"""Where to split a case of a proof about the step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.step.convex import ConvexStep
from shardplan.problems.totals import first_least

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.certify.kelley import Clock
    from shardplan.certify.step.menu import StepMenu
    from shardplan.certify.step.mixture import Mixture
    from shardplan.certify.step.nodes import StepCaseNode

_CURVES = 3
"""Operations whose curve is split by pressure, at most, before the best is taken."""
_WORTH = 1e-3
"""Share of the step that a split must be able to gain."""
_LARGER = 0.2
"""What a gain of the half that gains more counts: it may be a split that comes later
which helps the other one."""

_MUCH = 0.05
"""Share of the step above which the pressure of a collective is long."""


def best_split(
    node: StepCaseNode, limit_s: float, stop: Clock | None
) -> tuple[int, float] | None:
    """Return the operation and the pressure that raise the smaller half most.

    Parameters
    ----------
    node : StepCaseNode
        A case with a mixture.
    limit_s : float
        Predicted step of a known plan [s].

    Returns
    -------
    tuple of int and float, or None
        Index of the operation and pressure [s]; None if no split is worth it.
    """
    menu, mixture = node.menu, node.mixture
    if menu is None or mixture is None:
        return None
    best, most = None, _WORTH * node.least_s
    for k, at_s in _ways(node, menu, mixture, limit_s):
        gains = [
            _convex_s(half, mixture, limit_s, stop) - node.least_s
            for half in (menu.above(k, at_s), menu.at_most(k, at_s))
            if half is not None
        ]
        gain = min(gains) + _LARGER * min(max(gains), limit_s - node.least_s)
        if at_s == 0 and len(gains) > 1 and gains[1] >= limit_s - node.least_s:
            return k, at_s  # it runs in every plan that matters
        if gain > most:
            best, most = (k, at_s), gain
    return best


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
    node: StepCaseNode, menu: StepMenu, mixture: Mixture, limit_s: float
) -> Iterator[tuple[int, float]]:
    """List operations that may or may not run, and those far above their lines."""
    kinds = set()
    for k in map(int, np.flatnonzero(menu.may_run & ~menu.runs)):
        kind = menu.uses[:, k].tobytes()
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
        if error > _WORTH * limit_s:
            yield k, at_s


def _convex_s(
    menu: StepMenu, mixture: Mixture, limit_s: float, stop: Clock | None
) -> float:
    """Return the convex step of a case that another one was split into [s]."""
    most = [np.inf if s is None else s.high for s in mixture.staircases]
    stairs = menu.staircases(limit_s, most)
    mix = ConvexStep(menu, stairs, limit_s).solve(stop)
    return limit_s if mix is None else mix.step_s
