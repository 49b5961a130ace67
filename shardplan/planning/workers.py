"""Whether a search takes several processes, and the solver that does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.records.sharding import Objective
from shardplan.solvers.crew.crew import LEAST_S, Crew
from shardplan.solvers.registry import load_solver

if TYPE_CHECKING:
    from shardplan.solvers.base import Solver, Stop
    from shardplan.solvers.params import SolverParams


def shared(
    solver: Solver,
    name: str,
    objective: Objective,
    params: SolverParams,
    workers: int,
    stop: Stop,
) -> tuple[Solver, str]:
    """Return a solver that shares its work among processes, or the one given.

    Parameters
    ----------
    solver : Solver
        Of one process.
    name : str
        That it was loaded by.
    workers : int
        Processes that are wanted.

    Returns
    -------
    Solver
    str
        Why there is one process where more are wanted; empty if there is nothing to
        be said.
    """
    if workers == 1 or stop.remaining_s() < LEAST_S:
        return solver, ""
    if name != "auto":
        return solver, f"One process searched: solver {name} does not take more."
    if stop.is_by_work:
        return solver, (
            "One process searched: a work limit counts the moves of one search, for "
            "the same plan everywhere."
        )
    if not params.auto.strengthen:
        return solver, "One process searched: the proof is switched off."
    if objective is not Objective.TIME:
        no_proof = dict.fromkeys(
            ("least_proof_s", "proof_share", "proof_share_exact"), 0.0
        )
        auto = params.auto.model_copy(update={"strengthen": False, **no_proof})
        solver = load_solver(name, params.model_copy(update={"auto": auto}))
    return Crew(solver, params.proof, workers), ""
