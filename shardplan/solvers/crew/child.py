"""A process of its own, from its side: it does one job, and never outlives the other.

Both sides send pickles. In come a `Job`, the seconds that it may take, values of plans,
and `Word.STOP`; out go `Word.READY`, what the tasks tell, and an `Ended`.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from dataclasses import dataclass
from enum import Enum
from typing import IO, TYPE_CHECKING

from shardplan.certify.highs import failures
from shardplan.solvers.base import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.problems.problem import Problem
    from shardplan.solvers.crew.tasks import CrewTask


class Word(Enum):
    """What is said without a number."""

    READY = "ready"
    STOP = "stop"


@dataclass(frozen=True)
class Job:
    """What a process is begun for.

    Attributes
    ----------
    tasks : bytes
        A pickled tuple of `tasks.CrewTask`: one after the other.
    problem : bytes
        A pickled `Problem`: one for all processes.
    gap : float
        As of `Stop`.
    """

    tasks: bytes
    problem: bytes
    gap: float


@dataclass(frozen=True)
class Ended:
    """How a job ended: what failed, if anything, and warnings for the user."""

    failure: str = ""
    warnings: tuple[str, ...] = ()


class _Parent:
    """Listens to the process that began this one, and ends this one with it.

    Parameters
    ----------
    inbox : binary file
        Its end means that the other process is no more.
    stop : Stop
        Of the tasks.
    """

    def __init__(self, inbox: IO[bytes], stop: Stop) -> None:
        self._inbox, self._stop = inbox, stop
        self._value_s: float | None = None
        self._has_heard = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def plan_value(self) -> float | None:
        """See `tasks.Ear`."""
        self._has_heard.wait()
        return self._value_s

    def _listen(self) -> None:
        while True:
            try:
                word = pickle.load(self._inbox)
            except (EOFError, OSError, pickle.UnpicklingError):
                os._exit(1)  # whatever it is at: nobody wants it any more
            if word is Word.STOP:
                self._stop.requested = True
            else:  # several may have waited for this process
                self._value_s = min(word, self._value_s or word)
            self._has_heard.set()


def main() -> None:
    """Do the job that standard input brings; what is found goes to standard output."""
    inbox, outbox = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what others print must not get between

    def tell(message: object) -> None:
        outbox.write(pickle.dumps(message))
        outbox.flush()

    with failures() as warnings:
        try:
            _do(inbox, tell)
            failure = ""
        except EOFError:  # not needed any more
            return
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
    tell(Ended(failure, tuple(warnings)))


def _do(inbox: IO[bytes], tell: Callable[[object], None]) -> None:
    tasks, problem, gap = _read(inbox)
    tell(Word.READY)
    stop = Stop(time_limit_s=pickle.load(inbox), gap=gap)
    ear = _Parent(inbox, stop)
    for task in tasks:
        if not stop.now():
            task.run(problem, stop, ear, tell)


def _read(inbox: IO[bytes]) -> tuple[tuple[CrewTask, ...], Problem, float]:
    """Read a job, and let go of its bytes, which may be hundreds of MB."""
    job = pickle.load(inbox)
    return pickle.loads(job.tasks), pickle.loads(job.problem), job.gap
