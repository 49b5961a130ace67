"""One piece per rank: a plan of few tables on many ranks by an integer program.

References
----------
Coffman, Garey, Johnson and Tarjan, Performance bounds for level-oriented
two-dimensional packing algorithms, SIAM Journal on Computing 9 (1980): items side by
side on shelves that are as high as their highest item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.records.sharding import SUMS, Objective
from shardplan.solvers.base import SolverResult, finished
from shardplan.solvers.params import DEFAULTS, SolverParams
from shardplan.solvers.shelf.numbering import number_through
from shardplan.solvers.shelf.program import Aims, ShelfProgram
from shardplan.solvers.shelf.takes import Takes
from shardplan.solvers.shelf.zones import Zones
from shardplan.solvers.tolerances import NO_SECONDS

if TYPE_CHECKING:
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.solvers.base import Observer, Stop
    from shardplan.solvers.shelf.params import ShelfParams


class Shelves:
    """Chooses options as if each rank had one piece of each layer, and the longest.

    Where every piece of a table costs about the same communication, however finely it
    is cut, the number of pieces on the fullest rank decides; means do not show it.

    Parameters
    ----------
    most_s : float
        Only plans below this are looked for [s].

    Notes
    -----
    One layer, where ranks are alike and no two tables share a rank: the plan is the
    best of all in which no rank has two pieces. Pools that ranks share are shared out
    evenly, and places that lie in several zones are not used.
    """

    def __init__(self, most_s: float = np.inf, params: SolverParams = DEFAULTS) -> None:
        self._most_s, self._params = most_s, params.shelf

    def suits(self, problem: Problem) -> bool:
        """Whether tables are few beside ranks, and the program is small."""
        return problem.objective in SUMS and is_little(problem, self._params)

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`; the seed is not used, for nothing here is random."""
        menu = problem.options
        item = menu.item_cost.sum(axis=2).max(axis=1)
        longest = np.maximum.reduceat(item, menu.item_start[:-1])
        # About the value of a plan: the longest piece that some bundle cannot avoid.
        unit_s = float(np.minimum.reduceat(longest, menu.start[:-1]).max())
        is_step = problem.objective is Objective.STEP
        times = problem.num_phases if is_step else 1
        unit_s = max(unit_s, NO_SECONDS)
        aims = Aims(np.ones((1, times)), np.zeros(1), self._most_s, unit_s)
        found = on_shelves(problem, aims, stop, self._params)
        value = np.inf
        if found is not None:
            value = problem.value(found)
            observer.improved(value, 0.0)
        return finished(found, value, 0.0, stop)


def is_little(problem: Problem, params: ShelfParams) -> bool:
    """Whether tables are few beside ranks, and the program is small."""
    is_small = len(problem.options) * params.layers <= params.most_columns
    few = params.tables_per_rank * problem.world_size
    return is_small and problem.num_bundles <= few


def on_shelves(
    problem: Problem, aims: Aims, stop: Stop, params: ShelfParams
) -> Assignment | None:
    """Choose options and count their pieces through.

    Parameters
    ----------
    aims : Aims
        Of the phases; for `max-rank`, of their sum.

    Returns
    -------
    Assignment or None
        One that fits; None if there is none, or none was found before the stop.
    """
    zones = Zones.of(problem)
    takes = Takes.of(problem, zones)
    program = ShelfProgram(problem, zones, takes, params.layers)
    if program.num_columns > params.most_columns:
        return None
    chosen = program.solve(aims, params.gap, stop)
    found = chosen and number_through(problem, zones, takes, *chosen)
    if not found or not problem.loads(found).fits(problem.capacity):
        return None
    return found
