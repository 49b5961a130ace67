"""Points on Dask workers: real processes, as people start them."""

from __future__ import annotations

import json
import signal
import socket
import threading
import warnings
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("distributed", reason="needs the extra study")

import distributed.protocol

from shardplan.errors import InputError
from shardplan.studies import load_study, run
from shardplan.studies.expand import expand
from shardplan.studies.packing import to_wire
from shardplan.studies.pools import dask as module
from shardplan.studies.pools import remote
from shardplan.studies.pools.task import task_of
from shardplan.studies.spec import load_spec
from shardplan.version import VERSION
from shardplan.workers import dask as dask_workers
from tests.studies import quick
from tests.workers.clusters import Cluster, cluster, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# distributed leaves sockets and loops to the end of the process.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quick.write(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def alone(study: Path) -> dict[str, bytes]:
    """The results of one process."""
    run(study, study.parent / "alone")
    return quick.results(study.parent / "alone")


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path / "cluster") as found:
        yield found


@pytest.mark.parametrize("workers", [2, 4])
def test_processes_of_this_machine(
    workers: int, study: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    """However many of them find the same bytes as one."""
    run(study, tmp_path / "out", workers=workers)
    assert quick.results(tmp_path / "out") == alone


def test_a_worker_is_killed(
    study: Path, alone: dict[str, bytes], tmp_path: Path, started: Cluster
) -> None:
    """Its points are run again by the other one, and the bytes are the same."""
    first = started.add_worker()
    started.add_worker()
    started.wait_for_workers(2)
    killed = []

    class Killer:
        def planned(self, points: int, known: int) -> None: ...

        def finished(self, row: Any) -> None:
            if not killed:
                first.send_signal(signal.SIGKILL)
                killed.append(first.wait())

    out = tmp_path / "out"
    found = run(study, out, scheduler=started.address, observer=Killer())
    assert killed == [-signal.SIGKILL]
    assert not found.missing
    assert quick.results(out) == alone


def test_a_scheduler_goes_away(study: Path, tmp_path: Path, started: Cluster) -> None:
    """What is finished is kept, and it is said how to go on."""
    started.add_worker()
    ran = []

    class Killer:
        def planned(self, points: int, known: int) -> None: ...

        def finished(self, row: Any) -> None:
            if not ran:
                started.scheduler.send_signal(signal.SIGKILL)
                started.scheduler.wait()
            ran.append(row)

    out = tmp_path / "out"
    with pytest.raises(InputError, match="is gone; what is finished is kept"):
        run(study, out, scheduler=started.address, observer=Killer())
    assert len(load_study(out).rows) == len(ran) > 0
    assert not run(study, out).missing


OTHER = "import shardplan.version; shardplan.version.VERSION = '9.9'"
WITHOUT = """\
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] == 'shardplan':
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
sys.meta_path.insert(0, Missing())
"""


@pytest.mark.parametrize(
    ("preload", "has", "when"),
    [
        (OTHER, "9.9", "before"),
        (WITHOUT, "missing", "before"),
        (OTHER, "9.9", "later"),
        (WITHOUT, "missing", "later"),
    ],
)
def test_other_workers_are_refused(
    preload: str, has: str, when: str, study: Path, tmp_path: Path, started: Cluster
) -> None:
    """Those with another shardplan or without any, also where they come later."""
    path = tmp_path / "preload.py"
    path.write_text(preload, encoding="utf-8")
    if when == "before":
        started.add_worker(str(path))
        started.wait_for_workers(1)
    else:
        threading.Timer(0.0, lambda: started.add_worker(str(path))).start()
    with pytest.raises(InputError, match=f"install shardplan {VERSION} there") as error:
        run(study, tmp_path / "out", scheduler=started.address)
    [problem] = error.value.problems
    assert problem.value == has
    assert problem.where.startswith("tcp://")


def test_a_study_that_waits_for_workers_says_so(
    study: Path, tmp_path: Path, started: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And goes on when one joins."""
    monkeypatch.setattr(dask_workers, "_QUIET_S", 0.2)
    waited: list[str] = []

    def show(message: Any, *others: Any) -> None:
        waited.append(str(message))
        started.add_worker()

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        monkeypatch.setattr(warnings, "showwarning", show)
        found = run(study, tmp_path / "out", scheduler=started.address)
    assert not found.missing
    [text] = [text for text in waited if "has no workers" in text]
    assert started.address in text


def test_a_point_that_kills_its_workers_is_lost(
    study: Path, tmp_path: Path, started: Cluster
) -> None:
    """It costs itself and nothing else, and is tried again by the next run."""
    path = tmp_path / "preload.py"
    path.write_text(
        "import os, shardplan.studies.evaluate as module\n"
        "solve = module.solve_point\n"
        "def solve_point(resolved):\n"
        "    if resolved.inputs.workload.global_batch_size == 4000:\n"
        "        os._exit(1)\n"
        "    return solve(resolved)\n"
        "module.solve_point = solve_point\n",
        encoding="utf-8",
    )
    for _ in range(4):
        started.add_worker(str(path))
    started.wait_for_workers(4)
    only = ["hosts=1", "workload.global_batch_size=4000"]
    only.append("workload.tables.*.num_embeddings=1000")
    out = tmp_path / "out"
    found = run(study, out, scheduler=started.address, only=only)
    assert list(found.lost) == [4]
    assert found.lost[4].startswith("lost: KilledWorker")
    assert not found.rows
    assert len(run(study, out, only=only).rows) == 1


def test_nobody_answers(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_workers, "_CONNECT_S", 0.5)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(InputError, match="no scheduler answers there"):
            run(study, scheduler=address)


@pytest.mark.parametrize("address", ["", "foo", "foo://a:1", "tcp://a", "tcp://a:b"])
def test_what_is_no_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No client is made of it, whose end would be a traceback 20 seconds later."""
    monkeypatch.setattr(distributed, "Client", pytest.fail)
    with pytest.raises(InputError, match="no scheduler answers there"):
        dask_workers.DaskWorkers.on_scheduler(address, "stats")


def test_a_task_is_small(tmp_path: Path) -> None:
    """Whatever the study holds, a point is below 10 kB."""
    spec = quick.spec(tmp_path)
    content = to_wire(spec, ["0" * 64] * 1000)
    for point in expand(spec):
        frames = distributed.protocol.dumps(
            (remote.run_tasks, [task_of(point)], VERSION)
        )
        assert sum(map(len, frames)) < 10_000
        assert len(json.dumps(task_of(point))) < 2000
    assert len(content) < 100_000


def test_workers_remember_few_studies(tmp_path: Path) -> None:
    """A worker that serves many keeps the last ones."""
    spec = quick.spec(tmp_path)
    task = task_of(expand(spec)[1])
    for number in range(4):
        content = to_wire(spec, [str(number)])
        [found] = remote.run_tasks(content, str(number), [task], VERSION)
        assert isinstance(found, dict)
        assert found["id"] == task["id"]
    assert list(remote._workshops) == ["2", "3"]
    assert remote.run_tasks(b"", "", [task], "9.9") == VERSION


def test_a_script_without_a_guard_is_told(tmp_path: Path) -> None:
    """Processes import the script: there is an error that says so, and no flood."""
    import subprocess
    import sys

    study = quick.write(tmp_path)
    script = tmp_path / "script.py"
    script.write_text(
        f"from shardplan.studies import run\nprint(run({str(study)!r}, workers=2))\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1
    assert "if __name__ == '__main__'" in done.stderr.splitlines()[-1]


def test_ctrl_c_is_for_this_process_alone(tmp_path: Path) -> None:
    """Workers get none from the terminal; they end with the command, in a moment."""
    import os
    import subprocess
    import sys

    study = quick.write(tmp_path)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "shardplan", "study", "run", str(study)]
    with subprocess.Popen(
        [*command, "-o", str(out), "--workers", "2"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        journal = out / "journal.jsonl"
        wait_for(lambda: journal.exists() and journal.read_bytes().count(b"\n") > 2)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    text = errors.decode()
    assert process.returncode == 130
    assert "have a result in" in text
    assert "Traceback" not in text
    assert not run(study, out).missing


class Trips:
    """Workers that need no processes: trips come back in the order of going out."""

    def __init__(self, seconds: float, killer: str = "") -> None:
        self.sent: list[list[str]] = []
        self._waiting: list[Any] = []
        self._seconds, self._killer = seconds, killer

    def submit(self, *given: Any, key: str, **others: Any) -> Any:
        names = [task["id"] for task in given[3]] if len(given) > 2 else []
        status = "error" if self._killer in names else "finished"
        return SimpleNamespace(key=key, status=status, names=names)

    def add(self, future: Any) -> None:
        self.sent.append(future.names)
        self._waiting.append(future)

    def is_empty(self) -> bool:
        return not self._waiting

    def next_batch(self, **given: Any) -> list[tuple[Any, Any]]:
        future = self._waiting.pop(0)
        found = [{"id": name} for name in future.names]
        error = (None, RuntimeError("gone"), None)
        seconds = self._seconds * len(found)
        is_error = future.status == "error"
        return [(future, error if is_error else ("here", found, seconds))]


def trips(monkeypatch: pytest.MonkeyPatch, study: Path, fake: Trips) -> list[Any]:
    """Run 300 tasks through a pool whose workers are these."""
    library = SimpleNamespace(as_completed=lambda **given: fake)
    monkeypatch.setattr(dask_workers, "require_dask", lambda *given: library)
    client = SimpleNamespace(submit=fake.submit, loop=None)
    workers = dask_workers.DaskWorkers(client)
    pool = module.DaskPool(workers, load_spec(study))
    tasks = [{"id": f"{number}"} for number in range(300)]
    return [one for found in pool.results(tasks) for one in found]


@pytest.mark.parametrize(("seconds", "together"), [(0.001, 8), (0.15, 3), (0.3, 1)])
def test_quick_points_travel_together(
    seconds: float, together: int, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as take half a second, and not before they are known as quick."""
    fake = Trips(seconds)
    found = trips(monkeypatch, study, fake)
    assert sorted(int(one["id"]) for one in found) == list(range(300))
    assert all(len(names) == 1 for names in fake.sent[: module._LEAST_AHEAD])
    assert max(map(len, fake.sent)) == together


def test_who_kills_a_worker_costs_itself_alone(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Points that travelled with it go again, one by one."""
    fake = Trips(0.001, killer="295")
    found = trips(monkeypatch, study, fake)
    assert sorted(int(one["id"]) for one in found) == list(range(300))
    assert [one["id"] for one in found if "values" in one] == ["295"]
    assert ["295"] in fake.sent
    assert any(len(names) > 1 and "295" in names for names in fake.sent)


def test_what_a_worker_found_holds_when_it_is_killed() -> None:
    """Its future may be cancelled before it is looked at; the result is there."""
    pool = object.__new__(module.DaskPool)
    pool._each_s = 0.0
    future = SimpleNamespace(status="cancelled")
    found = pool._outcomes(future, ("tcp://host:1", ["outcome"], 0.5), [{}])
    assert found == ["outcome"]
    with pytest.raises(InputError, match="is gone; what is finished is kept"):
        pool._outcomes(future, None, [{}])
