"""Run HiGHS on a PuLP model: options, warm start, interruption, status and bound."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import highspy
import pulp

from shardplan.solvers.base import SolveStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shardplan.solvers.base import Stop

    Improved = Callable[[float, float], None]

FEASIBILITY_TOLERANCE = 1e-9
"""What a row or an integer may be off; HiGHS's own default is 1e-6."""
_ABSOLUTE_GAP = 1e-7
_MAX_SEED = 2**31
_Status = highspy.HighsModelStatus
_Callback = highspy.cb.HighsCallbackType
_STATUS = {
    _Status.kOptimal: SolveStatus.OPTIMAL,
    _Status.kInfeasible: SolveStatus.INFEASIBLE,
    _Status.kUnboundedOrInfeasible: SolveStatus.INFEASIBLE,
    _Status.kTimeLimit: SolveStatus.TIME_LIMIT,
    _Status.kInterrupt: SolveStatus.FEASIBLE,
}
"""All others (errors, memory and iteration limits) prove nothing: not found."""


@dataclass(frozen=True)
class Outcome:
    """How HiGHS ended.

    Attributes
    ----------
    status : SolveStatus
        `OPTIMAL`: ended by itself, within the gap asked for.
    has_values : bool
        The variables of the model hold a feasible solution.
    bound : float
        Lower bound in the model's unit; -inf if there is none.
    gap : float
        Relative gap that HiGHS reports; inf without a solution.
    """

    status: SolveStatus
    has_values: bool
    bound: float
    gap: float


def run(
    model: pulp.LpProblem,
    stop: Stop,
    seed: int,
    start: Mapping[str, float] | None,
    improved: Improved,
) -> Outcome:
    """Solve a model until done or `stop` says so.

    Parameters
    ----------
    start : mapping of variable name to value, or None
        A feasible solution to begin with; missing variables are 0.
    improved : function of objective and bound
        Is called with every better solution.

    Notes
    -----
    `pulp.HiGHS` accepts ``warmStart`` without using it, so its parts are called one
    by one and the start is handed to HiGHS in between. PuLP's status is not used:
    it says "Optimal" after a time limit.
    """
    solver = pulp.HiGHS(
        msg=False,
        gapRel=stop.gap,
        gapAbs=_ABSOLUTE_GAP,
        threads=1,
        callbackTuple=(_callback(stop, improved), None),
        callbacksToActivate=[
            _Callback.kCallbackMipInterrupt,
            _Callback.kCallbackSimplexInterrupt,
            _Callback.kCallbackMipImprovingSolution,
        ],
        random_seed=seed % _MAX_SEED,
        primal_feasibility_tolerance=FEASIBILITY_TOLERANCE,
        mip_feasibility_tolerance=FEASIBILITY_TOLERANCE,
    )
    solver.createAndConfigureSolver(model)
    solver.buildSolverModel(model)
    highs = model.solverModel
    if start is not None:
        highs.setSolution(_solution(model, start))
    if math.isfinite(stop.time_limit_s):
        highs.setOptionValue("time_limit", stop.remaining_s())
    solver.callSolver(model)
    return _outcome(solver, model)


def _outcome(solver: pulp.HiGHS, model: pulp.LpProblem) -> Outcome:
    highs = model.solverModel
    info = highs.getInfo()
    feasible = highspy.SolutionStatus.kSolutionStatusFeasible
    has_values = info.primal_solution_status == feasible
    if has_values:
        solver.findSolutionValues(model)
    return Outcome(
        status=_STATUS.get(highs.getModelStatus(), SolveStatus.NOT_FOUND),
        has_values=has_values,
        bound=float(info.mip_dual_bound),
        gap=float(info.mip_gap),
    )


def _solution(model: pulp.LpProblem, start: Mapping[str, float]) -> Any:
    solution = highspy.HighsSolution()
    solution.col_value = [start.get(v.name, 0.0) for v in model.variables()]
    solution.value_valid = True
    return solution


def _callback(stop: Stop, improved: Improved) -> Callable[..., None]:
    """Make HiGHS's callback: it reports improvements and asks whether to go on."""

    def callback(kind: int, message: str, out: Any, into: Any, data: object) -> None:
        if kind == int(_Callback.kCallbackMipImprovingSolution):
            improved(out.objective_function_value, out.mip_dual_bound)
        else:
            into.user_interrupt = stop.requested

    return callback
