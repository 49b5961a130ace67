"""The objective of the integer program, and the unit of its times."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shardplan.solvers.ilp.program import Terms
    from shardplan.solvers.ilp.variables import Variables


def slowest_ranks(variables: Variables) -> Terms:
    """Sum over phases of the slowest rank, or the slowest rank's sum."""
    return [(z, 1.0) for z in variables.slowest]


def time_unit(lower_bound_s: float) -> float:
    """Return the power of ten that makes a bound a number from 1 to 10 [s].

    Tolerances of the solver are absolute, so times must not be tiny numbers.
    """
    if not 0.0 < lower_bound_s < math.inf:
        return 1e-3
    return float(10.0 ** math.floor(math.log10(lower_bound_s)))
