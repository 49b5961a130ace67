"""Recompute a lower bound from the menu and a certificate; no solver takes part.

Why the bound holds. Take any plan and suppose it is faster than the threshold T.
(1) *Prices.* Let u[r, p] >= 0 be prices of seconds, w[b, p] >= 0 of the largest item
of bundle b, with sum_r u[r, p] + sum_b w[b, p] <= 1 in every phase p, and v >= 0 of
bytes in memory pools. The slowest rank of phase p has at least the load of any rank
and of any item, so the plan's value is at least the sum of these, priced; and as it
fits into every pool, the priced bytes it uses are at most the priced capacity. So

    value >= sum_b (priced cost of b's option) - v . capacity
          >= sum_b min_o (priced cost of o on its cheapest classes) - v . capacity.

For `max-rank` the same holds with one "phase", the sum of all.
(2) *Items.* Whatever share 1 - sum u - sum w of a phase the prices leave over is free
to be put on the largest item of one option o, which gives a bound for all plans that
use o. If this reaches T, no plan faster than T uses o, and o is left out of the minima
of the following rounds; a bundle without options is a contradiction. So every plan
has value >= min(T, bound of any round).

Why rounding cannot fake it. All terms of a priced cost are non-negative, so the sum
that floating point gives is within a relative error of (number of operations) x 2^-53
of the exact one, whatever the order of summation. Costs are scaled down and capacities
up by a generous multiple of that error before they are compared; sums over bundles are
correctly rounded (`math.fsum`), and prices are summed as fractions. Capacities are
widened by the same margin, since a plan's own bytes are summed in floating point, too.

References
----------
Geoffrion, Lagrangean relaxation for integer programming, Mathematical Programming
Study 2 (1974). Klein and Scholl, Computing lower bounds by destructive improvement,
European Journal of Operational Research 112 (1999).
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.certify.relaxed import Relaxed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from shardplan.certificate import Certificate, Prices
    from shardplan.problem import Problem

    Floats = NDArray[np.float64]

_ROUNDOFF = 2.0**-52
_OPERATIONS = 64
"""More than the operations behind one priced cost, besides those counted."""
_LARGEST = 1e200
"""Prices above this could overflow."""
_TINY = 1e-250
"""More than all that underflow can lose."""


class InvalidCertificateError(ValueError):
    """A certificate that proves nothing; the message says why."""


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


def verify(problem: Problem, certificate: Certificate) -> float:
    """Return the value that no plan of the menu goes below [s].

    Raises
    ------
    InvalidCertificateError
        If the certificate is for another menu, or its prices are not legal.
    """
    if certificate.num_options != len(problem.options):
        raise InvalidCertificateError(
            f"it is for a menu of {certificate.num_options} options, but the menu has "
            f"{len(problem.options)}"
        )
    if certificate.all_tiers != problem.all_tiers:
        raise InvalidCertificateError("it is for a menu of other memory tiers")
    threshold = certificate.threshold_s
    limit = math.inf if threshold is None else threshold
    if not limit > 0:
        raise InvalidCertificateError(f"threshold_s must be > 0, got {threshold!r}")
    if not certificate.rounds:
        raise InvalidCertificateError("it has no prices")
    return replay(Relaxed.of(problem), certificate.rounds, limit)


def replay(relaxed: Relaxed, rounds: Iterable[Prices], limit: float) -> float:
    """Run the rounds of a proof: min(limit, best bound) [s]."""
    rounds = tuple(rounds)
    for prices in rounds:
        check_prices(prices, relaxed)
    menu, best = without_large_items(relaxed, limit), 0.0
    for number, prices in enumerate(rounds):
        if menu.has_empty_bundle:
            return limit
        bound = round_bound(menu, prices)
        best = max(best, bound.value_s)
        if best >= limit:
            return limit
        if number + 1 < len(rounds):
            menu = menu.select(~(bound.given >= limit))
    return limit if menu.has_empty_bundle else best


def without_large_items(relaxed: Relaxed, limit: float) -> Relaxed:
    """Leave out options with an item that alone takes `limit` or longer."""
    if limit == math.inf or not len(relaxed):
        return relaxed
    item = relaxed.peak(np.ones(relaxed.num_dimensions))
    return relaxed.select(~(item * (1.0 - _margin(relaxed)) >= limit))


def round_bound(relaxed: Relaxed, prices: Prices) -> RoundBound:
    """Bound the plans of a menu from below, and those that use each option.

    The prices must be legal (`check_prices`) and no bundle empty.

    Notes
    -----
    value = sum_b min_o c[o] - v . room, with c[o] the priced cost of option o and
    its bundle's priced peak; given[o] = value - min c + c[o] + the peak of o at the
    share of each phase that the prices leave over.
    """
    margin = _margin(relaxed)
    rank_prices = np.array(prices.ranks, dtype=np.float64)
    byte_prices = np.array([prices.hbm, prices.ddr, prices.ssd], dtype=np.float64).T
    cost = relaxed.priced(rank_prices, byte_prices)
    for peak in prices.peaks:
        some = relaxed.options_of(peak.bundle)
        cost[some] += relaxed.peak(np.array(peak.phases), some)
    least = relaxed.least_per_bundle(cost)
    room = math.fsum((byte_prices * relaxed.room).ravel())
    if room:
        room *= 1.0 + margin + _own_roundoff(relaxed)
    total = math.fsum(least)
    value = total * (1.0 - margin) - room - _TINY
    extra = cost - np.repeat(least, np.diff(relaxed.start))
    rest = _left_over(prices, relaxed)
    item = relaxed.peak(rest) if rest.any() else np.zeros(len(cost))
    slack = margin * (total + room + cost + item)
    return RoundBound(_finite(value), value + extra + item - slack)


def check_prices(prices: Prices, relaxed: Relaxed) -> None:
    """Raise an error if prices have a wrong shape, are negative or sum above 1."""
    classes, dimensions = relaxed.num_classes, relaxed.num_dimensions
    rows = [*prices.ranks, *(peak.phases for peak in prices.peaks)]
    if len(prices.ranks) != classes or any(len(row) != dimensions for row in rows):
        raise InvalidCertificateError(
            f"prices must be for {classes} classes and {dimensions} phases"
        )
    pools = (prices.hbm, prices.ddr, prices.ssd)
    if any(len(pool) != classes for pool in pools):
        raise InvalidCertificateError(f"pools must have {classes} prices each")
    values = [price for row in (*rows, *pools) for price in row]
    if not all(0.0 <= price <= _LARGEST for price in values):
        raise InvalidCertificateError("prices must be numbers, none below 0")
    bundles = [peak.bundle for peak in prices.peaks]
    if len(set(bundles)) < len(bundles):
        raise InvalidCertificateError("a bundle's largest item is priced twice")
    if not all(0 <= bundle < relaxed.num_bundles for bundle in bundles):
        raise InvalidCertificateError("prices are for a bundle that does not exist")
    for phase, total in enumerate(_price_sums(prices, relaxed)):
        if total > 1:
            raise InvalidCertificateError(
                f"prices of phase {phase} add up to 1 + {float(total - 1):.3g}, above 1"
            )


def _price_sums(prices: Prices, relaxed: Relaxed) -> list[Fraction]:
    """Exact sum of all prices in each phase."""
    weights = [int(count) for count in relaxed.class_ranks]
    rows = [*zip(weights, prices.ranks, strict=True)]
    rows += [(1, peak.phases) for peak in prices.peaks]
    return [
        sum((n * Fraction(row[d]) for n, row in rows), Fraction(0))
        for d in range(relaxed.num_dimensions)
    ]


def _left_over(prices: Prices, relaxed: Relaxed) -> Floats:
    """Share of each phase without a price, rounded down."""
    shares = [float(1 - total) for total in _price_sums(prices, relaxed)]
    return np.array([max(0.0, share * (1.0 - 2.0 * _ROUNDOFF)) for share in shares])


def _margin(relaxed: Relaxed) -> float:
    """Relative error that no priced cost exceeds."""
    most_items = int(np.diff(relaxed.item_start).max(initial=1))
    terms = relaxed.num_classes * (relaxed.num_dimensions + 3) + most_items
    return (_OPERATIONS + 8 * terms) * _ROUNDOFF


def _own_roundoff(relaxed: Relaxed) -> float:
    """Relative error of a plan's own sums of bytes: additions x 2^-53, at most."""
    copies = np.maximum.reduceat(relaxed.times, relaxed.item_start[:-1])
    sizes = np.diff(relaxed.item_start)
    return float(_ROUNDOFF * (copies * sizes).max() * relaxed.num_bundles)


def _finite(value: float) -> float:
    return max(0.0, value) if math.isfinite(value) else 0.0
