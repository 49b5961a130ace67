"""Run CBC on a PuLP model, where it is installed."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import pulp

from shardplan.errors import InputError
from shardplan.solvers.base import SolveStatus
from shardplan.solvers.ilp.highs import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shardplan.solvers.base import Stop
    from shardplan.solvers.ilp.highs import Improved

_COMMANDS = ("COIN_CMD", "PULP_CBC_CMD")
"""PuLP's names for a CBC on the PATH and for the one that some releases bundle."""
_MAX_SEED = 2**31


def run(
    model: pulp.LpProblem,
    stop: Stop,
    seed: int,
    start: Mapping[str, float] | None,
    improved: Improved,
) -> Outcome:
    """Solve a model until done or out of time; see `highs.run`.

    Raises
    ------
    InputError
        If CBC is not installed.

    Notes
    -----
    CBC runs as a command: it cannot be asked to stop early and reports no bound
    through PuLP, so a proof is only known when it ended by itself.
    """
    for variable in model.variables() if start is not None else []:
        variable.setInitialValue((start or {}).get(variable.name, 0.0), check=False)
    limit = stop.remaining_s() if math.isfinite(stop.time_limit_s) else None
    options: dict[str, object] = {
        "msg": False,
        "threads": 1,
        "gapRel": stop.gap,
        "timeLimit": limit,
        "warmStart": start is not None,
        "options": [f"randomCbcSeed {seed % _MAX_SEED}"],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        model.solve(_command(options))
    return _outcome(model, stop)


def _command(options: Mapping[str, object]) -> pulp.LpSolver:
    for name in _COMMANDS:
        kind = getattr(pulp, name, None)
        solver = kind(**options) if kind is not None else None
        if solver is not None and solver.available():
            return solver
    raise InputError.single(
        "solver", "name", "cbc", "CBC is not installed; install it, or use solver ilp"
    )


def _outcome(model: pulp.LpProblem, stop: Stop) -> Outcome:
    if model.sol_status == pulp.LpSolutionInfeasible:
        return Outcome(SolveStatus.INFEASIBLE, False, -math.inf, math.inf)
    has_values = model.sol_status in (
        pulp.LpSolutionOptimal,
        pulp.LpSolutionIntegerFeasible,
    )
    if model.sol_status != pulp.LpSolutionOptimal:
        return Outcome(SolveStatus.TIME_LIMIT, has_values, -math.inf, math.inf)
    bound = pulp.value(model.objective) / (1.0 + stop.gap)
    return Outcome(SolveStatus.OPTIMAL, True, bound, stop.gap)
