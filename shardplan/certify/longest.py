"""The longest item of every table: what the rank that holds it takes at least.

Why it holds; M[p] is that of `verify`. The rank that holds the longest item of bundle
b's option o in phase p bears what all other bundles put on every rank besides, so

    M[p] >= l[o, p] + sum_(b' other than b) e[o', p]

with l the seconds of o's longest item in p, or what o puts on every rank if that is
more, and e what an option puts on every rank: on the class of ranks where that is
least, in each phase by itself, for it may be another rank in each. Prices w[b, p] >= 0
weigh these rows. With X[p] = sum_b w[b, p] their sum is

    sum_p X[p] M[p] >= sum_b sum_p (w[b, p] l[o, p] + (X[p] - w[b, p]) e[o, p])

over the options o that the plan uses: a cost per option, as that of seconds on ranks.

Rounding: prices of others, X[p] - w[b, p], are a difference. Its error is a share of
X[p], and so of w[b, p] l[o, p] + (X[p] - w[b, p]) e[o, p], for l is at least e.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.menus import InvalidCertificateError

if TYPE_CHECKING:
    from shardplan.certify.relaxed import Relaxed
    from shardplan.records.arrays import Floats
    from shardplan.records.certificate import Prices


def longest_cost(relaxed: Relaxed, prices: Prices) -> Floats:
    """Return what each option costs at the prices of longest items (O,) [s]."""
    cost = np.zeros(len(relaxed))
    for phase in sorted({phase for _, phase, _ in prices.longest}):
        own = np.zeros(relaxed.num_bundles)
        for bundle, where, price in prices.longest:
            if where == phase:
                own[bundle] += price
        others = np.maximum(math.fsum(own.tolist()) - own, 0.0)
        unit = np.eye(relaxed.num_dimensions)[phase]
        base = relaxed.base(unit)
        longest = np.maximum(relaxed.peak(unit), base)
        cost += own[relaxed.bundle] * longest + others[relaxed.bundle] * base
    return cost


def spent_on_longest(prices: Prices, phase: int) -> Fraction:
    """Return the exact sum X[p] of a phase's prices of longest items."""
    own = (Fraction(price) for _, where, price in prices.longest if where == phase)
    return sum(own, Fraction(0))


def check_longest(prices: Prices, relaxed: Relaxed, largest: float) -> None:
    """Raise an error if prices of longest items are not legal.

    Parameters
    ----------
    largest : float
        Prices above this could overflow.
    """
    bundles, dimensions = relaxed.num_bundles, relaxed.num_dimensions
    for bundle, phase, price in prices.longest:
        if not (0 <= bundle < bundles and 0 <= phase < dimensions):
            raise InvalidCertificateError(
                "the longest item of a table or a phase that does not exist has a price"
            )
        if not 0.0 <= price <= largest:
            raise InvalidCertificateError("prices must be numbers, none below 0")
