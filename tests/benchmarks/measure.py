"""Solve one benchmark problem with every solver, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from shardplan.certify.dual import lower_bound
from shardplan.certify.verify import verify
from shardplan.costs.pricer import ModelPricer
from shardplan.planning.claims import prove, with_plan
from shardplan.planning.deadline import step_proof_s
from shardplan.planning.planner import _solver
from shardplan.plans.assemble import assemble_unproven
from shardplan.plans.realize import placements
from shardplan.records.inputs import Inputs
from shardplan.records.sharding import Objective
from shardplan.simulation import simulate
from shardplan.solvers.base import Solver, Stop
from shardplan.solvers.params import DEFAULTS
from shardplan.steps.pricing import StepPricer
from tests.benchmarks.baselines import BASELINES

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from shardplan.problems.problem import Assignment, Problem
    from shardplan.solvers.base import SolverResult
    from tests.benchmarks.cases import Case

_OTHER = {
    Objective.STEP: Objective.MAX_RANK,
    Objective.MAX_RANK: Objective.STEP,
}
_LDM_WORK = 300_000
"""Largest differencing is run up to this many tables times ranks."""
_RIVAL_LIMIT_S = 5.0
_ILP_LIMIT_S = 10.0
_GRACE_S = 120.0
_KIB_PER_GIB = 2**20
_SIMULATED = 200_000
"""Plans are simulated up to this many tables times ranks."""


@dataclass
class Run:
    """What one solver did with one problem.

    Attributes
    ----------
    value_s, other_s : float or None
        Value of its plan, and the same plan's under the other objective [s]; None if
        it found none, or, under `time`, for the other.
    step_s : float or None
        Simulated step of the plan of `auto` [s]; None on large problems.
    bound_s : float
        A certified lower bound that came with it [s]; 0 for none.
    solve_s, cpu_s, proof_s : float
        Time to find the plan, what of it the solver had a core, and time to certify
        and verify a bound [s]; under `time` the first two have the proof as well.
    memory_gib : float
        Most memory of the process, with the problem [GiB].
    progress : list of (float, float)
        Time and value of each improvement [s].
    status : str
        What the solver says of its plan.
    error : str
        Why there is no plan, unless the solver just found none.
    """

    solver: str
    value_s: float | None = None
    other_s: float | None = None
    step_s: float | None = None
    bound_s: float = 0.0
    limit_s: float = 0.0
    solve_s: float = 0.0
    cpu_s: float = 0.0
    proof_s: float = 0.0
    memory_gib: float = 0.0
    progress: list[tuple[float, float]] = field(default_factory=list)
    status: str = ""
    error: str = ""


class _Recorder:
    """Notes every improvement and when it came."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self.progress: list[tuple[float, float]] = []

    def improved(self, objective_s: float, lower_bound_s: float) -> None:
        if np.isfinite(objective_s):
            now = time.monotonic() - self._start
            self.progress.append((now, float(objective_s)))


def measure(case: Case, seed: int) -> dict[str, Any]:
    """Build a problem and let all solvers have it; returns JSON."""
    start = time.monotonic()
    problem = case.problem(seed)
    build_s = time.monotonic() - start
    runs = [
        _apart(problem, name, make, limit_s, seed)
        for name, make, limit_s in _solvers(case)
    ]
    return {
        "seed": seed,
        "options": len(problem.options),
        "build_s": build_s,
        "system_load": os.getloadavg()[0],
        "runs": [asdict(run) for run in runs],
    }


def _solvers(case: Case) -> list[tuple[str, Callable[[], Solver], float]]:
    """Name, maker and time limit of the solvers for a case; `auto` comes first."""
    rival_s = min(case.limit_s, _RIVAL_LIMIT_S)
    names = [("auto", case.limit_s), ("greedy", case.limit_s)]
    if case.num_tables * case.num_ranks <= _LDM_WORK:
        names.append(("ldm", case.limit_s))
    if case.exact:
        names.append(("ilp", min(case.limit_s, _ILP_LIMIT_S)))
    own = [
        (name, lambda n=name: _solver(n, case.objective, DEFAULTS), limit)
        for name, limit in names
    ]
    if case.objective is Objective.TIME:  # which baselines cannot add up
        return own
    return own + [(n, lambda s=s: s, rival_s) for n, s in BASELINES.items()]


def _apart(
    problem: Problem, name: str, make: Callable[[], Solver], limit_s: float, seed: int
) -> Run:
    """Run one solver in a child process, which ends even if the solver does not."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(
        target=_child, args=(sender, problem, name, make, limit_s, seed)
    )
    child.start()
    sender.close()
    try:
        if receiver.poll(limit_s + _GRACE_S):
            run: Run = receiver.recv()
        else:
            run = Run(name, error=f"did not end {_GRACE_S:.0f} s after its limit")
    except EOFError:
        run = Run(name, error="died")
    child.kill()
    child.join()
    return run


def _child(
    sender: Connection,
    problem: Problem,
    name: str,
    make: Callable[[], Solver],
    limit_s: float,
    seed: int,
) -> None:
    try:
        run = run_solver(problem, name, make(), limit_s, seed)
    except Exception as error:
        run = Run(name, error=f"{type(error).__name__}: {error}")
    sender.send(run)
    sender.close()


def run_solver(
    problem: Problem, name: str, solver: Solver, limit_s: float, seed: int
) -> Run:
    """Solve, check that the plan fits, and certify `auto` as the planner does."""
    recorder, start, before = _Recorder(), time.monotonic(), time.process_time()
    stop = Stop(time_limit_s=limit_s)
    bound_s: float | None = None
    if name == "auto" and problem.objective is Objective.TIME:
        result, bound_s = _solve_and_prove(problem, solver, stop, seed, recorder)
    else:
        result = solver.solve(problem, stop, seed, recorder)
    run = Run(name, limit_s=limit_s, solve_s=time.monotonic() - start)
    run.cpu_s = time.process_time() - before
    run.status = result.status.value
    if result.assignment is not None:
        loads = problem.loads(result.assignment)
        if not loads.fits(problem.capacity):
            raise AssertionError("the plan does not fit")
        run.value_s = problem.value_of(loads)
        if problem.objective in _OTHER:
            run.other_s = loads.value(_OTHER[problem.objective])
        recorder.improved(run.value_s, 0.0)
    if name == "auto":
        start = time.monotonic()
        run.bound_s = _proven_s(problem, result) if bound_s is None else bound_s
        run.proof_s = time.monotonic() - start
        run.step_s = _simulated_s(problem, result.assignment)
    run.progress = recorder.progress
    run.memory_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB_PER_GIB
    return run


def _solve_and_prove(
    problem: Problem, solver: Solver, stop: Stop, seed: int, recorder: _Recorder
) -> tuple[SolverResult, float]:
    """Divide the time between search and proof as the planner does; the bound [s].

    Plans may come with the proof.
    """
    with stop.sooner(stop.remaining_s() - step_proof_s(problem.objective, stop)):
        found = solver.solve(problem, stop, seed, recorder)
    if found.assignment is None:
        return found, 0.0
    proof = prove(problem, found, stop, is_quick=False, has_plans=True)
    return with_plan(problem, found, found, proof, recorder), proof.bound_s


def _proven_s(problem: Problem, result: SolverResult) -> float:
    """Verify the bound of a result, or find one; 0 for none [s]."""
    if result.assignment is not None:
        return prove(problem, result).bound_s
    return verify(problem, lower_bound(problem, np.inf).certificate)


def _simulated_s(problem: Problem, assignment: Assignment | None) -> float | None:
    """Simulate a plan, unless it is large [s]."""
    if assignment is None or problem.num_bundles * problem.world_size > _SIMULATED:
        return None
    model = problem.pricer
    model = model.model if isinstance(model, StepPricer) else model
    assert isinstance(model, ModelPricer)
    inputs = Inputs(
        workload=problem.usage.workload,
        topology=problem.cluster.topology,
        cost_model=model.rates.cost_model,
    )
    plan = assemble_unproven(
        inputs,
        placements(problem, assignment),
        solver="",
        target=problem.target,
        objective=problem.objective,
    )
    return simulate(plan).step_time_s
