"""Workers of this machine are for it alone, and waste nothing."""

from __future__ import annotations

import pytest

pytest.importorskip("distributed", reason="needs the extra study")

from shardplan.workers.dask import DaskWorkers

# distributed leaves sockets and loops to the end of the process.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_pages_of_dask_are_for_this_machine_alone() -> None:
    """Dask's own port may be taken, and is open to all machines."""
    workers = DaskWorkers.on_this_machine(1, "study", "run()")
    try:
        sockets = workers.cluster.scheduler.http_server._sockets.values()
        assert {found.getsockname()[0] for found in sockets} == {"127.0.0.1"}
    finally:
        workers.close()


def test_workers_here_keep_memory_and_do_not_watch_themselves() -> None:
    """Both take a tenth of the time of quick points, and nobody looks at them."""
    workers = DaskWorkers.on_this_machine(1, "study", "run()")

    def found() -> tuple[str | None, bool]:
        import os

        import dask

        is_on = dask.config.get("distributed.worker.profile.enabled")
        return os.environ.get("MALLOC_TRIM_THRESHOLD_"), is_on

    try:
        assert list(workers.client.run(found).values()) == [(None, False)]
    finally:
        workers.close()
