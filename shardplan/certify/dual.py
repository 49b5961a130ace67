"""Search for prices: a first bound in well under a second, and a better one on request.

The search may be as careless as it likes: what it returns went through `verify`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certificate import Certificate, Prices
from shardplan.certify.relaxed import Relaxed
from shardplan.certify.rounds import Refuter, best_prices
from shardplan.certify.verify import verify

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.certify.kelley import Clock
    from shardplan.problem import Problem

    Floats = NDArray[np.float64]

_FIRST_STEP = 1e-4
_SHARPNESS = 2e-5
"""Stop looking for a better threshold when it is known to within this, relatively."""
_BASIC_TESTS = 12
_MOST_TESTS = 60


@dataclass(frozen=True, eq=False)
class Bound:
    """A lower bound, why it holds, and what its prices say.

    Attributes
    ----------
    value_s : float
        No plan is faster than this [s]; infinite if a bundle has no option.
    certificate : Certificate
        From which `verify` gets the same value.
    prices : Prices
        Without a threshold: for choosing options, not the strongest for proving.
    """

    value_s: float
    certificate: Certificate
    prices: Prices

    @property
    def byte_prices(self) -> Floats:
        """What a byte costs in each class and tier [s/byte], shape (C, 3)."""
        return np.array([self.prices.hbm, self.prices.ddr, self.prices.ssd]).T

    @property
    def rank_prices(self) -> Floats:
        """Weight of a second on one rank of each class, shape (C, D)."""
        return np.array(self.prices.ranks)


def lower_bound(
    problem: Problem, upper_bound_s: float = float("inf"), stop: Clock | None = None
) -> Bound:
    """Bound the value of every plan from below, quickly.

    Parameters
    ----------
    upper_bound_s : float
        Value of a known plan: nothing above it is worth proving [s].
    stop : Clock, optional
        Asked between steps; there is always a bound, if only 0.

    Notes
    -----
    The best prices (a linear program solved by cutting planes) are followed by the
    largest threshold that they refute: docs/how-it-works/bound.md.
    """
    relaxed = Relaxed.of(problem)
    if relaxed.has_empty_bundle:
        prices = _no_prices(relaxed)
        return Bound(float("inf"), _certificate(problem, None, (prices,)), prices)
    prices = best_prices(relaxed, stop=stop)
    certificate = _certificate(problem, None, (prices,))
    first = Bound(verify(problem, certificate), certificate, prices)
    return _raise(
        problem, first, relaxed, upper_bound_s, stop, _BASIC_TESTS, hard=False
    )


def strengthen(
    problem: Problem,
    bound: Bound,
    upper_bound_s: float = float("inf"),
    stop: Clock | None = None,
) -> Bound:
    """Spend more time on a bound; returns one that is at least as good."""
    if not np.isfinite(bound.value_s):
        return bound
    relaxed = Relaxed.of(problem)
    return _raise(problem, bound, relaxed, upper_bound_s, stop, _MOST_TESTS, hard=True)


def _raise(
    problem: Problem,
    bound: Bound,
    relaxed: Relaxed,
    upper_bound_s: float,
    stop: Clock | None,
    tests: int,
    *,
    hard: bool,
) -> Bound:
    """Look for the largest threshold that prices refute: gallop, then bisect."""
    refuter = Refuter(relaxed, bound.prices, stop, hard=hard)
    low, high, step = bound.value_s, upper_bound_s, _FIRST_STEP
    best = bound
    for _ in range(tests):
        if high <= low * (1.0 + _SHARPNESS) or (stop and stop.now()):
            break
        target = low + max(step * low, 1e-12)
        target = min(target, (low + high) / 2.0 if np.isfinite(high) else target)
        if upper_bound_s == high and target * (1.0 + step) >= high:
            target = high
        value, rounds = refuter.refute(target)
        if value >= target:
            step *= 4.0
        else:
            high, step = min(high, target), step / 4.0
        if value > best.value_s * (1.0 + 1e-9) and rounds:
            certificate = _certificate(problem, target, rounds)
            proven = verify(problem, certificate)
            if proven > best.value_s:
                best = Bound(proven, certificate, bound.prices)
        low = max(low, min(value, target))
        step = max(step, _SHARPNESS)
    return best


def _certificate(
    problem: Problem, threshold: float | None, rounds: tuple[Prices, ...]
) -> Certificate:
    return Certificate(
        all_tiers=problem.all_tiers,
        num_options=len(problem.options),
        threshold_s=threshold,
        rounds=rounds,
    )


def _no_prices(relaxed: Relaxed) -> Prices:
    nothing = (0.0,) * relaxed.num_classes
    seconds = ((0.0,) * relaxed.num_dimensions,) * relaxed.num_classes
    return Prices(ranks=seconds, hbm=nothing, ddr=nothing, ssd=nothing)
