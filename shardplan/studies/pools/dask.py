"""Points on the workers of a Dask cluster: processes of this machine, or any cluster.

A task is the small description of a point; the study travels once, as the result of a
task of its own, which workers get from each other and the scheduler makes again if all
that had it are gone.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from shardplan.errors import InputError
from shardplan.studies.columns import RESULTS
from shardplan.studies.packing import to_wire
from shardplan.studies.pools.task import PointOutcome
from shardplan.version import VERSION
from shardplan.workers.dask import DaskWorkers, refusal

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


class DaskPool:
    """Runs points on the workers of a client.

    Parameters
    ----------
    workers : DaskWorkers
        Closed with the pool.
    """

    def __init__(
        self, workers: DaskWorkers, spec: StudySpec, known: Collection[str] = ()
    ) -> None:
        self._workers, self._client = workers, workers.client
        self._errand = _errand()
        self._each_s = _TRIP_S
        content = to_wire(spec, known)
        self._digest = sha256(content).hexdigest()
        self._study = self._client.submit(
            bytes, content, key=f"shardplan-study-{self._digest}", pure=False
        )

    @classmethod
    def on_this_machine(
        cls, workers: int, spec: StudySpec, known: Collection[str] = ()
    ) -> Self:
        """Start so many processes; see `DaskWorkers.on_this_machine`."""
        return cls(DaskWorkers.on_this_machine(workers, "study", "run()"), spec, known)

    @classmethod
    def on_scheduler(
        cls, address: str, spec: StudySpec, known: Collection[str] = ()
    ) -> Self:
        """Use the workers of a scheduler; see `DaskWorkers.on_scheduler`."""
        return cls(DaskWorkers.on_scheduler(address, "study"), spec, known)

    def results(self, tasks: Iterable[Task]) -> Iterator[list[PointOutcome]]:
        """Yield outcomes as they come, and hand out as many tasks anew."""
        waiting = iter(tasks)
        ahead = max(_LEAST_AHEAD, _AHEAD * self._workers.count())
        running = self._workers.running()
        handed: dict[str, list[Task]] = {}

        def hand_out(some: list[Task]) -> None:
            future = self._submit(some)
            handed[future.key] = some
            running.add(future)

        for task in islice(waiting, ahead):
            hand_out([task])
        for batch in self._workers.batches(running):
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
        self._workers.close()

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
                raise refusal({worker: found})
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
