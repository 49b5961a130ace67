"""Search for prices: a first bound in well under a second, and a better one on request.

The search may be as careless as it likes: what it returns went through `verify`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.certify.branch import Tree
from shardplan.certify.longest_prices import longest_rounds
from shardplan.certify.params import PROOF_DEFAULTS, ProofParams
from shardplan.certify.pattern_prices import PatternPricer, PricedItems
from shardplan.certify.relaxed import Relaxed
from shardplan.certify.rounds import Refuter, best_prices
from shardplan.certify.tolerances import LEAST_STEP_S, WORTH_WRITING
from shardplan.certify.verify import replay
from shardplan.records.certificate import Case, Certificate, Prices

if TYPE_CHECKING:
    from shardplan.certify.kelley import Clock
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Floats


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
    problem: Problem,
    upper_bound_s: float = float("inf"),
    stop: Clock | None = None,
    params: ProofParams = PROOF_DEFAULTS,
    relaxed: Relaxed | None = None,
) -> Bound:
    """Bound the value of every plan from below, quickly.

    Parameters
    ----------
    problem : Problem
        The menu that plans are made from.
    upper_bound_s : float
        Value of a known plan: nothing above it is worth proving [s].
    stop : Clock, optional
        Asked between steps; there is always a bound, if only 0.
    params : ProofParams
        Numbers of the search for it.
    relaxed : Relaxed, optional
        Of the problem, if it is not what `Relaxed.of` makes of it.

    Returns
    -------
    Bound
        With the certificate that proves it.

    Notes
    -----
    The best prices (a linear program solved by cutting planes) are followed by the
    largest threshold that they refute: docs/how-it-works/bound.md.
    """
    relaxed = relaxed or Relaxed.of(problem)
    if relaxed.has_empty_bundle:
        prices = _no_prices(relaxed)
        return Bound(
            float("inf"), _certificate(problem, None, (Case(rounds=(prices,)),)), prices
        )
    prices = best_prices(relaxed, stop=stop, params=params.cutting_planes)
    value = replay(relaxed, (Case(rounds=(prices,)),), float("inf"))
    first = Bound(value, _certificate(problem, None, (Case(rounds=(prices,)),)), prices)
    if value >= upper_bound_s or not params.quick_tests:
        return first
    search = _ThresholdSearch(relaxed, first, stop, params, hard=False)
    search.by_prices(upper_bound_s, params.quick_tests, params.quick_work)
    return _better(problem, relaxed, first, search.proof)


def strengthen(
    problem: Problem,
    bound: Bound,
    upper_bound_s: float = float("inf"),
    stop: Clock | None = None,
    params: ProofParams = PROOF_DEFAULTS,
    relaxed: Relaxed | None = None,
) -> Bound:
    """Spend more time on a bound; returns one that is at least as good.

    Parameters
    ----------
    upper_bound_s : float
        Value of a known plan [s]; the closer, the more can be proven.
    stop : Clock, optional
        Asked between steps. Without one it ends by itself: where nothing is gained
        any more, or after a fixed amount of work.
    params : ProofParams
        Numbers of the search for it.
    relaxed : Relaxed, optional
        As in `lower_bound`.
    """
    if not np.isfinite(bound.value_s):
        return bound
    if stop and stop.now():
        return bound
    relaxed = relaxed or Relaxed.of(problem)
    early = None if stop is None else Early(stop)
    search = _ThresholdSearch(relaxed, bound, early, params, hard=True)
    search.by_prices(upper_bound_s, params.most_tests, params.most_work)
    has_cases = relaxed.num_dimensions > 1 and relaxed.num_classes == 1
    if params.cases and has_cases:
        search.by_cases(upper_bound_s)
    most = params.pattern_prices.tables_per_rank * relaxed.class_ranks.sum()
    if params.patterns and relaxed.num_bundles <= most:
        search.by_patterns(upper_bound_s)
    return _better(problem, relaxed, bound, search.proof)


def by_longest_items(
    problem: Problem,
    bound: Bound,
    upper_bound_s: float,
    stop: Clock | None,
    relaxed: Relaxed,
) -> Bound:
    """Give the longest items of tables prices of their own; no worse than before.

    Parameters
    ----------
    upper_bound_s : float
        Value of a known plan: the threshold [s].
    relaxed : Relaxed
        As in `lower_bound`.
    """
    more = longest_rounds(relaxed, upper_bound_s, stop)
    if not more:
        return bound
    cases = (Case(rounds=(bound.prices, *more)),)
    return _better(problem, relaxed, bound, _Proof(upper_bound_s, cases))


class _Proof(NamedTuple):
    threshold: float
    cases: tuple[Case, ...]


@dataclass
class Early:
    """A clock that leaves time to replay the best proof.

    Attributes
    ----------
    clock : Clock
    reserve_s : float
        Seconds to leave.
    """

    clock: Clock
    reserve_s: float = 0.0

    def now(self) -> bool:
        """Whether it is time to replay."""
        return self.clock.now() or self.remaining_s() <= 0.0

    def remaining_s(self) -> float:
        """Seconds left before the replay."""
        return self.clock.remaining_s() - self.reserve_s


class _ThresholdSearch:
    """Looks for the largest threshold that can be refuted, and keeps the best proof.

    Attributes
    ----------
    proof : _Proof or None
        None until one beats the bound that the search began with.
    """

    def __init__(
        self,
        relaxed: Relaxed,
        bound: Bound,
        stop: Clock | None,
        params: ProofParams,
        *,
        hard: bool,
    ) -> None:
        self._params = params
        self._early = stop if isinstance(stop, Early) else None
        before = time.perf_counter()
        self._refuter = Refuter(relaxed, bound.prices, stop, params, hard=hard)
        self._round_s = time.perf_counter() - before
        self._pricer = PatternPricer(relaxed, bound.prices, stop, params.pattern_prices)
        self._stop = stop
        self._low = bound.value_s
        self.proof: _Proof | None = None

    def by_prices(
        self, upper_bound_s: float, most_tests: int, most_work: float
    ) -> None:
        """Refute thresholds by prices alone: gallop, then bisect."""
        params = self._params
        high, step = upper_bound_s, params.first_step
        for _ in range(most_tests):
            low = self._low
            if high <= low * (1.0 + params.sharpness) or self._is_over():
                break
            if self._refuter.work > most_work:
                break
            target = low + max(step * low, LEAST_STEP_S)
            if high < np.inf and target > (low + high) / 2.0:
                is_first_try = high == upper_bound_s and target >= high
                target = high if is_first_try else (low + high) / 2.0
            if self._holds(target):
                step = min(step * params.step_growth, params.most_step)
            else:
                high = target
                step = max(step / params.step_growth, params.sharpness)

    def _is_over(self) -> bool:
        return self._stop is not None and self._stop.now()

    def by_cases(self, upper_bound_s: float) -> None:
        """Refute thresholds by cases; lower thresholds exclude more options."""
        params = self._params
        high = min(upper_bound_s, params.hope * self._low)
        work: float = params.most_work
        target = self._low + params.tree.first_tree * (high - self._low)
        for _ in range(params.tree.most_trees):
            _, rounds = self._refuter.refute(target)
            if self._is_over():
                break
            tree = Tree(self._refuter.menu, rounds, target, params)
            tree.grow(work, self._stop)
            work -= tree.work
            if tree.value_s > self._low * (1.0 + WORTH_WRITING):
                self._keep(_Proof(target, tree.cases()))
            self._low = max(self._low, tree.value_s)
            high = high if tree.value_s >= target else target
            if work <= 0 or high <= self._low * (1.0 + params.close):
                break
            target = (self._low + high) / 2.0

    def by_patterns(self, upper_bound_s: float) -> None:
        """Refute thresholds by what single ranks can hold; small menus only.

        The next threshold is where the ranks needed would be those that there are, if
        they were in proportion to it.
        """
        low, high, params = self._low, upper_bound_s, self._params.pattern_prices
        if high == np.inf:
            high = self._params.hope * low
        step = params.first_pricing
        target = min(high, low * (1.0 + step))
        priced: PricedItems | None = None
        most_work = self._params.most_work
        for _ in range(params.most_pricings):
            if high <= low * (1.0 + self._params.close) or self._is_over():
                break
            if self._pricer.work > most_work:
                break
            menu, rounds = self._refuter.left_of_all(target)
            case = Case(rounds=rounds)
            if not menu.has_empty_bundle:
                priced = self._pricer.price(menu, target, priced, most_work)
                if priced is None:
                    return
                case = Case(rounds=rounds, patterns=(priced.record(),))
            if priced is None or menu.has_empty_bundle or priced.ranks_needed > 1.0:
                low = target
                self._keep(_Proof(target, (case,)))
                self._low = target
                step *= params.step_growth
                target = min(high, (low + high) / 2.0, low * (1.0 + step))
            else:
                high, guess = target, target * priced.ranks_needed
                room = high - low
                least, most = params.least_step * room, params.most_step * room
                target = min(max(low + least, guess), high - most)

    def _keep(self, proof: _Proof) -> None:
        """Keep a proof, and the time that it takes to replay it."""
        self.proof = proof
        if self._early is not None:
            rounds = sum(len(case.rounds) for case in proof.cases)
            self._early.reserve_s = self._round_s * rounds

    def _holds(self, target: float) -> bool:
        value, rounds = self._refuter.refute(target)
        if value > self._low * (1.0 + WORTH_WRITING):
            self._keep(_Proof(target, (Case(rounds=rounds),)))
        self._low = max(self._low, value)
        return value >= target


def _better(
    problem: Problem, relaxed: Relaxed, bound: Bound, proof: _Proof | None
) -> Bound:
    """Replay a proof and keep the better bound."""
    if proof is None:
        return bound
    value = replay(relaxed, proof.cases, proof.threshold)
    if value <= bound.value_s:
        return bound
    certificate = _certificate(problem, proof.threshold, proof.cases)
    return Bound(value, certificate, bound.prices)


def _certificate(
    problem: Problem, threshold: float | None, cases: tuple[Case, ...]
) -> Certificate:
    return Certificate(
        all_tiers=problem.all_tiers,
        num_options=len(problem.options),
        threshold_s=threshold,
        cases=cases,
    )


def _no_prices(relaxed: Relaxed) -> Prices:
    nothing = (0.0,) * relaxed.num_classes
    seconds = ((0.0,) * relaxed.num_dimensions,) * relaxed.num_classes
    return Prices(ranks=seconds, hbm=nothing, ddr=nothing, ssd=nothing)
