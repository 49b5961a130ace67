"""The whole line: inputs -> options -> problem -> solver -> plan -> check -> result."""

from __future__ import annotations

import signal
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.menus import InvalidCertificateError
from shardplan.checking import examine
from shardplan.errors import InfeasibleError, InputError
from shardplan.io import catalog
from shardplan.io.settings import changed, require_roots
from shardplan.planning.arguments import (
    MOST_ROUNDS,
    MOST_SEED,
    MOST_WORKERS,
    member,
    objective_for,
    whole,
)
from shardplan.planning.claims import Proof, make_plan, prove, with_plan
from shardplan.planning.deadline import (
    keep_rest,
    limit_command,
    step_proof_s,
    until_rest_s,
)
from shardplan.planning.diagnosis import require_options
from shardplan.planning.interrupts import Interrupts
from shardplan.planning.refine import refine, search_s
from shardplan.planning.refusal import (
    advised,
    no_plan,
    require_time,
    solver_failures,
    stopped,
)
from shardplan.planning.result import PlanResult
from shardplan.planning.sharding_groups import ShardingGroups, grouped
from shardplan.planning.solver_params import load_params
from shardplan.planning.workers import shared
from shardplan.problems.problem import build_problem
from shardplan.records.inputs import Inputs
from shardplan.records.sharding import Objective, ReplicaLayout, Target
from shardplan.solvers.base import (
    Observer,
    Silent,
    SolverResult,
    SolveStatus,
    Stop,
)
from shardplan.solvers.by_step_time import ByStepTime
from shardplan.solvers.contract import at_fault
from shardplan.solvers.registry import load_solver

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from shardplan.checking import Verdict
    from shardplan.io.settings import Setting
    from shardplan.planning.solver_params import Source as Params
    from shardplan.plans.plan import Plan
    from shardplan.problems import problem as problems
    from shardplan.records.topology import Topology
    from shardplan.records.torchrec_cost_model import AnyCostModel
    from shardplan.records.workload import Workload
    from shardplan.solvers.base import Solver
    from shardplan.solvers.params import SolverParams

    Source = str | os.PathLike[str]

_BY_STEP = ("ilp", "cbc")
"""Solvers that minimise the step itself under `time`, not sums that are near it."""


def solve(
    workload: Source | Workload,
    topology: Source | Topology,
    cost_model: Source | AnyCostModel | None = None,
    *,
    num_hosts: int | None = None,
    target: Target | str = Target.ANY,
    objective: Objective | str | None = None,
    solver: str = "auto",
    time_limit_s: float = float("inf"),
    work_limit: float = float("inf"),
    gap: float = 0.0,
    seed: int = 0,
    workers: int = 1,
    rounds: int = 0,
    sharding_group: int | str | None = None,
    replicas: ReplicaLayout | str | None = None,
    sync_every: int = 1,
    params: Params | None = None,
    observer: Observer | None = None,
    interrupts: Interrupts | None = None,
) -> PlanResult:
    """Find a shard plan and check it.

    Ctrl-C ends it at once while inputs are read and options priced; after that the
    first one ends the search with the best plan so far, the second one everything.

    Parameters
    ----------
    workload : shipped name, path, or record
        The tables, the batch and the dense layers.
    topology : shipped name, path, or record
        The cluster; a name or path may end in ``:HOSTS``.
    cost_model : shipped name, path, or record, optional
        What software achieves; by default the one that the topology names.
    num_hosts : int, optional
        Hosts to use instead of the topology's own number.
    target : Target or str
        The framework whose shapes the plan keeps to: ``any``, ``torchrec`` or
        ``hugectr``.
    objective : Objective or str, optional
        ``time``, the predicted step; ``step``, the sum over phases of the slowest
        rank; or ``max-rank``, the slowest rank's sum over phases. By default ``time``,
        or ``max-rank`` with TorchRec's cost model, which cannot time a step.
    solver : str
        Name of a solver: ``auto``, ``greedy``, ``ldm``, ``ilp``, ``cbc``, or that of a
        plug-in.
    time_limit_s : float
        End with the best plan found after this long [s]; the search stops earlier, to
        leave time for proof, check and report.
    work_limit : float
        Stop the search after this many evaluated moves, on every machine alike.
    gap : float
        Stop at a plan whose gap, that of the objective in use, is at most this.
    seed : int
        Seed of solvers that draw random numbers.
    workers : int
        Processes for solver ``auto``: the second proves while this one searches, more
        search with other seeds. They have no effect under a work limit.
    rounds : int
        Times to solve again with what phases cost in the predicted step; the plan
        with the shortest simulated step is returned. Its objective may be higher.
        They have three tenths of the time or work for themselves.
    sharding_group : int or str, optional
        Ranks that share the tables, of which the cluster has several groups with a copy
        each (two-dimensional parallelism), or ``auto``, which compares quick plans of
        all sizes. By default all ranks share them.
    replicas : ReplicaLayout or str, optional
        Where copies meet: ``inside`` hosts or ``across`` them; by default the better.
    sync_every : int
        Steps after which copies are averaged.
    params : SolverParams, mapping of sections, or path of a TOML file, optional
        Numbers of the solver that are not to be at their defaults.
    observer : Observer, optional
        Is told about every better plan and bound; with several workers in other
        threads, one call at a time.
    interrupts : Interrupts, optional
        What hears signals, if something does already.

    Returns
    -------
    PlanResult
        A plan that has been checked, and how it was found.

    Raises
    ------
    InputError
        For wrong files or arguments.
    InfeasibleError
        If nothing fits, with the tier, the shortfall and the tables.
    LimitError
        If time ran out, or Ctrl-C came, before there was a plan.
    PluginError
        If a solver of a plug-in cannot be loaded, fails, or returns what is wrong.
    """
    stop = Stop(time_limit_s=time_limit_s, work_limit=work_limit, gap=gap)
    limit_command(stop)
    settings = load_params(params)
    seed, rounds = whole("seed", seed, MOST_SEED), whole("rounds", rounds, MOST_ROUNDS)
    workers = whole("workers", workers, MOST_WORKERS, least=1)
    target = member(Target, "target", target)
    with _heard(interrupts) as heard, solver_failures() as failures:
        inputs = load_inputs(workload, topology, cost_model, num_hosts)
        objective = objective_for(objective, inputs.cost_model)
        chosen = _solver(solver, objective, settings)
        groups = ShardingGroups.of(sharding_group, replicas, sync_every)
        inputs, tried = grouped(inputs, target, objective, groups, stop)
        problem, rest_s = _priced(inputs, target, objective, stop)
        heard.ask(stop)
        is_quick = solver == "greedy" or not settings.auto.strengthen
        crew, alone = shared(chosen, solver, objective, settings, workers, stop)
        proves = crew is chosen and not is_quick
        proof_s = step_proof_s(objective, stop) if proves else 0.0
        with stop.sooner(stop.remaining_s() - rest_s - proof_s):
            with stop.sooner(search_s(stop, rounds, objective, chosen, inputs)):
                problem, found = _search(crew, problem, inputs, stop, seed, observer)
            end = refine(chosen, problem, found, inputs, stop, seed, rounds)
        limits = {"is_quick": is_quick, "has_plans": solver == "auto"}
        with _certified(chosen), stop.sooner(until_rest_s(stop, rest_s)):
            proof = prove(problem, end.result, stop, settings.proof, **limits)
        plan = make_plan(
            end.problem,
            with_plan(problem, found, end.result, proof, observer or Silent()),
            inputs,
            solver=solver,
            seed=seed,
            params=settings,
            proof=proof,
            warnings=failures,
        )
        verdict = _examined(plan, problem, proof, chosen)
    remarks = (*tried, *end.remarks, *((alone,) if alone else ()))
    return PlanResult(plan, stop.elapsed_s(), verdict, remarks)


def _heard(interrupts: Interrupts | None) -> AbstractContextManager[Interrupts]:
    """Listen for Ctrl-C, unless somebody does already."""
    return nullcontext(interrupts) if interrupts else Interrupts(signal.SIGINT)


def _examined(
    plan: Plan, problem: problems.Problem, proof: Proof, solver: Solver
) -> Verdict:
    """Check a plan; one that breaks a rule is its solver's fault."""
    verdict = examine(plan, menu=problem, proven_s=proof.bound_s)
    if verdict.violations:
        broken = (f"its plan breaks a rule: {found}" for found in verdict.violations)
        raise at_fault(solver, *broken)
    return verdict


def _solver(name: str, objective: Objective, params: SolverParams) -> Solver:
    """Load a solver; under `time` most solve sums that are near the step."""
    if objective is not Objective.TIME or name in _BY_STEP:
        return load_solver(name, params)
    # What solvers prove of these sums is not proven of the step.
    auto = params.auto.model_copy(update={"strengthen": False, "least_proof_s": 0.0})
    params = params.model_copy(update={"auto": auto})
    return ByStepTime(load_solver(name, params), params)


def _search(
    solver: Solver,
    problem: problems.Problem,
    inputs: Inputs,
    stop: Stop,
    seed: int,
    observer: Observer | None,
) -> tuple[problems.Problem, SolverResult]:
    """Find an assignment, if need be with a menu of all tiers; return that as well."""
    found = _solve(solver, problem, stop, seed, observer or Silent())
    if found.assignment is not None:
        return problem, found
    if stop.now():
        raise stopped(stop)
    target, objective = problem.target, problem.objective
    problem = _problem(inputs, target, objective, stop, all_tiers=True)
    try:
        require_options(problem)
    except InfeasibleError as error:
        if not error.shortfalls:  # no change of memory would help
            raise
        raise advised(error, problem, inputs, stop) from None
    found = _solve(solver, problem, stop, seed, observer or Silent())
    if found.assignment is None:
        raise advised(no_plan(problem, found, stop, solver), problem, inputs, stop)
    return problem, found


def _priced(
    inputs: Inputs, target: Target, objective: Objective, stop: Stop
) -> tuple[problems.Problem, float]:
    """Build the problem, and keep time for what follows the search [s]."""
    before = stop.elapsed_s()
    problem = _problem(inputs, target, objective, stop, all_tiers=False)
    return problem, keep_rest(stop, stop.elapsed_s() - before)


def _problem(
    inputs: Inputs,
    target: Target,
    objective: Objective,
    stop: Stop | None = None,
    *,
    all_tiers: bool,
) -> problems.Problem:
    return build_problem(
        **dict(inputs),
        target=target,
        objective=objective,
        all_tiers=all_tiers,
        go_on=partial(require_time, stop or Stop()),
    )


def _solve(
    solver: Solver, problem: problems.Problem, stop: Stop, seed: int, observer: Observer
) -> SolverResult:
    """Run a solver, unless a table has no option at all."""
    if (np.diff(problem.options.start) == 0).any():
        return SolverResult(None, 0.0, SolveStatus.NOT_FOUND)
    return solver.solve(problem, stop, seed, observer)


@contextmanager
def _certified(solver: Solver) -> Iterator[None]:
    """Within the block, a certificate that proves nothing is its solver's fault."""
    try:
        yield
    except InvalidCertificateError as error:
        raise at_fault(solver, f"its certificate proves nothing: {error}") from error


def integer_program(
    workload: Source | Workload,
    topology: Source | Topology,
    cost_model: Source | AnyCostModel | None = None,
    *,
    num_hosts: int | None = None,
    target: Target | str = Target.ANY,
    objective: Objective | str | None = None,
    params: Params | None = None,
) -> str:
    """Return the integer program of solver ``ilp`` in LP format; see `solve`.

    Under ``time`` curves are taken at the plan of ``greedy``.

    Raises
    ------
    InputError
        For wrong files or arguments, or if the program would be too large.
    """
    from shardplan.solvers.ilp.model import build
    from shardplan.solvers.ilp.pulp_model import lp_text

    settings = load_params(params)
    inputs = load_inputs(workload, topology, cost_model, num_hosts)
    objective = objective_for(objective, inputs.cost_model)
    problem = _problem(
        inputs,
        member(Target, "target", target),
        objective,
        all_tiers=False,
    )
    require_options(problem)
    near = None
    if objective is Objective.TIME:
        start = ByStepTime(load_solver("greedy", settings), settings)
        near = start.solve(problem, Stop(), 0, Silent()).assignment
    return lp_text(build(problem, params=settings.ilp, near=near).program)


def load_inputs(
    workload: Source | Workload,
    topology: Source | Topology,
    cost_model: Source | AnyCostModel | None,
    num_hosts: int | None = None,
    settings: Sequence[Setting] = (),
) -> Inputs:
    """Load the three inputs by name, path or as they are, and change them.

    Raises
    ------
    InputError
        For wrong files, arguments or settings.
    """
    require_roots(settings)
    cluster = catalog.load_topology(topology, num_hosts)
    cluster = changed(cluster, "topology", settings)
    software = cost_model if cost_model is not None else cluster.cost_model
    if software is None:
        raise InputError.single(
            cluster.name, "cost_model", None, "missing; name one with --cost-model"
        )
    return Inputs(
        workload=changed(catalog.load_workload(workload), "workload", settings),
        topology=cluster,
        cost_model=changed(catalog.load_cost_model(software), "cost_model", settings),
    )
