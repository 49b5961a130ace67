"""A solver that searches here while other processes prove and search, too."""

from __future__ import annotations

import pickle
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Self

from shardplan.certify.highs import tell
from shardplan.solvers.crew.child import Job, Word
from shardplan.solvers.crew.findings import Findings
from shardplan.solvers.crew.tasks import Known, Prove, Search
from shardplan.solvers.crew.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shardplan.certify.params import ProofParams
    from shardplan.problems.problem import Problem
    from shardplan.solvers.base import Observer, Solver, SolverResult, Stop

LEAST_S = 3.0
"""Time limit from which other processes are worth their start, half a second [s]."""
_ENDLESS_S = 30.0
"""For the others after this search, where nothing limits it: nobody waits for long."""
_ALONE_SHARE = 0.7
"""Share of the time after which the search ends if nobody else is at the proof."""
_GRACE_S, _GRACE_SHARE = 1.0, 0.1
"""What the others have for their last step once they are told to stop [s], and as a
share of all the time: a step may take long where the problem is large."""
_LOOK_S = 0.1
"""Between looks at whether time is over [s]."""
_SEED_STEP, _SEEDS = 1_000_003, 2**32
"""Between seeds of searches, for some use the next ones for parts of theirs."""


class Crew:
    """A search in this process, a proof and further searches in others.

    Parameters
    ----------
    solver : Solver
        Searches, and leaves the proof to others.
    proof : ProofParams
    workers : int
        Processes, this one included; at least 2.
    """

    def __init__(self, solver: Solver, proof: ProofParams, workers: int) -> None:
        self.solver, self._proof, self._workers = solver, proof, workers

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        """See `Solver`."""
        prove = Prove(self._proof, has_plans=not stop.is_endless)
        others = _Others()
        findings = Findings(stop, observer, others.say)
        with others:
            try:
                others.begin(self._jobs(problem, stop, seed, prove), stop, findings)
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                tell(f"no other process takes part in the search: {error}")
            with _unless_alone(stop, others, findings):
                own = self.solver.solve(problem, stop, seed, findings)
            if own.assignment is not None:
                findings.improved(problem.value(own.assignment), own.lower_bound_s)
                with stop.sooner(_ENDLESS_S if stop.is_endless else float("inf")):
                    _prove(prove, problem, others, stop, findings)
            others.stop(stop, findings)
        stop.is_enough = False
        return findings.result(problem, own)

    def _jobs(self, problem: Problem, stop: Stop, seed: int, prove: Prove) -> list[Job]:
        """Make the jobs of the other processes: the first one proves before."""
        data = pickle.dumps(problem)
        jobs = []
        for number in range(1, self._workers):
            search = Search(self.solver, (seed + number * _SEED_STEP) % _SEEDS)
            tasks = (prove, search) if number == 1 else (search,)
            jobs.append(Job(pickle.dumps(tasks), data, stop.gap))
        return jobs


def _prove(
    task: Prove, problem: Problem, others: _Others, stop: Stop, findings: Findings
) -> None:
    """Wait for the proof after the search; make it here if nobody is at it."""
    with findings.changed:
        while others.is_proving and not (findings.is_proven or stop.now()):
            findings.changed.wait(_LOOK_S)
    if not (findings.is_proven or stop.now()):
        others.end_idle()
        task.run(problem, stop, Known(findings.value_s), partial(findings.hear, 0))


class _Others:
    """The other processes; leaving the block ends them, however it is left."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.end()

    def begin(self, jobs: Sequence[Job], stop: Stop, findings: Findings) -> None:
        """Begin a process for each job."""
        # Parts of the search have limits of their own, within this one.
        ends_s = stop.elapsed_s() + stop.remaining_s()

        def remaining_s() -> float:
            return max(0.0, ends_s - stop.elapsed_s())

        for number, job in enumerate(jobs, 1):
            hear = partial(findings.hear, number)
            self._workers.append(Worker(job, remaining_s, hear))

    @property
    def is_proving(self) -> bool:
        """Whether the one that proves before it searches is at work."""
        return bool(self._workers) and self._workers[0].is_at_work

    def end_idle(self) -> None:
        """End those that are not at work, most often not yet."""
        for worker in self._workers:
            if not worker.is_at_work:
                worker.end()

    def say(self, word: object) -> None:
        """Tell all the value of a plan [s], or to stop."""
        for worker in self._workers:
            worker.say(word)

    def stop(self, stop: Stop, findings: Findings) -> None:
        """Tell all to stop, and wait for what they have by then."""
        self.say(Word.STOP)
        now_s = stop.elapsed_s()
        latest_s = now_s + _GRACE_S + _GRACE_SHARE * now_s
        with findings.changed:
            while stop.elapsed_s() < latest_s and any(
                worker.is_at_work for worker in self._workers
            ):
                findings.changed.wait(_LOOK_S)


@contextmanager
def _unless_alone(stop: Stop, others: _Others, findings: Findings) -> Iterator[None]:
    """Within the block, end the search in time for a proof if nobody else makes it."""
    if stop.is_endless:
        yield
        return
    is_cut = False

    def look() -> None:
        nonlocal is_cut
        if not (others.is_proving or findings.is_proven):
            is_cut = stop.is_enough = True

    timer = threading.Timer(_ALONE_SHARE * stop.remaining_s(), look)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if is_cut:
            stop.is_enough = False
