"""What is claimed of a plan, and proven of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from shardplan.certify.dual import lower_bound
from shardplan.certify.params import PROOF_DEFAULTS, ProofParams
from shardplan.certify.step.bound import step_bound
from shardplan.certify.step.verify import verify_step
from shardplan.certify.verify import verify
from shardplan.planning.solver_params import changed_params
from shardplan.plans.assemble import assemble
from shardplan.plans.plan import Outcome, Plan
from shardplan.plans.realize import placements
from shardplan.records.sharding import Objective
from shardplan.solvers.base import GAP_TOLERANCE, SolverResult, SolveStatus, Stop
from shardplan.solvers.params import DEFAULTS, SolverParams
from shardplan.solvers.plans_of_cases import prove_and_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shardplan.problems import problem as problems
    from shardplan.records.certificate import Certificate
    from shardplan.records.inputs import Inputs
    from shardplan.solvers.base import Observer

_ROOM = 1e-12
_SAME = 1e-9
_ENDLESS_S = 30.0
"""For the proof of a step where nothing limits it: nobody waits for long [s]."""


def make_plan(
    problem: problems.Problem,
    result: SolverResult,
    inputs: Inputs,
    *,
    solver: str,
    seed: int,
    params: SolverParams = DEFAULTS,
    proof: Proof | None = None,
    warnings: Sequence[str] = (),
) -> Plan:
    """Turn a solver's result into a self-contained plan.

    The bound leaves its proof some room, for sums differ between machines in the last
    digits.
    """
    assert result.assignment is not None
    value = problem.value(result.assignment)
    certificate, proven, _ = proof or prove(problem, result)
    bound = min(proven * (1.0 - _ROOM), value)
    is_claimed_optimal = result.status is SolveStatus.OPTIMAL
    claimed = value if is_claimed_optimal else min(result.lower_bound_s, value)
    is_optimal = value <= max(bound, claimed) * (1.0 + GAP_TOLERANCE)
    outcome = Outcome(
        solver=solver,
        seed=seed,
        status=(SolveStatus.OPTIMAL if is_optimal else result.status).value,
        objective_s=value,
        lower_bound_s=bound,
        gap=value / bound - 1.0 if bound > 0 else None,
        claimed_bound_s=claimed if claimed > bound * (1.0 + _SAME) else None,
        warnings=tuple(warnings),
        params=changed_params(params),
    )
    return assemble(
        inputs,
        placements(problem, result.assignment),
        outcome,
        target=problem.target,
        objective=problem.objective,
        certificate=certificate,
    )


class Proof(NamedTuple):
    """A certificate, the bound that it proves here, and a plan that came with it.

    Attributes
    ----------
    certificate : Certificate
    bound_s : float
        Verified [s].
    plan : Assignment or None
        Fits, but need not be better than what was known.
    """

    certificate: Certificate
    bound_s: float
    plan: problems.Assignment | None = None


def prove(
    problem: problems.Problem,
    result: SolverResult,
    stop: Stop | None = None,
    params: ProofParams = PROOF_DEFAULTS,
    *,
    is_quick: bool = True,
    has_plans: bool = False,
) -> Proof:
    """Verify the certificate of a result, or find one until `stop` says so.

    What is found has gone through the verifier, on this very menu.

    Parameters
    ----------
    is_quick : bool
        For `time`: few cases, and nothing that takes long in each.
    has_plans : bool
        For `time`, if the clock limits the search and tables are few: take some of the
        time for plans from the proof's cases.
    """
    assert result.assignment is not None
    is_step = problem.objective is Objective.TIME
    if result.certificate is not None:
        check = verify_step if is_step else verify
        return Proof(result.certificate, check(problem, result.certificate))
    value = problem.value(result.assignment)
    if is_step:
        stop = stop or Stop()
        is_quick = is_quick or stop.is_by_work
        # How far it comes by the clock must not decide on plans that nothing limits.
        if has_plans and not (is_quick or stop.is_endless):
            return Proof(*prove_and_plan(problem, value, stop, params))
        enough = value / (1.0 + stop.gap)  # nearer is not worth a better proof
        return _prove_step(problem, enough, stop, params, is_quick=is_quick)
    found = lower_bound(problem, value, stop, params)
    return Proof(found.certificate, found.value_s)


def _prove_step(
    problem: problems.Problem,
    enough_s: float,
    stop: Stop,
    params: ProofParams,
    *,
    is_quick: bool,
) -> Proof:
    """Bound the predicted step: with a limit of work the same on every machine."""
    is_long = stop.is_endless and not is_quick
    seconds = _ENDLESS_S if is_long else stop.remaining_s()
    with stop.beyond_work(), stop.sooner(seconds):
        return Proof(*step_bound(problem, enough_s, stop, params, is_quick=is_quick))


def with_plan(
    problem: problems.Problem,
    found: SolverResult,
    refined: SolverResult,
    proof: Proof,
    observer: Observer,
) -> SolverResult:
    """Take the plan that came with the proof, if it is better.

    Parameters
    ----------
    found, refined : SolverResult
        Before and after the guard rail: what that chose, for its simulated step, stays.
    """
    assert refined.assignment is not None
    if proof.plan is None or refined.assignment is not found.assignment:
        return refined
    value_s = problem.value(proof.plan)
    if value_s >= problem.value(refined.assignment):
        return refined
    observer.improved(value_s, min(proof.bound_s, value_s))
    return replace(refined, assignment=proof.plan)
