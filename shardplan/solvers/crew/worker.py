"""A process beside this one, from this side: begun, talked to, and surely ended."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING

from shardplan.solvers.crew import child
from shardplan.solvers.crew.child import Ended, Word

if TYPE_CHECKING:
    from collections.abc import Callable

    from shardplan.solvers.crew.child import Job

_ROOT = Path(__file__).resolve().parents[3]
_COMMAND = f"from {child.__name__} import main; main()"
_PATIENCE_S = 0.5
"""What ends sooner needs no other process: each takes as long to begin [s]."""
_OF_GROUPS = {getattr(signal, f"SIG{name}", signal.SIGINT) for name in ("INT", "TERM")}
"""Signals that terminals and schedulers send to all processes of a group."""


class Worker:
    """Does a job in a process of its own; all that is slow about it is in threads.

    Parameters
    ----------
    job : Job
    remaining_s : callable
        Tells how many seconds are left when the process is ready for the job.
    hear : callable
        Is called with all that it tells, in another thread; with an `Ended` at last.

    Attributes
    ----------
    is_at_work : bool
        Whether it has begun with the job, and not ended.

    Notes
    -----
    A new interpreter, and not `multiprocessing`: that would run the script that called
    this one again wherever it has no ``if __name__ == "__main__"``, and forks of a
    process with threads may hang. Ctrl-C and SIGTERM that go to a whole group of
    processes do not reach it: it is told to stop, and has time to tell what it found.
    It ends with this process, however that ends, for then its standard input does.
    """

    def __init__(
        self,
        job: Job,
        remaining_s: Callable[[], float],
        hear: Callable[[object], None],
    ) -> None:
        self._job, self._remaining_s, self._hear = job, remaining_s, hear
        self._words: SimpleQueue[object] = SimpleQueue()
        self._is_unwanted, self._ready = threading.Event(), threading.Event()
        self.is_at_work = False
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def say(self, word: object) -> None:
        """Tell it the value of a plan [s], or to stop."""
        self._words.put(word)

    def end(self) -> None:
        """End it at once, whatever it is at."""
        with self._lock:
            self._is_unwanted.set()
            if self._process is not None:
                self._process.kill()
        self._thread.join()

    def _run(self) -> None:
        if self._is_unwanted.wait(_PATIENCE_S):
            return
        if hasattr(signal, "pthread_sigmask"):  # inherited by what this thread begins
            signal.pthread_sigmask(signal.SIG_BLOCK, _OF_GROUPS)
        try:
            with self._lock:
                if self._is_unwanted.is_set():
                    return
                process = self._process = _begin()
            ended = self._talk(process)
        except Exception as error:
            if self._process is not None:
                self._process.kill()
            ended = Ended(failure=f"{type(error).__name__}: {error}")
        self.is_at_work = False
        self._hear(ended)

    def _talk(self, process: subprocess.Popen[bytes]) -> Ended:
        """Hand on what a process tells until it ends; return how that was."""
        assert process.stdin is not None
        assert process.stdout is not None
        writer = threading.Thread(target=self._write, args=(process.stdin,))
        writer.start()
        last: object = None
        with suppress(EOFError, pickle.UnpicklingError):
            while not isinstance(last, Ended):
                last = pickle.load(process.stdout)
                if last is Word.READY:
                    self.is_at_work = True
                    self._ready.set()
                elif not isinstance(last, Ended):
                    self._hear(last)
        if isinstance(last, Ended):
            process.kill()  # it would only tidy up
        self._words.put(None)
        self._ready.set()
        with process.stdout, suppress(OSError):
            process.stdin.close()
        process.wait()
        writer.join()
        if isinstance(last, Ended):
            return last
        return Ended("" if self._is_unwanted.is_set() else _how(process.returncode))

    def _write(self, inbox: IO[bytes]) -> None:
        """Send the job, the time that there is for it, and all that is said."""
        with suppress(OSError, ValueError):  # it is no more
            pickle.dump(self._job, inbox)
            inbox.flush()
            del self._job  # the problem may take hundreds of MB
            self._ready.wait()
            word: object = self._remaining_s()
            while word is not None:
                pickle.dump(word, inbox)
                inbox.flush()
                word = self._words.get()


def _begin() -> subprocess.Popen[bytes]:
    """Begin an interpreter that finds the same modules as this one."""
    paths = [str(_ROOT), *(path or str(Path.cwd()) for path in sys.path)]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def _how(code: int) -> str:
    """Say how a process ended that had not done its job."""
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
