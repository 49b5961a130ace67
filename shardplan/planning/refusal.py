"""What to say where there is no plan: why not, by how much, and what would help."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify import highs
from shardplan.certify.infeasible import memory_proofs
from shardplan.errors import InfeasibleError, LimitError, ShardplanError
from shardplan.planning.diagnosis import crowded
from shardplan.planning.relaxations import relaxations
from shardplan.solvers.base import Silent, SolveStatus, Stop
from shardplan.solvers.contract import PluginSolver
from shardplan.solvers.registry import load_solver
from shardplan.units import format_bytes_both

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.errors import Shortfall
    from shardplan.problems.problem import Problem
    from shardplan.records.inputs import Inputs
    from shardplan.solvers.base import Solver, SolverResult

_ADVICE_OPTIONS = 500_000
"""Larger menus get no advice: trying a single change would take too long."""
_LOG = logging.getLogger(__name__)
_wanted: ContextVar[bool] = ContextVar("wanted", default=True)


@contextmanager
def no_advice() -> Iterator[None]:
    """Within it, nobody asks what would help: trying costs more than a small plan."""
    token = _wanted.set(False)
    try:
        yield
    finally:
        _wanted.reset(token)


def no_plan(
    problem: Problem, result: SolverResult, stop: Stop, solver: Solver
) -> InfeasibleError | LimitError:
    """Make the error for a search without a plan: proven, out of time, or neither."""
    shortfalls = memory_proofs(problem)
    if shortfalls:
        return InfeasibleError(
            "\n".join(f"infeasible: {_explain(s)}" for s in shortfalls),
            shortfalls,
            proven=True,
        )
    reason = crowded(problem)
    if reason is not None:
        return InfeasibleError(f"infeasible: {reason}", proven=True)
    if result.status is SolveStatus.INFEASIBLE:
        if isinstance(solver, PluginSolver):
            claim = f"{solver.plugin} says that none exists, without proof"
            return InfeasibleError(f"no plan found: {claim}", proven=False)
        return InfeasibleError(
            "infeasible: the exact solver proved that no plan exists", proven=True
        )
    if stop.now():
        return stopped(stop)
    return InfeasibleError(
        "no plan found, though the memory suffices in total: tables may be too large "
        "for single ranks; allow row_wise sharding or more tiers, try another solver, "
        "or use more hosts",
        proven=False,
    )


def advised(
    error: InfeasibleError | LimitError,
    problem: Problem,
    inputs: Inputs,
    stop: Stop,
) -> InfeasibleError | LimitError:
    """Add the smallest changes that would help, as far as little work finds them."""
    if isinstance(error, LimitError) or not _wanted.get():
        return error
    if len(problem.options) > _ADVICE_OPTIONS:
        return error
    greedy = load_solver("greedy")

    def attempt(changed: Problem) -> bool:
        # At this gap the first plan will do.
        any_plan = Stop(gap=float("inf"))
        return greedy.solve(changed, any_plan, 0, Silent()).assignment is not None

    has_options = bool(np.diff(problem.options.start).all())
    if not error.proven and has_options and attempt(problem):
        return InfeasibleError(
            f"{error}\nsolver greedy finds a plan for the same inputs: the solver, or "
            "its parameters, are at fault, and not the memory",
            error.shortfalls,
            proven=error.proven,
        )
    try:
        found = [r.text for r in relaxations(inputs, problem.target, attempt, stop)]
    except Exception:
        # The finding stands, whatever goes wrong with the advice on it.
        _LOG.exception("no advice")
        found = []
    if not found:
        return error
    return InfeasibleError(
        f"{error}\nany one of these would do: {'; '.join(found)}",
        error.shortfalls,
        proven=error.proven,
        relaxations=found,
    )


def stopped(stop: Stop) -> LimitError:
    """Make the error for a search that was asked to stop or met a limit."""
    if stop.requested:
        return LimitError("stopped before there was a plan", interrupted=True)
    if stop.work >= stop.work_limit:
        return LimitError(
            f"no plan found within {stop.work_limit:,.0f} evaluated moves: "
            "raise --work-limit"
        )
    return LimitError(
        f"no plan found within {stop.elapsed_s():.1f} s: raise --time-limit"
    )


def require_time(stop: Stop) -> None:
    """Raise the error of `stopped` if it is too late even for a first plan."""
    if stop.requested or stop.is_overdue():
        raise stopped(stop)


@contextmanager
def solver_failures() -> Iterator[list[str]]:
    """Collect failures of HiGHS, and put them into an error that leaves the block."""
    with highs.failures() as texts:
        try:
            yield texts
        except ShardplanError as error:
            error.warnings = tuple(texts)
            raise


def _explain(shortfall: Shortfall) -> str:
    short = shortfall.needed_bytes - shortfall.available_bytes
    return (
        f"{shortfall.tier.upper()} short by {format_bytes_both(short)}: tables need at "
        f"least {format_bytes_both(shortfall.needed_bytes)} there, "
        f"{format_bytes_both(shortfall.available_bytes)} are usable; largest tables: "
        f"{', '.join(shortfall.tables)}"
    )
