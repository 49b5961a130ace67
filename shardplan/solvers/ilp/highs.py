"""Run HiGHS on an integer program: options, warm start, status and bound."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.highs import End, Highs
from shardplan.solvers.base import SolveStatus
from shardplan.solvers.tolerances import ABSOLUTE_GAP, FEASIBILITY_TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.records.arrays import Floats
    from shardplan.solvers.base import Stop
    from shardplan.solvers.ilp.program import Program

    Improved = Callable[[float, float], None]

_MAX_SEED = 2**31
"""HiGHS's seeds are below."""
_STATUS = {
    End.OPTIMAL: SolveStatus.OPTIMAL,
    End.INFEASIBLE: SolveStatus.INFEASIBLE,
    End.TIME_LIMIT: SolveStatus.TIME_LIMIT,
    End.INTERRUPTED: SolveStatus.FEASIBLE,
    End.FAILED: SolveStatus.NOT_FOUND,
}


@dataclass(frozen=True, eq=False)
class MipEnd:
    """How a MIP solver ended.

    Attributes
    ----------
    status : SolveStatus
        `OPTIMAL`: ended by itself, within the gap asked for.
    values : float array or None
        A feasible solution, by index of the variables.
    bound : float
        Lower bound in the program's unit; -inf if there is none.
    """

    status: SolveStatus
    values: Floats | None
    bound: float


NOTHING = MipEnd(SolveStatus.NOT_FOUND, None, -math.inf)


def run(
    program: Program, stop: Stop, seed: int, start: Floats | None, improved: Improved
) -> MipEnd:
    """Solve a program until done or `stop` says so.

    Parameters
    ----------
    start : float array, optional
        A feasible solution to begin with, by index of the variables.
    improved : function of objective and bound
        Is called with every better solution.
    """
    model = _model(program, max(stop.gap, program.accuracy), seed)
    if start is not None:
        model.start_from(start)
    end = model.run(
        time_limit_s=stop.remaining_s(),
        is_over=lambda: stop.is_ended,
        improved=improved,
    )
    if end is End.FAILED:
        return NOTHING
    values = model.values if model.has_values else None
    return MipEnd(_STATUS[end], values, model.lower_bound)


def _model(program: Program, gap: float, seed: int) -> Highs:
    cost = np.zeros(len(program.variables))
    for variable, factor in program.objective:
        cost[variable.index] += factor
    model = Highs(
        "the integer program",
        cost,
        [variable.lower for variable in program.variables],
        [variable.upper for variable in program.variables],
        integer=[variable.is_integer for variable in program.variables],
        mip_rel_gap=gap,
        mip_abs_gap=ABSOLUTE_GAP,
        mip_detect_symmetry=False,
        random_seed=seed % _MAX_SEED,
        primal_feasibility_tolerance=FEASIBILITY_TOLERANCE,
        mip_feasibility_tolerance=FEASIBILITY_TOLERANCE,
    )
    model.add_rows(
        [row.lower for row in program.rows],
        [row.upper for row in program.rows],
        program.matrix(),
    )
    return model
