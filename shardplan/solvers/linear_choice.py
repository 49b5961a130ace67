"""Choose options by a linear program, for problems where several tiers are tight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from shardplan.certify.highs import End, Highs
from shardplan.solvers.tolerances import LEAST_NORMAL

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.problems.totals import OptionTotals
    from shardplan.records.arrays import Ints


_OVERFULL = 1e3
"""What a tier that is too full by its own size costs, in the longest options."""


def choose_by_linear_program(
    problem: Problem, totals: OptionTotals, options: Ints, fill: float
) -> Ints | None:
    """Solve the linear relaxation of the choice over a few candidates per bundle.

    Parameters
    ----------
    options : sorted int array
        The candidates, at least one of each bundle.

    Returns
    -------
    int array (B,) or None
        The option with the largest share of each bundle. A vertex has at most as many
        split bundles as there are tiers, so the sums exceed `fill` by a few bundles at
        most; where even the relaxation does not fit, it is the least too full. None if
        HiGHS fails.

    Notes
    -----
    min sum_o seconds_o x_o + 1000 y with sum over a bundle's options of x = 1, total
    bytes per tier at most `fill` + y, x and y >= 0. Without y a program that just does
    not fit ends as "unknown" at times.
    """
    bundle, size = problem.options.table[options], len(options)
    one = csr_array(
        (np.ones(size), (bundle, np.arange(size))),
        shape=(problem.num_bundles, size + 1),
    )
    tiers = totals.tier_bytes[options].T
    overfull = np.full((len(tiers), 1), -1.0)
    scale = max(float(totals.seconds[options].max()), LEAST_NORMAL)
    cost = np.r_[totals.seconds[options] / scale, _OVERFULL]
    model = Highs("the choice of options", cost, 0.0, np.inf, solver="simplex")
    model.add_rows(-np.inf, fill, csr_array(np.hstack([tiers, overfull])))
    model.add_rows(1.0, 1.0, one)
    if model.run() is not End.OPTIMAL:
        return None
    order = np.lexsort((options, -model.values[:size], bundle))
    first = np.unique(bundle[order], return_index=True)[1]
    return np.asarray(options[order[first]])
