"""`shardplan stats` through real processes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.workers.clusters import wait_for

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("pyarrow")

MAPPING = """
schema_version = 1
name = "clicks"
[[tables]]
name = "user"
num_embeddings = 10
[[features]]
column = "user"
table = "user"
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shardplan", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "log.csv").write_text("user,time\n1,5\n2,4\n1,3\n99,2\n")
    (tmp_path / "mapping.toml").write_text(MAPPING)
    return tmp_path


def test_files_are_measured(folder: Path) -> None:
    """With and without the name of the command, options first or last."""
    for arguments in (
        ("measure", "log.csv", "--features", "mapping.toml"),
        ("log.csv", "--features", "mapping.toml"),
        ("--features", "mapping.toml", "log.csv"),
    ):
        form = ("--format", "json")
        done = run(folder, "stats", *arguments, "-o", "found", *form)
        assert (done.returncode, done.stderr) == (0, "")
        printed = json.loads(done.stdout)
        assert printed["summary"][0]["lookups"] == 3
        assert printed["summary"][0]["left_out"] == 1
        kept = json.loads((folder / "found" / "statistics.json").read_text())
        assert kept == printed["statistics"]
    shown = run(folder, "stats", "show", "found")
    assert shown.returncode == 0
    assert "clicks: 4 samples" in shown.stdout


def test_a_guess_can_be_used(folder: Path) -> None:
    """As it is."""
    assert run(folder, "stats", "guess", "log.csv", "-o", "guess.toml").returncode == 0
    assert 'time = "time"' in (folder / "guess.toml").read_text()
    done = run(folder, "stats", "log.csv", "--features", "guess.toml", "-o", "found")
    assert done.returncode == 0
    found = json.loads((folder / "found" / "statistics.json").read_text())
    assert found["tables"][0]["num_embeddings"] == 100


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("no.csv", "--features", "mapping.toml", "-o", "found"), 1, "no such file"),
        (("log.csv", "--features", "log.csv", "-o", "found"), 1, "log.csv"),
        (("log.csv", "--features", "mapping.toml", "-o", "."), 1, "overwritten"),
        (("log.csv", "-o", "found"), 2, "--features"),
        (("log.csv", "--features", "mapping.toml", "-o", "-"), 2, "no folder"),
        (("log.csv", "--features", "mapping.toml", "-o", ""), 2, "no folder"),
        (("show", "nothing"), 1, "shardplan stats writes one"),
        (("guess", "mapping.toml"), 1, "suffix of a log"),
        (("guess", "log.csv", "-o", "log.csv"), 1, "is an input"),
        (("guess", ""), 1, "'': is no path"),
        (("", "--features", "mapping.toml", "-o", "found"), 1, "'': is no path"),
        (("show", ""), 1, "'': has no statistics.json"),
        (("shwo", "found"), 2, "'shwo'; did you mean 'show'?"),
        (("diff", "nothing", "nothing"), 1, "shardplan stats writes one"),
        (("plot", "nothing", "-o", "a.svg"), 1, "shardplan stats writes one"),
        (("plot", "nothing", "-o", "a.pdf"), 2, "does not end in .svg or .png"),
        ((), 2, "Usage"),
    ],
)
def test_wrong_use(
    folder: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    """An error in words, and nothing written."""
    before = sorted(folder.iterdir())
    done = run(folder, "stats", *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(folder.iterdir()) == before


def test_what_is_not_read_is_a_warning(folder: Path) -> None:
    """And an error with --strict."""
    (folder / "b.csv").write_text("user,time\n1,2\n1,2,3\n")
    arguments = ("stats", ".", "--features", "mapping.toml", "-o", "found")
    done = run(folder, *arguments)
    assert done.returncode == 0
    assert "Warning: b.csv: 1 lines with another number of columns" in done.stderr
    assert "Not read" in done.stdout
    assert run(folder, *arguments, "--strict").returncode == 1


def test_curves_are_compared_and_drawn(folder: Path) -> None:
    """A table that is not there is named, and nothing written."""
    pytest.importorskip("matplotlib")
    measure = ("stats", "log.csv", "--features", "mapping.toml", "-o", "found")
    assert run(folder, *measure).returncode == 0
    done = run(folder, "stats", "diff", "found", "found")
    assert (done.returncode, "0 of 1 table" in done.stdout) == (0, True)
    done = run(folder, "stats", "plot", "found", "--table", "users", "-o", "a.svg")
    assert done.returncode == 1
    assert "did you mean 'user'" in done.stderr
    assert not (folder / "a.svg").exists()
    done = run(folder, "stats", "plot", "found", "--table", "user", "-o", "a.svg")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "<svg" in (folder / "a.svg").read_text()


SMALL_PARTS = (
    "import shardplan.statistics.formats.parquet as p; p.PART_ROWS = 5000;"
    "from shardplan.cli.main import main; main()"
)


@pytest.fixture
def long_log(folder: Path) -> Path:
    """A log of 60 small parts."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    users = np.random.default_rng(0).integers(0, 10, 300_000)
    pq.write_table(pa.table({"user": users}), folder / "log.parquet", 5000)
    return folder


def started(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start a measurement that is then stopped."""
    command = [sys.executable, "-c", SMALL_PARTS, "stats", "measure", "log.parquet"]
    return subprocess.Popen(
        [*command, "--features", "mapping.toml", "-o", "found", *options],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--workers", "2")])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_goes_on(
    long_log: Path, options: tuple[str, ...], number: signal.Signals
) -> None:
    """Its processes end, what it has counted stays, and the bytes are the same."""
    psutil = pytest.importorskip("psutil")
    with started(long_log) as quiet:
        quiet.communicate(timeout=120)
    written = long_log / "found" / "statistics.json"
    expected = written.read_bytes()
    shutil.rmtree(long_log / "found")
    partial = long_log / "found.partial"
    with started(long_log, *options) as process:
        wait_for(lambda: list(partial.glob("*.part")))
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert "Traceback" not in errors
    assert not psutil.wait_procs(children, timeout=60)[1]
    assert not written.exists()
    assert list(partial.glob("*.part"))
    if number == signal.SIGINT:
        assert f"what is counted is kept in {partial}; the same" in errors
    with started(long_log, *options, "--progress", "plain") as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "of 30 parts counted" in errors
    assert written.read_bytes() == expected
    assert not partial.exists()


def test_who_works_is_said_once(folder: Path) -> None:
    """Processes here, or workers of a scheduler; nothing is made for wrong use."""
    arguments = ("stats", "log.csv", "--features", "mapping.toml", "-o", "found")
    done = run(folder, *arguments, "--workers", "2", "--scheduler", "tcp://x:1")
    assert done.returncode == 2
    assert "exclude each other" in done.stderr
    (folder / "found.partial").write_text("somebody's")
    done = run(folder, *arguments)
    assert done.returncode == 1
    assert "found.partial: cannot be written" in done.stderr


def test_days_are_shown(folder: Path) -> None:
    (folder / "mapping.toml").write_text(f'day = "time"\nday_length = 3\n{MAPPING}')
    done = run(folder, "stats", "log.csv", "--features", "mapping.toml", "-o", "found")
    assert (done.returncode, done.stderr) == (0, "")
    assert "new among" in done.stdout
    found = json.loads((folder / "found" / "statistics.json").read_text())
    days = found["tables"][0]["days"]
    assert [(day["day"], day["lookups"]) for day in days] == [("1", 3)]
