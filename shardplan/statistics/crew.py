"""Who does the errands of a run: this process, or workers of Dask."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from shardplan.errors import InputError
from shardplan.statistics.errands import Errand, run_errand
from shardplan.version import VERSION
from shardplan.workers.dask import DaskWorkers, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shardplan.errors import Fault
    from shardplan.statistics.work_folder import WorkFolder

_WHERE = "stats"
_AHEAD = 2
"""Errands per worker that are handed out."""
_LEAST_AHEAD = 16
"""Errands handed out at least on a scheduler: workers may come later."""


class Workforce(Protocol):
    """Does errands, in any order and any number at a time.

    Attributes
    ----------
    ahead : int
        Errands to hand out before the first has to be finished.
    """

    ahead: int

    def hand_out(self, errand: Errand) -> None:
        """Give something to do."""

    def finished(self) -> list[str]:
        """Wait, and return the keys of what is done."""

    def close(self) -> None:
        """Let go of workers; what they are at is lost."""


class LocalCrew:
    """The process itself does one errand after the other."""

    ahead = 1

    def __init__(self, folder: WorkFolder) -> None:
        self._folder = str(folder.path)
        self._waiting: deque[Errand] = deque()

    def hand_out(self, errand: Errand) -> None:
        """Take note of an errand."""
        self._waiting.append(errand)

    def finished(self) -> list[str]:
        """Do the next errand."""
        errand = self._waiting.popleft()
        if faults := run_errand(self._folder, ".", errand):
            raise InputError(faults)
        return [errand.key]

    def close(self) -> None:
        """Nothing is held."""


class DaskCrew:
    """Workers of Dask.

    Parameters
    ----------
    workers : DaskWorkers
        Closed with the crew.
    """

    def __init__(self, folder: WorkFolder, workers: DaskWorkers) -> None:
        self._places = str(folder.path.resolve()), str(Path.cwd())
        self._workers = workers
        self._running = workers.running()
        self._handed: dict[str, Errand] = {}
        self._errand = _errand()
        self.ahead = _AHEAD * workers.count() or _LEAST_AHEAD

    def hand_out(self, errand: Errand) -> None:
        """Submit an errand; its name on the scheduler is that of its result."""
        future = self._workers.client.submit(
            *(self._errand, *self._places, tuple(errand), VERSION),
            key=f"shardplan-stats-{errand.what}-{errand.key}",
            pure=False,
        )
        self._handed[future.key] = errand
        self._running.add(future)

    def finished(self) -> list[str]:
        """Wait for some workers.

        Raises
        ------
        InputError
            For what they could not do, for workers that are gone, and for those with
            another shardplan.
        """
        found = []
        for future, result in next(self._workers.batches(self._running)):
            errand = self._handed.pop(future.key)
            self._require(future, result, errand)
            found.append(errand.key)
        return found

    def close(self) -> None:
        """Let go of the workers."""
        self._workers.close()

    def _require(self, future: Any, result: Any, errand: Errand) -> None:
        """Raise what went wrong with an errand."""
        if future.status == "error" and "Killed" in type(result[1]).__name__:
            rule = f"workers end when they are at it: {result[1]}"
            what = errand.arguments[0] if errand.what in ("count", "order") else ""
            raise InputError.single(_WHERE, errand.what, str(what)[:200], rule)
        if future.status == "error":
            raise result[1]
        if not isinstance(result, tuple):
            rule = "is gone; what is counted is kept, and the same command goes on"
            raise InputError.single(_WHERE, "scheduler", None, rule)
        worker, found = result
        if isinstance(found, str):
            raise refusal({worker: found})
        if found:
            raise InputError(found)


def _errand() -> Callable[..., tuple[str, list[Fault] | str]]:
    """Return what workers are sent: a function that travels by value, for being local.

    A worker without shardplan could not read one of a module. It returns the worker's
    address, and what went wrong or the release there.
    """

    def run_there(
        folder: str, base: str, errand: tuple[Any, ...], wanted: str
    ) -> tuple[str, list[Fault] | str]:
        from distributed import get_worker

        address = str(get_worker().address)
        try:
            from shardplan.version import VERSION

            if wanted != VERSION:
                return address, VERSION
            from shardplan.statistics.errands import Errand, run_errand
        except ImportError:
            return address, "missing"
        return address, run_errand(folder, base, Errand(*errand))

    return run_there


def work(
    crew: Workforce, errands: Iterable[Errand], then: Callable[[str], list[Errand]]
) -> None:
    """Have errands done, and what follows of those that are done first of all.

    Parameters
    ----------
    errands : iterable of Errand
        Asked for the next one only when there is somebody to do it.
    then : callable
        Called with the key of each that is done.
    """
    more, running = iter(errands), 0
    waiting: deque[Errand] = deque()
    while True:
        while running < crew.ahead:
            errand = waiting.popleft() if waiting else next(more, None)
            if errand is None:
                break
            crew.hand_out(errand)
            running += 1
        if not running:
            return
        for key in crew.finished():
            running -= 1
            waiting.extend(then(key))


def make_crew(folder: WorkFolder, workers: int, scheduler: str | None) -> Workforce:
    """Return who is to work for a run.

    Raises
    ------
    InputError
        Without dask where it is needed, and if workers cannot start or be reached.
    """
    if scheduler is not None:
        return DaskCrew(folder, DaskWorkers.on_scheduler(scheduler, _WHERE))
    if workers == 1:
        return LocalCrew(folder)
    here = DaskWorkers.on_this_machine(workers, _WHERE, "measure()")
    return DaskCrew(folder, here)
