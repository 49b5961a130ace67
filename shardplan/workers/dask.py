"""Workers of Dask: processes of this machine, or those of a scheduler that runs."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import time
import warnings
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, Self

from shardplan.errors import Fault, InputError
from shardplan.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CONNECT_S = 10.0
"""For a scheduler to answer [s]."""
_LOOK_S = 0.01
"""Between looks at what has finished [s]."""
_QUIET_S = 10.0
"""Without any worker, before it is said that all waits [s]."""
_CLOSE_S = 2.0
"""For workers to go before they are ended [s]."""
_HTTP = "127.0.0.1:0"
"""Dask serves pages also without a dashboard: not to other machines, at any free port.

At its own port it would warn of every second run of a machine.
"""
_SETTINGS = {
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
}
"""Dask's workers give memory back at once, which each task takes again, and look at
what they do 100 times a second; all loops see 50 times whether they are late. Together
this is a fifth of the time of quick tasks."""


class DaskWorkers:
    """The workers of a client.

    Parameters
    ----------
    client : distributed.Client
    cluster : distributed.LocalCluster, optional
        Closed with the client.
    where : str
        Whose arguments errors name, such as ``study``.
    """

    def __init__(self, client: Any, cluster: Any = None, where: str = "") -> None:
        self.client, self.cluster = client, cluster
        self._where = where

    @classmethod
    def on_this_machine(cls, count: int, where: str, call: str) -> Self:
        """Start so many processes of one thread.

        Parameters
        ----------
        call : str
            The function that a script calls to get here, such as ``run()``.

        Raises
        ------
        InputError
            Without dask, or if they cannot start.
        """
        distributed = require_dask("workers", where)
        import dask

        main = (
            f"workers import the script that starts them: call {call} in it only below "
            "if __name__ == '__main__':, or with workers=1"
        )
        if multiprocessing.parent_process() is not None:
            raise InputError.single(where, "workers", count, main)
        try:
            with _without_ctrl_c(), dask.config.set(_SETTINGS):
                cluster = distributed.LocalCluster(
                    n_workers=count,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    scheduler_kwargs={"dashboard_address": _HTTP},
                    silence_logs=logging.CRITICAL,
                )
                client = distributed.Client(cluster, set_as_default=False)
        except (OSError, RuntimeError, TimeoutError) as error:
            rule = f"cannot start: {error}; {main}"
            raise InputError.single(where, "workers", count, rule) from error
        return cls(client, cluster, where)

    @classmethod
    def on_scheduler(cls, address: str, where: str) -> Self:
        """Use the workers of a scheduler that runs already; more may come later.

        Raises
        ------
        InputError
            Without dask, if nothing answers, or if a worker has another shardplan.
        """
        distributed = require_dask("scheduler", where)
        try:
            _require_address(address)
            client = distributed.Client(
                address, timeout=_CONNECT_S, set_as_default=False
            )
        except (OSError, ValueError, OverflowError, TimeoutError) as error:
            rule = f"no scheduler answers there: {error}"
            raise InputError.single(where, "scheduler", address, rule) from error
        found = cls(client, None, where)
        try:
            releases = client.run(_asking(), on_error="return")
            others = {at: what for at, what in releases.items() if what != VERSION}
            if others:
                raise refusal(others)
        except BaseException:
            found.close()
            raise
        return found

    def count(self) -> int:
        """Return how many there are; 0 where they come and go."""
        return len(self.client.nthreads()) if self.cluster else 0

    def running(self) -> Any:
        """Return an empty `as_completed` for futures; see `batches`."""
        return require_dask("workers", self._where).as_completed(
            loop=self.client.loop, with_results=True, raise_errors=False
        )

    def batches(self, running: Any) -> Iterator[list[tuple[Any, Any]]]:
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
                if not self.client.nthreads():
                    at = self.client.scheduler.address
                    text = f"the scheduler at {at} has no workers: all waits for some"
                    warnings.warn(text, UserWarning, stacklevel=2)
                    is_said = True

    def close(self) -> None:
        """Let go of the workers; end those that were started here."""
        with suppress(Exception):
            self.client.close(timeout=_CLOSE_S)
        if self.cluster is not None:
            with suppress(Exception):
                self.cluster.close(timeout=_CLOSE_S)


def _asking() -> Callable[[], str]:
    """Return what asks a worker for its shardplan: by value, for it may have none."""

    def release() -> str:
        from shardplan.version import VERSION

        return VERSION

    return release


def _require_address(address: str) -> None:
    """Raise `ValueError` for what is no address: a client of it never ends well."""
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.registry import get_backend

    scheme, place = parse_address(address)
    get_backend(scheme)
    if scheme in ("tcp", "tls"):
        parse_host_port(place)


def require_dask(argument: str, where: str) -> Any:
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
        raise InputError.single(where, argument, None, rule) from error
    return distributed


def refusal(others: dict[str, Any]) -> InputError:
    """Return the error for workers with other releases, or without any."""
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
