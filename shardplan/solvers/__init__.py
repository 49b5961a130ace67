"""Solvers behind one protocol, chosen by name, and what a solver is written with.

Names are imported from their modules on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.imports import lazily

if TYPE_CHECKING:
    from shardplan.certify.dual import lower_bound as lower_bound
    from shardplan.costs.scopes import Scope as Scope
    from shardplan.problems.loads import Loads as Loads
    from shardplan.problems.options.arrays import Options as Options
    from shardplan.problems.problem import Assignment as Assignment
    from shardplan.problems.problem import Problem as Problem
    from shardplan.problems.problem import build_problem as build_problem
    from shardplan.problems.totals import OptionTotals as OptionTotals
    from shardplan.problems.totals import simple_lower_bound as simple_lower_bound
    from shardplan.records.certificate import Certificate as Certificate
    from shardplan.records.record import Record as Record
    from shardplan.records.sharding import Objective as Objective
    from shardplan.solvers.base import Observer as Observer
    from shardplan.solvers.base import Silent as Silent
    from shardplan.solvers.base import Solver as Solver
    from shardplan.solvers.base import SolverResult as SolverResult
    from shardplan.solvers.base import SolveStatus as SolveStatus
    from shardplan.solvers.base import Stop as Stop
    from shardplan.solvers.base import finished as finished
    from shardplan.solvers.placement import Placer as Placer
    from shardplan.solvers.placement import mean_phase_load as mean_phase_load
    from shardplan.solvers.registry import SOLVERS as SOLVERS
    from shardplan.solvers.registry import load_solver as load_solver
    from shardplan.solvers.registry import solver_names as solver_names

_HOME = {
    "Assignment": "problems.problem",
    "Certificate": "records.certificate",
    "Loads": "problems.loads",
    "Objective": "records.sharding",
    "Observer": "solvers.base",
    "OptionTotals": "problems.totals",
    "Options": "problems.options.arrays",
    "Placer": "solvers.placement",
    "Problem": "problems.problem",
    "Record": "records.record",
    "SOLVERS": "solvers.registry",
    "Scope": "costs.scopes",
    "Silent": "solvers.base",
    "SolveStatus": "solvers.base",
    "Solver": "solvers.base",
    "SolverResult": "solvers.base",
    "Stop": "solvers.base",
    "build_problem": "problems.problem",
    "finished": "solvers.base",
    "load_solver": "solvers.registry",
    "lower_bound": "certify.dual",
    "mean_phase_load": "solvers.placement",
    "simple_lower_bound": "problems.totals",
    "solver_names": "solvers.registry",
}

__all__ = sorted(_HOME)
__getattr__ = lazily(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
