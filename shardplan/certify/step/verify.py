"""Recompute a bound on the predicted step from the menu and a certificate alone."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.menus import InvalidCertificateError, require_menu
from shardplan.certify.step.counts import Count
from shardplan.certify.step.menu import StepMenu
from shardplan.certify.step.mixture import Mixture
from shardplan.certify.verify import replay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.problems.problem import Problem
    from shardplan.records.certificate import Certificate, Circuit, StepCase

_LONGEST_S = 1e4
"""Staircases end here, and so does what a proof can say [s]."""
_STEEPEST = 1e6
"""Steeper lines could overflow; nothing takes so much longer than its links."""


def verify_step(problem: Problem, certificate: Certificate) -> float:
    """Return the predicted step that no plan of the menu goes below [s].

    Parameters
    ----------
    problem : Problem
        Under `time`.

    Raises
    ------
    InvalidCertificateError
        If the certificate is for another menu, names what the step does not have, or
        has numbers that are not legal.

    Notes
    -----
    The pressure of an operation is above a number or it is not: one of the two cases
    holds for each plan, so that the smaller bound holds for all. What a case proves:
    see `mixture`.
    """
    require_menu(problem, certificate)
    if certificate.threshold_s is None:
        raise InvalidCertificateError("a proof about the step needs threshold_s")
    limit = min(certificate.threshold_s, _LONGEST_S)
    if not np.diff(problem.options.start).all():  # there is no plan at all
        return limit
    waiting: list[StepMenu | None] = [StepMenu.of(problem)]
    proven = limit
    for case in certificate.steps:
        if not waiting:
            raise InvalidCertificateError("it has more cases than its splits make")
        menu = waiting.pop()
        if menu is None:
            if case.split is not None or case.options:
                raise InvalidCertificateError("a case without plans is split")
        elif case.options:
            waiting += _by_options(menu, case)
        elif case.split is not None:
            waiting += _halves(menu, case.split, case.at_s)
        else:
            proven = min(proven, bound_of(menu, case, limit))
    if waiting:
        raise InvalidCertificateError("a case of a split is missing")
    return proven


def _halves(menu: StepMenu, operation: str, at_s: float) -> list[StepMenu | None]:
    """Split a case; the half that is looked at first comes last."""
    index = menu.index(operation)
    if index is None:
        raise InvalidCertificateError(
            f"the step has no operation {operation!r} that tables ask for"
        )
    if not 0 <= at_s < np.inf:
        raise InvalidCertificateError(f"at_s of a split must be >= 0, got {at_s!r}")
    return [menu.above(index, at_s), menu.at_most(index, at_s)]


def _by_options(menu: StepMenu, case: StepCase) -> list[StepMenu | None]:
    """Split a case by options of a table; the half looked at first comes last."""
    table, some = menu.whole.options.table, np.array(case.options, dtype=np.int64)
    if case.split is not None:
        raise InvalidCertificateError("a case is split in two ways at once")
    if some.min() < 0 or some.max() >= len(table) or len(np.unique(table[some])) > 1:
        raise InvalidCertificateError("a split is by options of one table that exist")
    return list(menu.taking(some)[::-1])


def bound_of(menu: StepMenu, case: StepCase, limit_s: float) -> float:
    """Return what one case proves of its plans, up to a limit [s]."""
    counts = [Count(*count) for count in case.counts]
    counts += [Count(*count) for count in case.filling]
    mixture = mix(menu, case.circuits, dict(case.slopes), limit_s, counts)
    rest_s = limit_s - mixture.constant_s
    if rest_s <= 0 or not case.cases:
        return max(min(mixture.constant_s, limit_s), 0.0)
    threshold = rest_s if case.threshold_s is None else case.threshold_s
    if not threshold > 0:
        raise InvalidCertificateError("threshold_s of a case must be > 0")
    tables_s = replay(mixture.relaxed, case.cases, threshold)
    return max(min(mixture.constant_s + tables_s, limit_s), 0.0)


def mix(
    menu: StepMenu,
    circuits: Sequence[Circuit],
    slopes: dict[str, float],
    limit_s: float,
    counts: Sequence[Count] = (),
) -> Mixture:
    """Make a mixture of what a certificate says.

    Raises
    ------
    InvalidCertificateError
        If shares are below 0 or sum to more than 1, a slope is below 0 or too steep, or
        what is counted does not exist.
    """
    if not all(0 <= circuit.share <= 1 for circuit in circuits):
        raise InvalidCertificateError("shares of paths must be from 0 to 1")
    if not all(
        menu.index(count.operation) is not None
        and (not count.beside or menu.index(count.beside) is not None)
        and count.pieces >= 1
        and 0 <= count.price_s <= _LONGEST_S
        and 0 <= count.least_s <= _LONGEST_S
        for count in counts
    ):
        raise InvalidCertificateError(
            "counts need an operation, whole pieces, and prices from 0 to "
            f"{_LONGEST_S:g}"
        )
    if not all(0 <= slope <= _STEEPEST for slope in slopes.values()):
        raise InvalidCertificateError(f"slopes must be from 0 to {_STEEPEST:g}")
    if sum(Fraction(circuit.share) for circuit in circuits) > 1:
        raise InvalidCertificateError("shares of paths add up to more than 1")
    return Mixture(menu, circuits, slopes, limit_s, counts)
