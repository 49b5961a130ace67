"""A verified bound of the predicted step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.certify.params import PROOF_DEFAULTS, ProofParams
from shardplan.certify.step.search import StepProof
from shardplan.certify.step.verify import verify_step

if TYPE_CHECKING:
    from shardplan.certify.kelley import Clock
    from shardplan.problems.problem import Problem
    from shardplan.records.certificate import Certificate


def step_bound(
    problem: Problem,
    limit_s: float,
    stop: Clock | None = None,
    params: ProofParams = PROOF_DEFAULTS,
    *,
    is_quick: bool = False,
) -> tuple[Certificate, float]:
    """Return a certificate about the predicted step, and what it proves [s].

    The search may be as careless as it likes: what it finds goes through the verifier.

    Parameters
    ----------
    problem : Problem
        Under `time`.
    limit_s : float
        Predicted step of a known plan: nothing above it is worth proving [s].
    stop : Clock, optional
        Asked between steps; there is always a bound, if only 0.
    is_quick : bool
        Few cases, and nothing that takes long in each.
    """
    # What it has worked out is forgotten before it is verified.
    certificate = _grown(StepProof(problem, limit_s, stop, params, is_quick=is_quick))
    return certificate, verify_step(problem, certificate)


def _grown(proof: StepProof) -> Certificate:
    proof.grow()
    return proof.certificate()
