"""What a solver of a plug-in must keep to, checked before and after it runs."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

from shardplan.errors import InputError
from shardplan.problems import legality
from shardplan.problems.problem import Assignment
from shardplan.records.certificate import Certificate
from shardplan.records.record import Record
from shardplan.solvers.base import SolverResult, SolveStatus
from shardplan.solvers.params import SolverParams
from shardplan.solvers.tolerances import CLOSED, OWN_BOUND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.io.plugins import Plugin
    from shardplan.problems.problem import Problem
    from shardplan.solvers.base import Observer, Solver, Stop

_HAVE_PLANS = (SolveStatus.OPTIMAL, SolveStatus.FEASIBLE, SolveStatus.TIME_LIMIT)


class PluginSolver:
    """The solver of a plug-in, with what it returns checked."""

    def __init__(self, plugin: Plugin, solver: Any) -> None:
        self.plugin = plugin
        self._solver = solver

    @classmethod
    def made(cls, plugin: Plugin, make: Any, params: SolverParams) -> Self:
        """Make the solver of a plug-in.

        Parameters
        ----------
        make : class, or another callable
            Is called with ``params`` if it has a record `Params`, else with nothing.
        params : SolverParams
            Those of the section of the plug-in's name are handed over.

        Raises
        ------
        PluginError
            If that is not possible, or what is made cannot be called as a `Solver` is.
        """
        kind = getattr(make, "Params", None)
        given = {}
        plugin.require_call(make, plugin.place, (), () if kind is None else ("params",))
        if kind is not None:
            given["params"] = _own_params(plugin, kind, params)
        with plugin.blamed("making the solver"):
            solver = make(**given)
        call = getattr(solver, "solve", None)
        what = f"the method `solve` of its {type(solver).__name__}"
        plugin.require_call(call, what, ("problem", "stop", "seed", "observer"))
        return cls(plugin, solver)

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`.

        Raises
        ------
        InputError
            What the plug-in says of problems that it does not solve.
        PluginError
            If it raises anything else, or returns what is wrong.
        """
        with self.plugin.blamed("`solve`", let=(InputError,)):
            result: SolverResult = self._solver.solve(problem, stop, seed, observer)
        faults = result_faults(problem, result)
        if faults:
            raise self.plugin.error(*faults)
        return result


def _own_params(plugin: Plugin, kind: Any, params: SolverParams) -> Record:
    """Return the section of a plug-in, or its defaults."""
    if not (isinstance(kind, type) and issubclass(kind, Record)):
        name = getattr(kind, "__name__", type(kind).__name__)
        raise plugin.error(f"its `Params` is {name}, must extend `Record`")
    if plugin.name in SolverParams.model_fields:
        rule = "its name is a section of built-in parameters, so its own have none"
        raise plugin.error(f"{rule}: rename it")
    with plugin.blamed("making its `Params`"):
        own = getattr(params, plugin.name, None)
        return own if isinstance(own, kind) else kind()


def at_fault(solver: Solver, *faults: str) -> Exception:
    """Make the error for results that turned out to be wrong: a bug if one of ours."""
    if isinstance(solver, PluginSolver):
        return solver.plugin.error(*faults)
    return AssertionError(f"{type(solver).__name__}: {'; '.join(faults)}")


def result_faults(problem: Problem, result: object) -> list[str]:
    """Say what is wrong with the result of a solver, as far as that needs no plan."""
    if not isinstance(result, SolverResult):
        return [
            f"`solve` returned {_kind(result)}, must return a SolverResult: end it "
            "with `return finished(assignment, value, lower_bound_s, stop)`"
        ]
    found = [*_type_faults(result)]
    if found or result.assignment is None:
        return found
    found = legality.faults(problem, result.assignment)
    return found or [*_value_faults(problem.value(result.assignment), result)]


def _type_faults(result: SolverResult) -> Iterator[str]:
    bound, status, assignment = result.lower_bound_s, result.status, result.assignment
    if not isinstance(bound, Real) or not 0.0 <= float(bound) < math.inf:
        rule = "must be a finite number of at least 0, and 0 if nothing is known"
        yield f"its lower_bound_s = {bound!r} {rule}"
    if not isinstance(result.certificate, Certificate | None):
        yield f"its certificate is {_kind(result.certificate)}, not a Certificate"
    if not isinstance(status, SolveStatus):
        yield f"its status = {status!r} must be a SolveStatus"
    elif assignment is None and status in _HAVE_PLANS:
        yield f"its status is {status.value}, but its assignment is None"
    elif assignment is not None and status not in _HAVE_PLANS:
        yield f"its status is {status.value}, but it has an assignment"
    if not isinstance(assignment, Assignment | None):
        yield f"its assignment is {_kind(assignment)}, must be an Assignment or None"


def _value_faults(value: float, result: SolverResult) -> Iterator[str]:
    bound = float(result.lower_bound_s)
    own = f"its plan takes {value:.6g} s, its lower_bound_s is {bound:.6g}"
    if not math.isfinite(value):
        yield f"its plan takes {value} s: `solve` must not change the problem"
    elif bound > value * (1.0 + OWN_BOUND):
        yield f"{own}: a bound must hold for every assignment, also for its own"
    elif result.status is SolveStatus.OPTIMAL and value > bound * (1.0 + CLOSED):
        yield (
            f"its status is optimal, but {own}: return the bound that shows it, "
            "or status feasible, as `finished` does"
        )


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
