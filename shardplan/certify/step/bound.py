"""A verified bound of the predicted step, and where its proof leaves room for plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from shardplan.certify.params import PROOF_DEFAULTS, ProofParams
from shardplan.certify.step.search import StepProof
from shardplan.certify.step.verify import verify_step

if TYPE_CHECKING:
    from shardplan.certify.kelley import Clock
    from shardplan.certify.step.nodes import Mixed
    from shardplan.problems.problem import Problem
    from shardplan.records.certificate import Certificate


class StepBound(NamedTuple):
    """What is proven of the predicted step.

    Attributes
    ----------
    certificate : Certificate
    bound_s : float
        What it proves here, verified [s].
    mixes : tuple of Mixed
        How each case that may have a shorter step mixes options, the shortest first.
    """

    certificate: Certificate
    bound_s: float
    mixes: tuple[Mixed, ...]


def step_bound(
    problem: Problem,
    limit_s: float,
    stop: Clock | None = None,
    params: ProofParams = PROOF_DEFAULTS,
    *,
    is_quick: bool = False,
) -> StepBound:
    """Prove what no plan's predicted step is below.

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
    certificate, mixes = _grown(
        StepProof(problem, limit_s, stop, params, is_quick=is_quick)
    )
    return StepBound(certificate, verify_step(problem, certificate), mixes)


def _grown(proof: StepProof) -> tuple[Certificate, tuple[Mixed, ...]]:
    proof.grow()
    return proof.certificate(), proof.mixes()
