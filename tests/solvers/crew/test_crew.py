"""Several processes for one solve: the best of all counts, and all of them end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.certify.highs import failures
from shardplan.certify.step.verify import verify_step
from shardplan.certify.verify import verify
from shardplan.records.sharding import SUMS, Objective
from shardplan.solvers.base import Silent, SolverResult, SolveStatus, Stop
from shardplan.solvers.crew import crew as module
from shardplan.solvers.crew import worker
from shardplan.solvers.crew.crew import Crew
from shardplan.solvers.crew.findings import Findings
from shardplan.solvers.crew.tasks import Found, Known, Prove, Proven, Searched
from shardplan.solvers.params import DEFAULTS
from tests.certify.step.tiny import tiny
from tests.helpers import random_assignment, two_hosts
from tests.solvers.crew.helpers import Patient, children_of, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.problems.problem import Problem

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="counts processes by /proc"
)


@pytest.fixture(autouse=True)
def none_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin processes without a pause; in the end there are none but those before."""
    monkeypatch.setattr(worker, "_PATIENCE_S", 0.0)
    before = children_of(os.getpid())
    yield
    assert children_of(os.getpid()) == before


class Seen(Silent):
    """Observes; asks to stop at a value or a bound."""

    def __init__(self, stop: Stop, at: str = "", number: int = 1) -> None:
        self.stop, self.at, self.number = stop, at, number
        self.values: list[tuple[float, float]] = []

    def improved(self, objective_s: float, lower_bound_s: float) -> None:
        self.values.append((objective_s, lower_bound_s))
        different = {pair[self.at == "bound"] for pair in self.values} - {0.0}
        if self.at and len(different) >= self.number:
            self.stop.requested = True


def problem_for(objective: Objective) -> Problem:
    return two_hosts().problem(objective=objective)


def run(
    problem: Problem,
    solver: Any,
    stop: Stop,
    observer: Any = None,
    *,
    workers: int = 2,
) -> tuple[SolverResult, list[str]]:
    """Solve with several processes; return warnings as well."""
    crew = Crew(solver, DEFAULTS.proof, workers)
    with failures() as texts:
        found = crew.solve(problem, stop, 0, observer or Silent())
    return found, texts


@pytest.mark.parametrize("objective", list(Objective))
def test_another_process_proves(objective: Objective) -> None:
    """Its bound comes with a certificate, and ends the search if it is near enough."""
    problem, stop = problem_for(objective), Stop(gap=10.0)
    seen = Seen(stop)
    found, texts = run(problem, Patient(), stop, seen)
    assert not texts
    assert found.certificate is not None
    check = verify_step if objective is Objective.TIME else verify
    assert check(problem, found.certificate) == pytest.approx(found.lower_bound_s)
    assert 0 < found.lower_bound_s <= problem.value(found.assignment)
    assert found.status in (SolveStatus.FEASIBLE, SolveStatus.OPTIMAL)
    assert not stop.now()
    values, bounds = zip(*seen.values, strict=True)
    assert list(values) == sorted(values, reverse=True)
    assert list(bounds) == sorted(bounds)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_best_plan_of_all_counts(number: int) -> None:
    """Wherever it was found; what was found here is among what was seen."""
    problem, stop = problem_for(Objective.STEP), Stop()
    good = number * module._SEED_STEP
    # A better value comes from another process, or a bound: then it has searched, too.
    until = Seen(stop, "value", 2) if good else Seen(stop, "bound")
    found, texts = run(problem, Patient(good), stop, until, workers=3)
    assert not texts
    alone = Patient(good).solve(problem, Stop(time_limit_s=0.0), good, Silent())
    np.testing.assert_array_equal(found.assignment.option, alone.assignment.option)
    assert found.status is SolveStatus.TIME_LIMIT
    assert all(one is not found.assignment for one in found.seen)
    assert bool(found.seen) >= bool(good)


@pytest.mark.parametrize("objective", list(Objective))
def test_a_search_that_ends_by_itself_is_proven(objective: Objective) -> None:
    """Nothing limits it: the proof is waited for, or made here if none was begun."""
    problem = problem_for(objective)
    found, _ = run(problem, Patient(is_patient=False), Stop())
    assert found.certificate is not None
    assert found.lower_bound_s > 0


def test_a_search_that_ends_at_once_begins_no_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor does its proof, which is made here."""
    monkeypatch.setattr(worker, "_PATIENCE_S", 600.0)
    monkeypatch.setattr(worker, "_begin", None)
    found, texts = run(
        problem_for(Objective.STEP), Patient(is_patient=False), Stop(time_limit_s=60.0)
    )
    assert not texts
    assert found.certificate is not None
    assert found.status is SolveStatus.FEASIBLE


@pytest.mark.parametrize("objective", list(Objective))
def test_without_other_processes_there_is_time_for_a_proof(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search ends sooner, and this process proves."""
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    monkeypatch.setattr(module, "_ALONE_SHARE", 0.01)
    problem, stop = problem_for(objective), Stop(time_limit_s=100.0)
    found, texts = run(problem, Patient(), stop)
    assert found.certificate is not None
    assert found.lower_bound_s > 0
    assert len(texts) == 1


def test_a_process_that_dies_costs_only_its_work() -> None:
    """The search goes on; a warning says what was lost."""
    problem, stop = problem_for(Objective.STEP), Stop()
    before = children_of(os.getpid())

    def kill() -> None:
        new = [pid for pid in children_of(os.getpid()) if pid not in before]
        for pid in new:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: children_of(os.getpid()) == before, "their end")
        stop.requested = True

    threading.Timer(2.0, kill).start()
    found, texts = run(problem, Patient(), stop, workers=3)
    assert found.assignment is not None
    assert len(texts) == 2
    for number, text in enumerate(texts, 1):
        assert text.startswith(f"worker {number} of the search was lost: ended by SIG")


def test_an_error_here_ends_all() -> None:
    """Ctrl-C at once, or a bug: no process is left, as the fixture sees."""

    class Broken:
        def solve(self, *_: object) -> SolverResult:
            wait_until(lambda: len(children_of(os.getpid())) > len(before), "a process")
            raise KeyboardInterrupt

    before = children_of(os.getpid())
    with pytest.raises(KeyboardInterrupt):
        run(problem_for(Objective.STEP), _Pickled(Broken()), Stop(), workers=2)


class _Pickled:
    """A solver of this process, which others need not make."""

    def __init__(self, solver: Any) -> None:
        self.solve = solver.solve

    def __reduce__(self) -> Any:
        return Patient, ()


@pytest.mark.parametrize("objective", SUMS)
def test_what_cannot_be_pickled_is_solved_by_one(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, and the proof is made here."""
    monkeypatch.setattr(module, "_ALONE_SHARE", 0.01)
    problem = replace(problem_for(objective), bundles=_Unpicklable())
    stop = Stop(time_limit_s=100.0)
    found, texts = run(problem, Patient(), stop)
    assert found.certificate is not None
    (text,) = texts
    assert text.startswith("no other process takes part in the search: ")


class _Unpicklable:
    """Bundles that stay here."""

    def __init__(self) -> None:
        self._bundles = problem_for(Objective.STEP).bundles

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_bundles"], name)

    def __len__(self) -> int:
        return len(self._bundles)

    def __reduce__(self) -> Any:
        raise TypeError("stays here")


def test_the_proof_of_few_tables_brings_a_plan() -> None:
    """It competes with all others, and so does what its process finds later."""
    problem, best_s = tiny(1)
    heard: list[Any] = []
    stop = Stop(time_limit_s=2.0)
    task = Prove(DEFAULTS.proof, has_plans=True)
    task.run(problem, stop, Known(1.3 * best_s), heard.append)
    assert [type(word) for word in heard] == [Proven, Found, Searched]
    plan = heard[2].result.assignment
    assert heard[1].value_s == problem.value(plan)
    worse = next(
        one
        for one in (
            random_assignment(problem, np.random.default_rng(k)) for k in count()
        )
        if problem.value(one) > problem.value(plan)
    )
    findings = Findings(Stop(), Silent(), lambda value_s: None)
    own = SolverResult(worse, 0.0, SolveStatus.FEASIBLE)
    for word in (*heard, Searched(own)):
        findings.hear(1, word)
    assert findings.result(problem, own).assignment is plan


def test_a_proof_that_nothing_limits_brings_no_plan() -> None:
    problem, best_s = tiny(1)
    heard: list[Any] = []
    task = Prove(DEFAULTS.proof, has_plans=False)
    task.run(problem, Stop(), Known(1.3 * best_s), heard.append)
    assert [type(word) for word in heard] == [Proven]


@pytest.mark.parametrize("limit_s", [60.0, float("inf")])
def test_plans_come_with_proofs_that_have_a_limit(
    limit_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bool] = []

    def prove(params: Any, *, has_plans: bool) -> Prove:
        made.append(has_plans)
        return Prove(params, has_plans=has_plans)

    monkeypatch.setattr(module, "Prove", prove)
    stop = Stop(time_limit_s=limit_s, gap=1e3)
    run(problem_for(Objective.TIME), Patient(), stop)
    assert made == [limit_s < float("inf")]
