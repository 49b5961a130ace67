"""Recompute a lower bound from the menu and a certificate; no solver takes part.

Why the bound holds. Take any plan, M[p] the time of its slowest rank in phase p, and
suppose that its value sum_p M[p] is below the threshold T. (For `max-rank` there is a
single "phase": the sum of all.)

(1) *Prices.* Let u[r, p] >= 0 be prices of seconds on ranks, U[p] = sum_r u[r, p], and
v >= 0 prices of bytes in memory pools. M[p] is at least any rank's load, and what the
plan puts into a pool is at most its capacity, so

    sum_p U[p] M[p] >= sum_b (priced cost of b's option) - v . capacity
                    >= sum_b min_o (cost of o on its cheapest classes) - v . capacity.

The rest, sum_p (1 - U[p]) M[p], is at least (1 - U[p]) low[p] for U[p] <= 1 and
(1 - U[p]) high[p] otherwise, if low[p] <= M[p] <= high[p] is known. The sum of both
bounds the value.

(2) *Options.* If the plan uses option o, its cost replaces the minimum over b's
options. Let r be the rank that holds o's largest item. M[p] is at least the load of r,
hence, for U[p] < 1, the rest (1 - U[p]) M[p] is at least (1 - U[p]) times

    o's item + sum_(b other than o's) (what b's option puts on every rank),

or (1 - U[p]) max(low[p], o's item). Where low[p] = 0 the first is used, and the minima
are those of the priced cost plus (1 - U[p]) times what an option puts on every rank. If
this bound reaches T, no plan below T uses o, and o is left out from there on. A bundle
without options is a contradiction. The same minima without an o bound all plans.

(3) *Longest items.* The rank that holds the longest item of a bundle may have a price
besides, one per bundle and phase: see `longest`. U[p] includes them.

(4) *Patterns.* What a rank can hold in less than T may be bounded by prices of single
items: see `patterns`.

(5) *Cases.* Either M[p] <= a: then options with a larger item in p are left out, and
high[p] = a; or M[p] >= a = low[p]. Both bounds hold, or the smaller one does.

So every plan has value >= min(T, the smaller bound of the cases).

Why rounding cannot fake it. All terms of a priced cost are non-negative, so the sum
that floating point gives is within a relative error of (number of operations) x 2^-53
of the exact one, whatever the order of summation. Costs are scaled down and capacities
up by a generous multiple of that error before they are compared; sums over bundles are
correctly rounded (`math.fsum`), and prices are summed exactly, as ratios of integers.
Capacities are widened by the roundoff of a plan's own sums of bytes, too.

References
----------
Geoffrion, Lagrangean relaxation for integer programming, Mathematical Programming
Study 2 (1974). Klein and Scholl, Computing lower bounds by destructive improvement,
European Journal of Operational Research 112 (1999).
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from shardplan.certify.longest import (
    check_longest,
    longest_cost,
    spent_on_longest,
)
from shardplan.certify.menus import InvalidCertificateError, require_menu
from shardplan.certify.patterns import Choices, ItemPrices, PatternSums
from shardplan.certify.relaxed import Relaxed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Floats
    from shardplan.records.certificate import Case, Certificate, PatternPrices, Prices


_ROUNDOFF = 2.0**-52
_OPERATIONS = 64
"""More than the operations behind one priced cost, besides those counted."""
_LARGEST = 1e200
"""Prices above this could overflow."""
_NOTHING = 1e-12
"""A share of a phase that is left over is worth counting only above this."""
_TINY = 1e-250
"""More than all that underflow can lose."""


class Box(NamedTuple):
    """What is known of the slowest rank of each phase, and of the whole value.

    Attributes
    ----------
    low, high : tuple of float
        Least and most seconds per phase [s].
    limit : float
        The value is below this [s].
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    limit: float

    @classmethod
    def whole(cls, dimensions: int, limit: float) -> Self:
        """Nothing is known but the limit."""
        return cls((0.0,) * dimensions, (limit,) * dimensions, limit)

    def below(self, phase: int, at_s: float) -> Box:
        """Return the case of a phase taking at most `at_s`."""
        high = list(self.high)
        high[phase] = min(high[phase], at_s)
        return self._replace(high=tuple(high))

    def above(self, phase: int, at_s: float) -> Box:
        """Return the case of a phase taking at least `at_s`."""
        low = list(self.low)
        low[phase] = max(low[phase], at_s)
        return self._replace(low=tuple(low))


class RoundBound(NamedTuple):
    """What one round proves.

    Attributes
    ----------
    value_s : float
        No plan that is left is faster than this [s].
    given : float array (O,)
        No such plan that uses an option is faster than this [s].
    """

    value_s: float
    given: Floats


class _Open(NamedTuple):
    """A case to come: its menu before its own exclusions, and its parent's bound."""

    menu: Relaxed
    box: Box
    bound: float
    phase: int | None


def verify(problem: Problem, certificate: Certificate) -> float:
    """Return the value that no plan of the menu goes below [s].

    Raises
    ------
    InvalidCertificateError
        If the certificate is for another menu, or its prices are not legal.
    """
    require_menu(problem, certificate)
    threshold = certificate.threshold_s
    limit = math.inf if threshold is None else threshold
    return replay(Relaxed.of(problem), certificate.cases, limit)


def replay(relaxed: Relaxed, cases: Sequence[Case], limit: float) -> float:
    """Go through the cases of a proof: min(limit, least bound of the cases) [s]."""
    dimensions = relaxed.num_dimensions
    waiting = [_Open(relaxed, Box.whole(dimensions, limit), 0.0, None)]
    proven = limit
    for case in cases:
        if not waiting:
            raise InvalidCertificateError("it has more cases than its splits make")
        case_open = waiting.pop()
        for prices in case.rounds:
            check_prices(prices, relaxed)
        for known in case.patterns:
            check_patterns(known, relaxed, limit)
        with np.errstate(all="ignore"):  # what overflows proves nothing
            menu, bound = run_case(case_open, case.rounds)
            if bound < limit and any(is_refuted(menu, p, limit) for p in case.patterns):
                bound = limit
        if case.phase is None:
            proven = min(proven, bound)
            continue
        at_s, box = case.at_s, case_open.box
        if not (0 <= case.phase < dimensions and 0 <= at_s <= _LARGEST):
            raise InvalidCertificateError("a split is by a phase that does not exist")
        waiting.append(_Open(menu, box.above(case.phase, at_s), bound, None))
        waiting.append(_Open(menu, box.below(case.phase, at_s), bound, case.phase))
    if waiting:
        raise InvalidCertificateError("a case of a split is missing")
    return proven


def run_case(case: _Open, rounds: Sequence[Prices]) -> tuple[Relaxed, float]:
    """Apply a case's rounds: the menu that is left, and the bound."""
    box, limit = case.box, case.box.limit
    menu, best = open_menu(case.menu, box, case.phase), case.bound
    for prices in rounds:
        if best >= limit or menu.has_empty_bundle:
            break
        bound = round_bound(menu, prices, box)
        best = max(best, bound.value_s)
        if limit < math.inf:
            menu = menu.select(~(bound.given >= limit))
    return menu, limit if menu.has_empty_bundle else min(best, limit)


def open_menu(relaxed: Relaxed, box: Box, below: int | None) -> Relaxed:
    """Leave out options with items that are too large for a box.

    Parameters
    ----------
    below : int or None
        A phase whose `high` is new.
    """
    if box.limit == math.inf or not len(relaxed):
        return relaxed
    shrink = 1.0 - _margin(relaxed)
    low = np.array(box.low)
    item = relaxed.peak(np.ones(len(low)), low) * shrink
    keep = ~(item + math.fsum(low) * shrink >= box.limit)
    if below is not None:
        unit = np.eye(len(low))[below]
        keep &= ~(relaxed.peak(unit) * shrink > box.high[below])
    return relaxed.select(keep)


def round_bound(relaxed: Relaxed, prices: Prices, box: Box) -> RoundBound:
    """Bound the plans of a menu from below, and those that use each option.

    The prices must have passed `check_prices`, and no bundle be empty.

    Notes
    -----
    value = sum_b min_o (c[o] + e[o]) - v . room + sum_p (1 - U[p]) (low[p] or high[p]),
    with c[o] the priced cost of option o, and e[o] = sum_p (1 - U[p]) (what o puts on
    every rank) over the p with U[p] < 1 and low[p] = 0. In given[o], o's c + e
    replaces the minimum of its bundle, and e is at least i[o] = sum_p (1 - U[p])
    (what o's largest item exceeds low[p] by), over the p with U[p] < 1.
    """
    margin = _margin(relaxed, prices)
    byte_prices = np.array([prices.hbm, prices.ddr, prices.ssd], dtype=np.float64).T
    cost = option_costs(relaxed, prices)
    rest, gain, loss = _left_over(prices, relaxed, box)
    with_base, own = cost, cost
    if box.limit < math.inf and any(rest):
        shares, low = np.array(rest), np.array(box.low)
        item = relaxed.peak(shares, low)
        base = relaxed.base(np.where(low > 0, 0.0, shares))
        with_base, own = cost + base, cost + np.maximum(base, item)
    least = relaxed.least_per_bundle(with_base)
    room = math.fsum((byte_prices * relaxed.room).ravel().tolist())
    if room:
        room *= 1.0 + margin + _own_roundoff(relaxed)
    total = math.fsum(least.tolist())
    value = total * (1.0 - margin) + gain - room - loss - _TINY
    extra = own - np.repeat(least, relaxed.bundle_sizes)
    slack = margin * (total + room + gain + loss + own)
    return RoundBound(_finite(value), value + extra - slack)


def option_costs(relaxed: Relaxed, prices: Prices) -> Floats:
    """Cost of each option at prices on its cheapest classes (O,) [s]."""
    return relaxed.known(price_key(prices), lambda: _priced(relaxed, prices))


def price_key(prices: Prices) -> tuple[object, ...]:
    """Return what is equal for equal prices, and quick to compare."""
    pools = prices.hbm, prices.ddr, prices.ssd
    return prices.ranks, *pools, prices.longest


def _priced(relaxed: Relaxed, prices: Prices) -> Floats:
    seconds = np.array(prices.ranks, dtype=np.float64)
    num_bytes = np.array([prices.hbm, prices.ddr, prices.ssd], dtype=np.float64).T
    cost = relaxed.priced(seconds, num_bytes)
    return cost + longest_cost(relaxed, prices) if prices.longest else cost


def is_refuted(relaxed: Relaxed, prices: PatternPrices, limit: float) -> bool:
    """Whether prices of items show that no plan of a menu is below the limit.

    Notes
    -----
    True if sum_b min_o (priced items of o) > W k + priced DDR and SSD, where k is the
    price of the dearest set of items that a rank can hold; both sides with margins.
    """
    known = _item_prices(relaxed, prices)
    choices = Choices.of(relaxed, limit)
    if choices is None:
        raise InvalidCertificateError(
            "prices of items are for a menu that is too large"
        )
    dearest, _ = choices.dearest(known)
    sums = PatternSums.of(relaxed)
    margin = _margin(relaxed) + _own_roundoff(relaxed)
    needed = math.fsum(relaxed.least_per_bundle(sums.costs(known))) * (1.0 - margin)
    most = dearest * float(relaxed.class_ranks[0]) + math.fsum(known.pools[1:])
    return bool(needed > most * (1.0 + margin))


def check_patterns(prices: PatternPrices, relaxed: Relaxed, limit: float) -> None:
    """Raise an error if prices of items are not legal, or cannot prove anything."""
    if relaxed.num_classes > 1 or limit == math.inf:
        raise InvalidCertificateError("prices of items need one class and a threshold")
    if len(prices.items) != len(prices.prices):
        raise InvalidCertificateError("every item needs one price")
    values = (*prices.prices, prices.hbm, prices.ddr, prices.ssd)
    if not all(0.0 <= price <= _LARGEST for price in values):
        raise InvalidCertificateError("prices must be numbers, none below 0")
    if len(set(prices.items)) < len(prices.items):
        raise InvalidCertificateError("an item is priced twice")


def _item_prices(relaxed: Relaxed, prices: PatternPrices) -> ItemPrices:
    """Prices of the items that are left; the others are free."""
    by_item = dict(zip(prices.items, prices.prices, strict=True))
    items = np.array([by_item.get(int(item), 0.0) for item in relaxed.items.item])
    return ItemPrices(items, np.array([prices.hbm, prices.ddr, prices.ssd]))


def check_prices(prices: Prices, relaxed: Relaxed) -> None:
    """Raise an error if prices have a wrong shape, are negative, or no numbers."""
    classes, dimensions = relaxed.num_classes, relaxed.num_dimensions
    if len(prices.ranks) != classes or any(len(r) != dimensions for r in prices.ranks):
        raise InvalidCertificateError(
            f"prices must be for {classes} classes and {dimensions} phases"
        )
    pools = (prices.hbm, prices.ddr, prices.ssd)
    if any(len(pool) != classes for pool in pools):
        raise InvalidCertificateError(f"pools must have {classes} prices each")
    values = [price for row in (*prices.ranks, *pools) for price in row]
    if not all(0.0 <= price <= _LARGEST for price in values):
        raise InvalidCertificateError("prices must be numbers, none below 0")
    check_longest(prices, relaxed, _LARGEST)


@lru_cache(maxsize=256)
def price_sums(
    prices: tuple[tuple[float, ...], ...], class_ranks: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Exact sum U[p] of the prices of all ranks in each phase: numerator, denominator.

    Denominators of floats are powers of two, so the largest one is a common one.

    Parameters
    ----------
    prices : tuple of tuples of float
        Price of a second per class and phase.
    class_ranks : tuple of int
        Ranks of each class.
    """
    found = []
    for column in zip(*prices, strict=True):
        ratios = [price.as_integer_ratio() for price in column]
        whole = max(below for _, below in ratios)
        parts = zip(class_ranks, ratios, strict=True)
        spent = sum(n * above * (whole // below) for n, (above, below) in parts)
        found.append((spent, whole))
    return tuple(found)


def _left_over(
    prices: Prices, relaxed: Relaxed, box: Box
) -> tuple[list[float], float, float]:
    """Share of each phase that has no price, and what it adds and costs [s]."""
    sums = price_sums(prices.ranks, tuple(relaxed.class_ranks.tolist()))
    rest, gains, losses = [], [], []
    for phase, (spent, whole) in enumerate(sums):
        if prices.longest:
            total = Fraction(spent, whole) + spent_on_longest(prices, phase)
            spent, whole = total.as_integer_ratio()
        share = (whole - spent) / whole
        if spent > whole and box.high[phase] == math.inf:
            raise InvalidCertificateError(
                f"prices of phase {phase} add up to 1 + {-share:.3g}, above 1"
            )
        rest.append(share * (1.0 - 2.0 * _ROUNDOFF) if share > _NOTHING else 0.0)
        gains.append(rest[-1] * box.low[phase])
        if share < 0:
            losses.append(-share * box.high[phase])
    up = 1.0 + 8.0 * _ROUNDOFF
    return rest, math.fsum(gains) / up, math.fsum(losses) * up


def _margin(relaxed: Relaxed, prices: Prices | None = None) -> float:
    """Relative error that no priced cost exceeds."""
    terms = relaxed.num_classes * (relaxed.num_dimensions + 3) + relaxed.most_items
    if prices is not None:
        terms += len(prices.longest)
    return (_OPERATIONS + 8 * terms) * _ROUNDOFF


def _own_roundoff(relaxed: Relaxed) -> float:
    """Relative error of a plan's own sums of bytes: additions x 2^-53, at most."""
    additions = relaxed.most_copies * relaxed.most_items * relaxed.num_bundles
    return _ROUNDOFF * additions


def _finite(value: float) -> float:
    return max(0.0, value) if math.isfinite(value) else 0.0
