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
from shardplan.records.sharding import Objective
from shardplan.solvers.base import Solver, Stop
from shardplan.solvers.registry import load_solver
from tests.benchmarks.baselines import BASELINES

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from shardplan.problems.problem import Problem
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


@dataclass
class Run:
    """What one solver did with one problem.

    Attributes
    ----------
    value_s, other_s : float or None
        Value of its plan, and the same plan's under the other objective [s]; None if
        it found none.
    bound_s : float
        A certified lower bound that came with it [s]; 0 for none.
    solve_s, cpu_s, proof_s : float
        Time to find the plan, what of it the solver had a core, and time to certify
        and verify a bound [s].
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
    own = [(name, lambda n=name: load_solver(n), limit) for name, limit in names]
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
    result = solver.solve(problem, Stop(time_limit_s=limit_s), seed, recorder)
    run = Run(name, limit_s=limit_s, solve_s=time.monotonic() - start)
    run.cpu_s = time.process_time() - before
    run.status = result.status.value
    if result.assignment is not None:
        loads = problem.loads(result.assignment)
        if not loads.fits(problem.capacity):
            raise AssertionError("the plan does not fit")
        run.value_s = loads.value(problem.objective)
        run.other_s = loads.value(_OTHER[problem.objective])
        recorder.improved(run.value_s, 0.0)
    if name == "auto":
        start = time.monotonic()
        certificate = result.certificate
        if certificate is None:
            certificate = lower_bound(problem, run.value_s or np.inf).certificate
        run.bound_s = verify(problem, certificate)
        run.proof_s = time.monotonic() - start
    run.progress = recorder.progress
    run.memory_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB_PER_GIB
    return run
