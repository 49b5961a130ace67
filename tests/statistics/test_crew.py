"""Counting on workers of Dask: real processes, as people start them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("distributed", reason="needs the extra study")
pytest.importorskip("pyarrow")

from shardplan.errors import InputError
from shardplan.statistics.errands import Errand, run_errand
from shardplan.statistics.formats import parquet, piece
from shardplan.statistics.measure import measure
from shardplan.statistics.work_folder import WorkFolder
from tests.statistics.test_measure import clicks, mapping, write
from tests.workers.clusters import cluster

if TYPE_CHECKING:
    from pathlib import Path

# distributed leaves sockets and loops to the end of the process.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of ten parts."""
    for module in (parquet, piece):
        monkeypatch.setattr(module, "PART_ROWS", 3000)
    return write(tmp_path / "log", clicks(30_000))


def test_processes_of_this_machine(log: Path) -> None:
    """They count, add up and sort the same; their errors are those of one process."""
    expected = measure([log], mapping(time="time"))
    assert measure([log], mapping(time="time"), workers=2) == expected
    wrong = [{"column": "sen", "table": "item"}, {"column": "who", "table": "user"}]
    with pytest.raises(InputError, match=r"log\.parquet: sen: is no column"):
        measure([log], mapping(features=wrong), workers=2)


@pytest.mark.long
@pytest.mark.parametrize("workers", [3, 8])
@pytest.mark.parametrize("time", ["", "time"])
def test_any_number_of_processes(log: Path, workers: int, time: str) -> None:
    """More than there are processors, and a number that divides no tree evenly."""
    expected = measure([log], mapping(time=time))
    assert measure([log], mapping(time=time), workers=workers) == expected


def test_a_worker_of_a_scheduler_is_killed(log: Path, tmp_path: Path) -> None:
    """What it was at is counted by the other one, and nothing twice."""
    expected = measure([log], mapping())
    killed: list[int] = []
    with cluster(tmp_path / "cluster") as started:
        first = started.add_worker()
        started.add_worker()
        started.wait_for_workers(2)

        class Killer:
            def stage(self, word: str, total: int, known: int) -> None: ...

            def advance(self) -> None:
                if not killed:
                    first.send_signal(signal.SIGKILL)
                    killed.append(first.wait())

        address = started.address
        found = measure([log], mapping(), scheduler=address, observer=Killer())
    assert killed == [-signal.SIGKILL]
    assert found == expected


def test_errands_may_be_run_twice(tmp_path: Path) -> None:
    """A sum whose parts are gone is there, and a folder that is not seen is named."""
    folder = WorkFolder(tmp_path)
    folder.write_mapping(mapping())
    write(tmp_path / "log", clicks(2000))
    path = str(tmp_path / "log" / "log.parquet")
    parts = [[[path, "parquet", group, group + 1]] for group in range(2)]
    assert not run_errand(str(tmp_path), ".", Errand("look", "log", (parts,)))
    for part, key in zip(parts, "ab", strict=True):
        count = Errand("count", key, ([part], "log"))
        assert not run_errand(str(tmp_path), ".", count)
    add = Errand("add", "c", ("a", "b", "log"))
    assert not run_errand(str(tmp_path), ".", add)
    content = folder.file("c.part").read_bytes()
    folder.file("a.part").unlink()
    assert not run_errand(str(tmp_path), ".", add)
    assert folder.file("c.part").read_bytes() == content
    [fault] = run_errand(str(tmp_path / "no"), ".", add)
    assert "under the same paths" in fault.rule
