"""What a solver is, what it returns, and when it stops."""

from __future__ import annotations

import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from numbers import Real
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from shardplan.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.certificate import Certificate

GAP_TOLERANCE = 1e-9
"""Two values this close, relatively, are equal: a proof of optimality."""


class SolveStatus(StrEnum):
    """How a solve ended; plans have one of the first three."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    TIME_LIMIT = "time_limit"
    INFEASIBLE = "infeasible"
    NOT_FOUND = "not_found"


@dataclass(frozen=True, eq=False)
class SolverResult:
    """What a solver found.

    Attributes
    ----------
    assignment : Assignment or None
        The best one found.
    lower_bound_s : float
        A value that no assignment goes below [s]; 0 proves nothing.
    status : SolveStatus
        `INFEASIBLE` only with a proof; `NOT_FOUND` otherwise.
    certificate : Certificate or None
        Proves a lower bound; without one, the planner looks for its own.
    seen : tuple of Assignment
        Others that fit, the one that the search began with first: one of them may have
        a shorter step.
    """

    assignment: Assignment | None
    lower_bound_s: float
    status: SolveStatus
    certificate: Certificate | None = None
    seen: tuple[Assignment, ...] = ()


class Observer(Protocol):
    """Is told about progress; must not change anything."""

    def improved(self, objective_s: float, lower_bound_s: float) -> None:
        """Take note of a better plan or bound; inf and 0 mean none yet."""


class Silent:
    """The observer that ignores everything."""

    def improved(self, objective_s: float, lower_bound_s: float) -> None:
        """Ignore an improvement."""


@dataclass
class Stop:
    """When to stop: a deadline, a gap, a budget of work, or a request such as Ctrl-C.

    Attributes
    ----------
    time_limit_s : float
        Seconds from now on; infinite for none.
    gap : float
        Stop when objective / bound - 1 is at most this.
    requested : bool
        Set from outside to end the search at the next check.
    is_enough : bool
        Set from outside, where others search or prove as well, to end this search: all
        have reached the gap together, or the time is needed for what they did not do.
    work_limit : float
        Evaluated moves (places, exchanges and re-cuts) from now on; unlike a time
        limit the same on every machine; infinite for none.
    work : float
        Moves evaluated so far; solvers add to it.
    last_s : float
        Seconds from now on after which even a first plan comes too late.
    clock : callable
        Returns seconds; `time.process_time` counts those of this process only, for
        comparisons on a machine that others use, too.

    Raises
    ------
    InputError
        For a limit or gap that is no number of at least 0.
    """

    time_limit_s: float = float("inf")
    gap: float = 0.0
    requested: bool = False
    work_limit: float = float("inf")
    work: float = 0.0
    last_s: float = float("inf")
    clock: Callable[[], float] = time.monotonic
    is_enough: bool = field(default=False, init=False)
    _start: float = field(init=False)

    def __post_init__(self) -> None:
        """Refuse what would end no search, or all of them."""
        for name in ("time_limit_s", "work_limit", "gap"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not float(value) >= 0:
                rule = "must be a number of at least 0"
                raise InputError.single("solve", name, value, rule)
        self._start = self.clock()

    def elapsed_s(self) -> float:
        """Seconds since the search began."""
        return self.clock() - self._start

    def remaining_s(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self.time_limit_s - self.elapsed_s())

    @contextmanager
    def sooner(self, seconds: float) -> Iterator[None]:
        """Within the block, stop after so many seconds at the latest."""
        limit = self.time_limit_s
        self.time_limit_s = min(limit, self.elapsed_s() + seconds)
        try:
            yield
        finally:
            self.time_limit_s = limit

    @contextmanager
    def beyond_work(self) -> Iterator[None]:
        """Within the block, work stops nothing: it has a budget of its own."""
        limit = self.work_limit
        self.work_limit = float("inf")
        try:
            yield
        finally:
            self.work_limit = limit

    @contextmanager
    def with_work(self, moves: float) -> Iterator[None]:
        """Within the block, as much work as this may be done from now on."""
        limit = self.work_limit
        self.work_limit = self.work + moves
        try:
            yield
        finally:
            self.work_limit = limit

    @property
    def spent(self) -> float:
        """What is limited: work since the search began, or else seconds."""
        return self.work if self.is_by_work else self.elapsed_s()

    @property
    def left(self) -> float:
        """What is left of the same; infinite if nothing is limited."""
        if self.is_by_work:
            return max(0.0, self.work_limit - self.work)
        return self.remaining_s()

    @property
    def is_endless(self) -> bool:
        """Whether there is no time limit."""
        return self.time_limit_s == float("inf")

    @property
    def is_by_work(self) -> bool:
        """Whether work is limited: the clock must then not decide what is found."""
        return self.work_limit < float("inf")

    @property
    def is_ended(self) -> bool:
        """Whether the search is ended from outside."""
        return self.requested or self.is_enough

    def now(self) -> bool:
        """Whether time or work is over or the search is ended from outside."""
        return (
            self.is_ended
            or self.work >= self.work_limit
            or self.elapsed_s() >= self.time_limit_s
        )

    def is_overdue(self) -> bool:
        """Whether to give up even without a plan; long steps before it look at this."""
        return self.elapsed_s() >= self.last_s

    def give_up(self, *, has_plan: bool) -> bool:
        """Whether a step that takes long should be left: later if it is the first."""
        return self.now() if has_plan else self.is_overdue()

    def close_enough(self, objective_s: float, lower_bound_s: float) -> bool:
        """Whether the gap is reached."""
        return objective_s <= self.enough_s(lower_bound_s)

    def enough_s(self, lower_bound_s: float) -> float:
        """Largest objective at which the gap is reached [s]."""
        return lower_bound_s * (1.0 + max(self.gap, GAP_TOLERANCE))


def finished(
    assignment: Assignment | None,
    value: float,
    lower_bound_s: float,
    stop: Stop,
    certificate: Certificate | None = None,
) -> SolverResult:
    """Make the result of a search that ended with its best assignment, if any.

    Parameters
    ----------
    assignment : Assignment or None
        The best one; None if none was found.
    value : float
        Its value [s]; infinite without one.
    lower_bound_s : float
        A value that no assignment goes below [s]; 0 proves nothing.
    stop : Stop
        Tells whether the search was cut short.
    certificate : Certificate, optional
        Proves a lower bound.

    Returns
    -------
    SolverResult
        `OPTIMAL` if the bound meets the value; `NOT_FOUND` without an assignment.
    """
    if assignment is None:
        status = SolveStatus.NOT_FOUND
    elif value <= lower_bound_s * (1.0 + GAP_TOLERANCE):
        status = SolveStatus.OPTIMAL
    else:
        status = SolveStatus.TIME_LIMIT if stop.now() else SolveStatus.FEASIBLE
    return SolverResult(assignment, lower_bound_s, status, certificate)


class Solver(Protocol):
    """Finds an assignment for a problem.

    A solver keeps its best assignment when `stop` says so, gives the same answer
    for the same seed unless time ran out, and never prints.
    """

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """Search until done or `stop` says so."""


@runtime_checkable
class PlanTaker(Protocol):
    """A solver that need not find by itself what is known already."""

    def knowing(self, plans: Sequence[Assignment]) -> Solver:
        """Return the same solver, which begins with these plans."""


@runtime_checkable
class Resumable(Protocol):
    """A solver that can be left for a while."""

    def plans(
        self, problem: Problem, stop: Stop, seed: int
    ) -> Iterator[Sequence[Assignment]]:
        """Search until done or `stop` says so; yield in between all plans so far.

        The last one is the best.
        """


@runtime_checkable
class Improver(Protocol):
    """A solver that can go on from one plan."""

    def improve_from(
        self, problem: Problem, plan: Assignment, stop: Stop, seed: int
    ) -> Iterator[Assignment]:
        """Search from a plan until done or `stop` says so; yield the best now and then.

        Parameters
        ----------
        plan : Assignment
            That fits.
        """


def __getattr__(name: str) -> Any:
    if name in ("SOLVERS", "load_solver", "solver_names"):  # until release 0.3
        text = f"solvers.base.{name} is solvers.{name} now"
        warnings.warn(text, DeprecationWarning, stacklevel=2)
        return getattr(import_module("shardplan.solvers.registry"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
