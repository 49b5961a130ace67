"""Tasks for processes of tests, which find them here by import."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shardplan.certify.highs import tell as warn
from shardplan.problems.problem import Assignment
from shardplan.records.sharding import Objective
from shardplan.solvers.base import Silent, SolverResult, Stop, finished
from shardplan.solvers.by_step_time import ByStepTime
from shardplan.solvers.greedy import Greedy

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.problems.problem import Problem
    from shardplan.solvers.base import Observer
    from shardplan.solvers.crew.tasks import Ear, Tell


@dataclass(frozen=True)
class Wait:
    """Tells its process, its time and the first value, until it is told to stop."""

    def run(self, problem: Problem, stop: Stop, ear: Ear, tell: Tell) -> None:
        tell(os.getpid())
        tell(stop.time_limit_s)
        tell(ear.plan_value())
        while not stop.now():
            time.sleep(0.01)


@dataclass(frozen=True)
class Stubborn:
    """Tells its process, and does not stop."""

    def run(self, problem: Problem, stop: Stop, ear: Ear, tell: Tell) -> None:
        tell(os.getpid())
        time.sleep(600)


@dataclass(frozen=True)
class Fail:
    """Fails; writes to standard output before, and warns."""

    def run(self, problem: Problem, stop: Stop, ear: Ear, tell: Tell) -> None:
        os.write(1, b"not for anybody")
        warn("a warning")
        raise ValueError("on purpose")


@dataclass(frozen=True)
class Die:
    """Is killed."""

    def run(self, problem: Problem, stop: Stop, ear: Ear, tell: Tell) -> None:
        tell("alive")
        os.kill(os.getpid(), signal.SIGKILL)


class Strange:
    """Can be pickled, but not be read again."""

    def __reduce__(self) -> tuple[object, ...]:
        return _refuse, ()


def _refuse() -> None:
    raise RuntimeError("cannot be read")


@dataclass(frozen=True)
class Patient:
    """A solver that waits until it is stopped, with a plan as bad as its seed is far.

    Attributes
    ----------
    good : int
        The seed with which it has greedy's plan; with others all tables are on rank 0.
    """

    good: int = 0
    is_patient: bool = True

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        is_step = problem.objective is Objective.TIME
        greedy = ByStepTime(Greedy()) if is_step else Greedy()
        plan = greedy.solve(problem, Stop(), seed, Silent()).assignment
        assert plan is not None
        if seed != self.good:
            whole = problem.options.start[:-1]  # the first option is table_wise
            places = tuple(np.zeros(1, dtype=np.int64) for _ in whole)
            plan = Assignment(whole, places)
        value_s = problem.value(plan)
        observer.improved(value_s, 0.0)
        while self.is_patient and not stop.now():
            time.sleep(0.01)
        return finished(plan, value_s, 0.0, stop)


def is_alive(pid: int) -> bool:
    """Whether a process is there, and not only its end left to be looked at."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return _state(pid) != "Z"


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "?"


def children_of(pid: int) -> list[int]:
    """Processes that another one, or one of its threads, has begun."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(number) for number in path.read_text().split()]
    return found


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that comes; fail if it does not."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError(f"it never came: {what}")


def patient(params: object) -> Patient:
    """Make a patient solver by name, as if it were a built-in one."""
    return Patient()
