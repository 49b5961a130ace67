"""What processes beside the search do, and the words in which they tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shardplan.certify.dual import lower_bound, strengthen
from shardplan.certify.step.bound import step_bound
from shardplan.records.sharding import Objective
from shardplan.solvers.base import SolverResult, SolveStatus
from shardplan.solvers.plans_of_cases import prove_and_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.certify.params import ProofParams
    from shardplan.problems.problem import Problem
    from shardplan.records.certificate import Certificate
    from shardplan.solvers.base import Solver, Stop

    Tell = Callable[[object], None]


class Ear(Protocol):
    """Hears what other processes find."""

    def plan_value(self) -> float | None:
        """Wait for a plan; return the value of the best one so far [s].

        None if there will be none.
        """


@dataclass(frozen=True)
class Known:
    """An `Ear` for what is known already: the value of a plan [s]."""

    value_s: float

    def plan_value(self) -> float | None:
        """See `Ear`."""
        return self.value_s


class CrewTask(Protocol):
    """Work for a process of its own; pickled, for it has to get there."""

    def run(self, problem: Problem, stop: Stop, ear: Ear, tell: Tell) -> None:
        """Work until done or `stop` says so; tell what is found."""


@dataclass(frozen=True)
class Found:
    """A plan of this value was found; its search goes on [s]."""

    value_s: float


@dataclass(frozen=True)
class Proven:
    """No plan is below this value [s], as the certificate shows."""

    bound_s: float
    certificate: Certificate


@dataclass(frozen=True)
class Searched:
    """The result of a search that is over."""

    result: SolverResult


@dataclass(frozen=True)
class Search:
    """Search with a seed of its own."""

    solver: Solver
    seed: int

    def run(self, problem: Problem, stop: Stop, ear: Ear, tell: Tell) -> None:
        """See `CrewTask`."""
        observer = _Telling(tell)
        tell(Searched(self.solver.solve(problem, stop, self.seed, observer)))


class _Telling:
    """An observer that tells every better value."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def improved(self, objective_s: float, lower_bound_s: float) -> None:
        self._tell(Found(objective_s))


@dataclass(frozen=True)
class Prove:
    """Prove a bound, once there is a plan: it says what is not worth proving.

    Better plans would tell the proof little more, and it takes long.

    Attributes
    ----------
    has_plans : bool
        Of the step: tell of the plan that comes with it, too. How far a proof comes by
        the clock must not decide on a plan that nothing limits.
    """

    params: ProofParams
    has_plans: bool

    def run(self, problem: Problem, stop: Stop, ear: Ear, tell: Tell) -> None:
        """See `CrewTask`."""
        if problem.objective is Objective.TIME:
            self._prove_step(problem, stop, ear, tell)
            return
        bound = lower_bound(problem, stop=stop, params=self.params)
        value_s = ear.plan_value()
        if value_s is not None:
            bound = strengthen(problem, bound, value_s, stop, self.params)
            tell(Proven(bound.value_s, bound.certificate))

    def _prove_step(self, problem: Problem, stop: Stop, ear: Ear, tell: Tell) -> None:
        """Prove a bound of the step, and plan from what it leaves open."""
        value_s = ear.plan_value()
        if value_s is None:
            return
        if not self.has_plans:
            enough_s = value_s / (1.0 + stop.gap)
            certificate, bound_s = step_bound(problem, enough_s, stop, self.params)
            tell(Proven(bound_s, certificate))
            return
        proof = prove_and_plan(problem, value_s, stop, self.params)
        tell(Proven(proof.bound_s, proof.certificate))
        if proof.plan is not None:
            tell(Found(problem.value(proof.plan)))
            tell(Searched(SolverResult(proof.plan, 0.0, SolveStatus.FEASIBLE)))
