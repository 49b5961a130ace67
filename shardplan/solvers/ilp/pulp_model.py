"""An integer program as a model of PuLP, which writes files and runs CBC.

Only what PuLP 3 and 4 share is used: `add_variable`, `lpSum` and operators.
"""

from __future__ import annotations

import math
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pulp

if TYPE_CHECKING:
    from shardplan.solvers.ilp.program import Program, Row


def pulp_model(program: Program) -> tuple[pulp.LpProblem, list[pulp.LpVariable]]:
    """Make the model, and its variables in the program's order."""
    model = pulp.LpProblem("shardplan", pulp.LpMinimize)
    # PuLP 3 writes variables in order of their names, PuLP 4 in that of their making.
    made = {
        variable.name: model.add_variable(
            variable.name,
            lowBound=variable.lower,
            upBound=variable.upper if variable.upper < math.inf else None,
            cat=pulp.LpInteger if variable.is_integer else pulp.LpContinuous,
        )
        for variable in sorted(program.variables, key=attrgetter("name"))
    }
    variables = [made[variable.name] for variable in program.variables]
    model += pulp.lpSum(f * variables[v.index] for v, f in program.objective)
    for row in program.rows:
        model += _constraint(row, variables), row.name
    return model, variables


def lp_text(program: Program) -> str:
    """Return the program in LP format."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.lp"
        pulp_model(program)[0].writeLP(str(path))
        return path.read_text(encoding="utf-8")


def _constraint(row: Row, variables: list[pulp.LpVariable]) -> Any:
    total = pulp.lpSum(factor * variables[v.index] for v, factor in row.terms)
    if row.lower == row.upper:
        return total == row.upper
    return total <= row.upper if row.upper < math.inf else total >= row.lower
