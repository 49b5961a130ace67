"""Points on the workers of a Dask cluster: processes of this machine, or any cluster.

A task is the small description of a point; the study travels once, as the result of a
task of its own, which workers get from each other and the scheduler makes again if all
that had it are gone.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import time
import warnings
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import islice
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, Self

from shardplan.errors import InputError
from shardplan.studies.columns import RESULTS
from shardplan.studies.packing import to_wire
from shardplan.studies.pools.remote import version
from shardplan.studies.pools.task import PointOutcome
from shardplan.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from shardplan.studies.pools.task import Task
    from shardplan.studies.spec import StudySpec

_AHEAD = 4
"""Tasks per worker that are handed out: enough that none waits, few to lose."""
_LEAST_AHEAD = 64
"""Tasks handed out at least: workers may come later."""
_MOST_TOGETHER = 8
"""Points that go to a worker and come back together."""
_TRIP_S = 0.5
"""For them to take together [s]: about 10 ms of processor time go into each trip."""
_FADING = 0.9
"""What is left of a slow point when the next one is looked at."""
_CONNECT_S = 10.0
"""For a scheduler to answer [s]."""
_LOOK_S = 0.01
"""Between looks at what has finished [s]."""
_QUIET_S = 10.0
"""Without any worker, before it is said that the study waits [s]."""
_CLOSE_S = 2.0
"""For workers to go before they are ended [s]."""
_HTTP = "127.0.0.1:0"
"""Dask serves pages also without a dashboard: not to other machines, at any free port.

At its own port it would warn of every second study of a machine.
"""
_SETTINGS = {
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
}
"""Dask's workers give memory back at once, which each point takes again, and look at
what they do 100 times a second; all loops see 50 times whether they are late. Together
this is a fifth of the time of quick points."""
_MAIN = (
    "workers import the script that starts them: call run() in it only below "
    "if __name__ == '__main__':, or with workers=1"
)


class DaskPool:
    """Runs points on the workers of a client.

    Parameters
    ----------
    client : distributed.Client
    cluster : distributed.LocalCluster, optional
        Closed with the pool.
    """

    def __init__(
        self,
        client: Any,
        spec: StudySpec,
        known: Collection[str] = (),
        cluster: Any = None,
    ) -> None:
        self._client, self._cluster = client, cluster
        self._errand = _errand()
        self._each_s = _TRIP_S
        content = to_wire(spec, known)
        self._digest = sha256(content).hexdigest()
        self._study = client.submit(
            bytes, content, key=f"shardplan-study-{self._digest}", pure=False
        )

    @classmethod
    def on_this_machine(
        cls, workers: int, spec: StudySpec, known: Collection[str] = ()
    ) -> Self:
        """Start so many processes of one thread.

        Raises
        ------
        InputError
            Without dask, or if they cannot start.
        """
        distributed = require_dask("workers")
        import dask

        if multiprocessing.parent_process() is not None:
            raise InputError.single("study", "workers", workers, _MAIN)
        try:
            with _without_ctrl_c(), dask.config.set(_SETTINGS):
                cluster = distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    scheduler_kwargs={"dashboard_address": _HTTP},
                    silence_logs=logging.CRITICAL,
                )
                client = distributed.Client(cluster, set_as_default=False)
        except (OSError, RuntimeError, TimeoutError) as error:
            rule = f"cannot start: {error}; {_MAIN}"
            raise InputError.single("study", "workers", workers, rule) from error
        return cls(client, spec, known, cluster)

    @classmethod
    def on_scheduler(
        cls, address: str, spec: StudySpec, known: Collection[str] = ()
    ) -> Self:
        """Use the workers of a scheduler that runs already; more may come later.

        Raises
        ------
        InputError
            Without dask, if nothing answers, or if a worker has another shardplan.
        """
        distributed = require_dask("scheduler")
        try:
            client = distributed.Client(
                address, timeout=_CONNECT_S, set_as_default=False
            )
        except (OSError, ValueError, TimeoutError) as error:
            rule = f"no scheduler answers there: {error}"
            raise InputError.single("study", "scheduler", address, rule) from error
        try:
            _require_same(client.run(version, on_error="return"), address)
            return cls(client, spec, known)
        except BaseException:
            client.close(timeout=_CLOSE_S)
            raise

    def results(self, tasks: Iterable[Task]) -> Iterator[list[PointOutcome]]:
        """Yield outcomes as they come, and hand out as many tasks anew."""
        waiting = iter(tasks)
        workers = len(self._client.nthreads()) if self._cluster else 0
        ahead = max(_LEAST_AHEAD, _AHEAD * workers)
        running = require_dask("workers").as_completed(
            loop=self._client.loop, with_results=True, raise_errors=False
        )
        handed: dict[str, list[Task]] = {}

        def hand_out(some: list[Task]) -> None:
            future = self._submit(some)
            handed[future.key] = some
            running.add(future)

        for task in islice(waiting, ahead):
            hand_out([task])
        for batch in self._batches(running):
            found: list[PointOutcome] = []
            for future, result in batch:
                some = handed.pop(future.key)
                if future.status == "error" and len(some) > 1:
                    # One of them ended the worker; the others shall not be lost.
                    for task in some:
                        hand_out([task])
                    continue
                found += self._outcomes(future, result, some)
                if more := list(islice(waiting, self._together())):
                    hand_out(more)
            if found:
                yield found

    def close(self) -> None:
        """Let go of the workers; end those that were started here."""
        with suppress(Exception):
            self._client.close(timeout=_CLOSE_S)
        if self._cluster is not None:
            with suppress(Exception):
                self._cluster.close(timeout=_CLOSE_S)

    def _batches(self, running: Any) -> Iterator[list[tuple[Any, Any]]]:
        """Yield what has finished; warn once where there is nobody to work."""
        is_said, quiet_since = False, time.monotonic()
        while not running.is_empty():
            if batch := running.next_batch(block=False):
                yield batch
                quiet_since = time.monotonic()
                continue
            time.sleep(_LOOK_S)
            if is_said or time.monotonic() - quiet_since < _QUIET_S:
                continue
            quiet_since = time.monotonic()
            with suppress(OSError, TimeoutError, ValueError):  # it is about to end
                if not self._client.nthreads():
                    at = self._client.scheduler.address
                    text = f"the scheduler at {at} has no workers: the study waits"
                    warnings.warn(f"{text} for some", UserWarning, stacklevel=2)
                    is_said = True

    def _together(self) -> int:
        """Return how many points go together: quick ones, for each trip takes time."""
        return max(1, min(_MOST_TOGETHER, int(_TRIP_S / max(self._each_s, 1e-3))))

    def _submit(self, tasks: list[Task]) -> Any:
        names = "+".join(task["id"] for task in tasks)
        key = f"shardplan-point-{names}-{self._digest[:16]}"
        arguments = (self._study, self._digest, tasks, VERSION)
        return self._client.submit(self._errand, *arguments, key=key, pure=False)

    def _outcomes(
        self, future: Any, result: Any, tasks: list[Task]
    ) -> list[PointOutcome]:
        # What a worker found holds, even if it is killed before this is read: by then
        # its future may be "cancelled". Errors begin with their class.
        if isinstance(result, tuple) and isinstance(result[0], str):
            worker, found, seconds = result
            if isinstance(found, str):
                raise _refusal({worker: found})
            # The first point of a worker takes long, and one that is known no time.
            self._each_s = max(seconds / len(tasks), _FADING * self._each_s)
            outcomes: list[PointOutcome] = found
            return outcomes
        if future.status == "error":
            return [_lost(task, result[1]) for task in tasks]
        rule = "is gone; what is finished is kept, and the same command goes on"
        raise InputError.single("study", "scheduler", None, rule)


def _errand() -> Callable[..., tuple[str, list[PointOutcome] | str, float]]:
    """Return what workers are sent: a function that travels by value, for being local.

    A worker without shardplan could not read one of a module, and would end without a
    word. It returns the worker's address, the outcomes, or the release there, and the
    seconds that they took.
    """

    def run_there(
        content: bytes, digest: str, tasks: list[Task], wanted: str
    ) -> tuple[str, list[PointOutcome] | str, float]:
        import time

        from distributed import get_worker

        address, began = str(get_worker().address), time.perf_counter()
        try:
            from shardplan.studies.pools.remote import run_tasks
        except ImportError:
            return address, "missing", 0.0
        found = run_tasks(content, digest, tasks, wanted)
        return address, found, time.perf_counter() - began

    return run_there


def _lost(task: Task, error: Exception) -> PointOutcome:
    """Return the outcome of a point whose workers died, each time it was tried."""
    text = f"lost: {type(error).__name__}: {error}"
    values: dict[str, Any] = {column.name: None for column in RESULTS}
    values |= {"status": "error", "message": " ".join(text.split())}
    return PointOutcome(id=task["id"], key="", values=values, is_final=False)


def require_dask(argument: str) -> Any:
    """Return the library, or say which argument needs it.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        import distributed
    except ImportError as error:
        rule = "other processes need dask: pip install 'shardplan[study]'"
        raise InputError.single("study", argument, None, rule) from error
    return distributed


def _require_same(found: dict[str, Any], address: str) -> None:
    others = {worker: what for worker, what in found.items() if what != VERSION}
    if others:
        raise _refusal(others)


def _refusal(others: dict[str, Any]) -> InputError:
    """Return the error for workers with other releases, or without any."""
    from shardplan.errors import Fault

    rule = f"install shardplan {VERSION} there, as it is here"
    return InputError(
        Fault(worker, "shardplan", what if isinstance(what, str) else "missing", rule)
        for worker, what in others.items()
    )


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Keep Ctrl-C from processes that are started within: it comes to this one alone.

    A terminal sends it to all processes; workers would end with tracebacks. Threads
    and processes inherit what is blocked.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # when it starts, it unblocks Ctrl-C
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
