"""Plans from a proof: where cases leave room, their programs say which options to take.

The program of a case cuts tables at will, but of few tables most are whole in it. What
it takes most of, placed greedily, is often a better plan than a search finds, and so
are options drawn by their shares (randomised rounding).

References
----------
Raghavan and Thompson 1987, Randomized rounding: a technique for provably good
algorithms and algorithmic proofs, Combinatorica 7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.certify.params import PROOF_DEFAULTS, ProofParams
from shardplan.certify.step.bound import step_bound
from shardplan.certify.step.search import StepProof
from shardplan.certify.step.verify import verify_step
from shardplan.solvers.few_tables import pays, placed
from shardplan.solvers.step_search import StepSearch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shardplan.certify.step.nodes import Mixed
    from shardplan.problems.problem import Assignment, Problem
    from shardplan.records.arrays import Ints
    from shardplan.records.certificate import Certificate
    from shardplan.solvers.base import Stop

_SHARE = 0.15
"""Share of the time for plans; the rest is the proof's, if it takes all of it."""
_ROUNDING = 0.6
"""Share of that for rounding; tables of the best move in the rest."""
_BEST = 3
_NEAR = 1.04
"""Times the known step that one of the first plans must be below, or the proof has the
time instead."""
_FRUITLESS = 50
"""Draws in a row that were there before: there are hardly any others."""


class ProvenStep(NamedTuple):
    """A bound of the step, and the best plan that came with its proof, if any.

    Attributes
    ----------
    certificate : Certificate
    bound_s : float
        What it proves here, verified [s].
    plan : Assignment or None
        Fits, but need not be better than what was known.
    """

    certificate: Certificate
    bound_s: float
    plan: Assignment | None


def prove_and_plan(
    problem: Problem, known_s: float, stop: Stop, params: ProofParams = PROOF_DEFAULTS
) -> ProvenStep:
    """Prove what no step is below; of few tables, make plans from what is left open.

    Parameters
    ----------
    problem : Problem
        Under `time`.
    known_s : float
        Predicted step of a known plan [s]; nearer to it than the gap of `stop` nothing
        is worth proving.
    stop : Stop
        With a time limit, of which plans have a part of their own.
    """
    limit_s = known_s / (1.0 + stop.gap)
    if not pays(problem):
        return ProvenStep(*step_bound(problem, limit_s, stop, params), None)
    begin_s = stop.elapsed_s()
    with stop.sooner((1.0 - _SHARE) * stop.remaining_s()):
        proof = StepProof(problem, limit_s, stop, params)
        proof.grow()
    taken_s = stop.elapsed_s() - begin_s
    with stop.sooner(_SHARE / (1.0 - _SHARE) * taken_s):
        plan = plan_of(problem, proof.mixes(), _NEAR * known_s, stop)
    proof.grow()
    certificate = proof.certificate()
    return ProvenStep(certificate, verify_step(problem, certificate), plan)


def plan_of(
    problem: Problem, mixes: Sequence[Mixed], near_s: float, stop: Stop
) -> Assignment | None:
    """Return the best plan from cases that were left open; None if none fits in time.

    Parameters
    ----------
    mixes : sequence of Mixed
        The cases, in the order in which they are looked at.
    near_s : float
        A step that what some case takes most of must be below: else more of the same
        leads nowhere, and None is returned [s].
    stop : Stop
        With a time limit, all of which is used.
    """
    found: list[tuple[float, Assignment]] = []
    best_s = np.inf
    with stop.sooner(_ROUNDING * stop.remaining_s()):
        for number, options in enumerate(_rounded(problem, mixes)):
            if stop.now() or (number >= len(mixes) and best_s > near_s):
                break
            plan = placed(problem, options, stop)
            if plan is not None:
                found.append((problem.value(plan), plan))
                best_s = min(best_s, found[-1][0])
    if best_s > near_s:
        return None
    found = sorted(found, key=lambda one: one[0])[:_BEST]
    search = StepSearch(problem, 0)
    plans = [
        search.restart(plan, stop, stop.left / (len(found) - number))
        for number, (_, plan) in enumerate(found)
    ]
    return min(plans, key=problem.value, default=None)


def _rounded(problem: Problem, mixes: Sequence[Mixed]) -> Iterator[Ints]:
    """Yield an option per table, sorted: what each case takes most of, then by lot."""
    rng = np.random.default_rng(0)
    tried: set[bytes] = set()
    number = fruitless = 0
    while mixes and fruitless < _FRUITLESS:
        mixed = mixes[number % len(mixes)]
        one = _round(problem, mixed, rng if number >= len(mixes) else None)
        number += 1
        fruitless = fruitless + 1 if one.tobytes() in tried else 0
        if not fruitless:
            tried.add(one.tobytes())
            yield one


def _round(
    problem: Problem, mixed: Mixed, rng: np.random.Generator | None = None
) -> Ints:
    """Return the option of the largest share per table, or draw one by the shares."""
    options, shares = mixed
    # The largest with noise of Gumbel's law is drawn by the shares.
    noise = 0.0 if rng is None else rng.gumbel(size=len(options))
    table = problem.options.table[options]
    ranked = np.lexsort((-(np.log(shares) + noise), table))
    first = np.diff(table[ranked], prepend=-1) > 0
    return np.asarray(options[ranked[first]])
