"""Run CBC on an integer program, where it is installed."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pulp

from shardplan.errors import InputError
from shardplan.solvers.base import SolveStatus
from shardplan.solvers.ilp.highs import MipEnd
from shardplan.solvers.ilp.model import IntegerProgram
from shardplan.solvers.ilp.pulp_model import pulp_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shardplan.records.arrays import Floats
    from shardplan.solvers.base import Stop
    from shardplan.solvers.ilp.highs import Improved
    from shardplan.solvers.ilp.program import Program

_COMMANDS = ("COIN_CMD", "PULP_CBC_CMD")
"""PuLP's names for a CBC on the PATH and for the one that some releases bundle."""
_MAX_SEED = 2**31
"""CBC's seeds are below."""
_ENDED = ("Optimal", "GapLimit")
_INFEASIBLE = "Infeasible"


def run(
    program: Program, stop: Stop, seed: int, start: Floats | None, improved: Improved
) -> MipEnd:
    """Solve a program until done or out of time; see `highs.run`.

    Raises
    ------
    InputError
        If CBC is not installed.

    Notes
    -----
    CBC runs as a command: it cannot be asked to stop early and reports no bound
    through PuLP, so a proof is only known when it ended by itself.
    """
    model, variables = pulp_model(program)
    for variable, value in zip(variables, [] if start is None else start, strict=False):
        variable.setInitialValue(float(value), check=False)
    gap = max(stop.gap, program.accuracy)
    limit = stop.remaining_s() if math.isfinite(stop.time_limit_s) else None
    options: dict[str, object] = {
        "msg": False,
        "threads": 1,
        "gapRel": gap,
        "timeLimit": limit,
        "warmStart": start is not None,
        "options": [f"randomCbcSeed {seed % _MAX_SEED}"],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        status, has_values = _ended(model, model.solve(_command(options)))
    if status == _INFEASIBLE:
        return MipEnd(SolveStatus.INFEASIBLE, None, -math.inf)
    values = [variable.varValue or 0.0 for variable in variables]
    found = np.array(values) if has_values else None
    if status not in _ENDED or found is None:
        return MipEnd(SolveStatus.TIME_LIMIT, found, -math.inf)
    objective = sum(factor * found[v.index] for v, factor in program.objective)
    return MipEnd(SolveStatus.OPTIMAL, found, float(objective) / (1.0 + gap))


class CbcProgram(IntegerProgram):
    """The integer program of solver `ilp`, solved by CBC."""

    run = staticmethod(run)


def _command(options: Mapping[str, object]) -> pulp.LpSolver:
    for name in _COMMANDS:
        kind = getattr(pulp, name, None)
        solver = kind(**options) if kind is not None else None
        if solver is not None and solver.available():
            return solver
    rule = "CBC is not installed: pip install 'pulp[cbc]', or use solver ilp"
    raise InputError.single("solver", "name", "cbc", rule)


def _ended(model: pulp.LpProblem, solved: Any) -> tuple[str, bool]:
    """Why CBC stopped, and whether there is a solution.

    PuLP 4 returns both. PuLP 3 returns 1 after a time limit too, so what it says of
    the solution decides.
    """
    if hasattr(solved, "has_solution"):
        return solved.status_str, solved.has_solution
    names = {
        pulp.LpSolutionOptimal: ("Optimal", True),
        pulp.LpSolutionIntegerFeasible: ("TimeLimit", True),
        pulp.LpSolutionInfeasible: (_INFEASIBLE, False),
    }
    return names.get(model.sol_status, ("TimeLimit", False))
