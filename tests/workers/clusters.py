"""A Dask cluster as people start it: a scheduler, and workers, each a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PATIENCE_S = 120.0


class Cluster:
    """A scheduler of its own port, and the workers that are added to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start(
            "scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", self._file
        )
        wait_for(lambda: self._file.exists() and self._file.stat().st_size > 0)

    @property
    def address(self) -> str:
        """Where the scheduler listens."""
        import json

        return str(json.loads(self._file.read_text(encoding="utf-8"))["address"])

    def add_worker(self, preload: str = "") -> subprocess.Popen[bytes]:
        """Start a worker without a nanny; it runs some code first."""
        more = ["--preload", preload] if preload else []
        return self._start(
            *("worker", "--scheduler-file", self._file, "--nthreads", "1"),
            *("--no-nanny", "--no-dashboard", *more),
        )

    def wait_for_workers(self, count: int) -> None:
        """Wait until so many have joined."""
        import distributed

        with distributed.Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=_PATIENCE_S)

    def close(self) -> None:
        """End all processes."""
        for process in reversed(self._processes):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()

    def _start(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        with (self._folder / f"{len(self._processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *map(str, arguments)],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        self._processes.append(process)
        return process


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start a scheduler; end it and its workers."""
    folder.mkdir()
    found = Cluster(folder)
    try:
        yield found
    finally:
        found.close()


def wait_for(is_so: Callable[[], object]) -> None:
    """Wait until something is so; fail after minutes."""
    end = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)
