"""Lines of kernels whose pressure a case limits, from below or from above.

Why they hold. A phase of kernels takes as long as its slowest rank: the largest, over
ranks r, of S[r] = sum_k w[k] d[k, r]. Let no rank press more than b on kernel k. Then,
for each slope s >= 1,

    d[k, r]  >=  s d[k, r] - (s - 1) b        on every rank.

Let some rank press more than a on kernel k. Then the phase takes more than w[k] a, and,
for each slope s <= 1,

    max_r S[r]  >=  (1 - s) w[k] a + s max_r S[r].

The second is about the phase as a whole, for it may be another rank that is slowest: it
has one slope, and the floor of one of its kernels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.certify.step.least import Span
    from shardplan.records.arrays import Floats


class KernelLines(NamedTuple):
    """Lines below operations.

    Attributes
    ----------
    slopes : float array (K,)
        Of all operations.
    intercepts : float array (K,)
        Of kernels, 0 of others [s].
    """

    slopes: Floats
    intercepts: Floats


def kernel_lines(
    given: Floats, weights: Floats, spans: Sequence[Span], phases: list[list[int]]
) -> KernelLines:
    """Return the lines of kernels that slopes ask for, as far as they hold.

    Parameters
    ----------
    given : float array (K,)
        Slopes of all operations; those of others are kept.
    weights : float array (K,)
        How often circuits pass each operation.
    spans : sequence of K Span
        Pressures that the case is about.
    phases : list of list of int
        Kernels by phase; each has a weight above 0.
    """
    slopes, intercepts = given.copy(), np.zeros(len(given))
    for phase in phases:
        flat = float(given[phase].min(initial=1.0))
        for k in phase:
            has_most = np.isfinite(spans[k].high)
            steep = max(float(given[k]), 1.0) if has_most else 1.0
            slopes[k] = flat * steep
            if steep > 1.0:
                intercepts[k] = -flat * (steep - 1.0) * spans[k].high
        floors = [weights[k] * spans[k].low for k in phase]
        longest = phase[int(np.argmax(floors))]
        intercepts[longest] += (1.0 - flat) * spans[longest].low
    return KernelLines(slopes, intercepts)
