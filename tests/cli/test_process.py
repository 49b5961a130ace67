"""The program as a process: signals, pipes, terminals, encodings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from shardplan.cli.main import cli
from shardplan.plans.plan import Plan
from tests.solvers.crew.helpers import children_of, is_alive, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
PATIENT = """\
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
from shardplan.solvers import base, registry
from shardplan.solvers.greedy import Greedy

class Patient:
    def __init__(self, params):
        pass

    def solve(self, problem, stop, seed, observer):
        found = Greedy().solve(problem, stop, seed, observer)
        print("ready", file=sys.stderr, flush=True)
        while not stop.now():
            time.sleep(0.01)
        if HAS_PLAN:
            return base.finished(
                found.assignment, problem.value(found.assignment), 0.0, stop
            )
        return base.SolverResult(None, 0.0, base.SolveStatus.NOT_FOUND)

module = type(sys)("patient")
module.Patient = Patient
sys.modules["patient"] = module
registry.SOLVERS["patient"] = "patient:Patient"
from shardplan.cli.main import main
main()
"""


def shardplan(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess:
    """Run the program as a process and wait for it."""
    return subprocess.run(
        [sys.executable, "-m", "shardplan", *map(str, arguments)],
        **{
            "cwd": ROOT,
            "env": ENVIRONMENT,
            "capture_output": True,
            "text": True,
            "timeout": 120,
            **options,
        },
    )


def interrupted(
    small: Path, output: Path, number: int, *, has_plan: bool
) -> tuple[int, str, str]:
    """Send a signal to a solve that waits for it; code, stdout, stderr.

    It is for a sum: under `time` there are greedy's plans, too.
    """
    arguments = ["solve", str(small), "--topology", "dgx-h100", "-o", str(output)]
    arguments += ["--objective", "step"]
    with subprocess.Popen(
        [
            *(sys.executable, "-c", PATIENT.replace("HAS_PLAN", str(has_plan))),
            *(*arguments, "--solver", "patient", "--format", "json"),
        ],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_keeps_the_best_plan(
    small: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """A signal ends the search with the best plan, which is written and reported."""
    path = tmp_path / "plan.json"
    code, out, err = interrupted(small, path, number, has_plan=True)
    assert code == 0, err
    assert json.loads(out)["status"] == "time_limit"
    assert Plan.load(path).outcome.status == "time_limit"
    assert err.count("\n") == 1
    assert "ending with what was found" in err


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_interrupt_without_plan(
    small: Path, tmp_path: Path, number: str, code: int
) -> None:
    """A signal before there is a plan ends in its own code and writes nothing."""
    path = tmp_path / "plan.json"
    ended, out, err = interrupted(small, path, getattr(signal, number), has_plan=False)
    assert ended == code
    assert json.loads(out)["status"] == "not_found"
    assert not path.exists()
    assert "Traceback" not in err


CREW = """\
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
from shardplan.solvers import registry
registry.SOLVERS["auto"] = "tests.solvers.crew.helpers:patient"
from shardplan.cli.main import main
main()
"""
"""The program with a default solver that has a plan, and searches on without end."""


@pytest.fixture
def crew(small: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A solve by three processes, all of them at work."""
    arguments = ["solve", small, "--topology", "dgx-h100", "--objective", "step"]
    arguments += ["--workers", "3", "--format", "json", "-o", tmp_path / "plan.json"]
    with subprocess.Popen(
        [sys.executable, "-c", CREW, *map(str, arguments), "--progress", "plain"],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        wait_until(lambda: len(children_of(process.pid)) == 2, "other processes")
        assert process.stderr is not None
        assert process.stderr.readline().startswith("best plan ")
        yield process
        process.kill()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc")
@pytest.mark.parametrize(
    ("whom", "number"), [("one", signal.SIGTERM), ("all", signal.SIGINT)]
)
def test_interrupt_with_other_processes(
    crew: subprocess.Popen[str], tmp_path: Path, number: signal.Signals, whom: str
) -> None:
    """The best plan of all is kept, nobody is left, and nothing else is said.

    Terminals and schedulers send a signal to all processes at once.
    """
    others = children_of(crew.pid)
    (os.kill if whom == "one" else os.killpg)(crew.pid, number)
    out, err = crew.communicate(timeout=60)
    assert crew.returncode == 0, err
    assert json.loads(out)["status"] == "time_limit"
    assert Plan.load(tmp_path / "plan.json").outcome.warnings == ()
    lines = [line for line in err.splitlines() if not line.startswith("best plan ")]
    assert len(lines) == 1
    assert "ending with what was found" in lines[0]
    assert not any(map(is_alive, others))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc")
def test_other_processes_end_with_a_killed_one(crew: subprocess.Popen[str]) -> None:
    """Nothing can be said or done any more, and still they end."""
    others = children_of(crew.pid)
    crew.kill()
    wait_until(lambda: not any(map(is_alive, others)), "their end")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc")
def test_another_process_that_is_killed(crew: subprocess.Popen[str]) -> None:
    """The search goes on without it; that is said in the end."""
    first, second = children_of(crew.pid)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: children_of(crew.pid) == [second], "its end")
    crew.send_signal(signal.SIGINT)
    out, err = crew.communicate(timeout=60)
    assert crew.returncode == 0
    assert json.loads(out)["status"] == "time_limit"
    assert "of the search was lost: ended by SIGKILL" in err
    assert not is_alive(second)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1000000000", "two", ""])
def test_wrong_numbers_of_workers(value: str) -> None:
    """A message and the code of wrong usage."""
    arguments = ["solve", "dlrm-dcnv2", "--topology", "dgx-h100", "--workers", value]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert "--workers" in result.stderr


def test_interrupt_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in any other command is a message and code 130."""

    def interrupt(kind: str) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr("shardplan.io.catalog.names", interrupt)
    result = CliRunner().invoke(cli, ["topology", "list"])
    assert result.exit_code == 130
    assert "interrupted" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_broken_pipe() -> None:
    """A reader that goes away is no traceback."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = shardplan(
            *("schema", "plan"),
            capture_output=False,
            stdout=write,
            stderr=subprocess.PIPE,
        )
    finally:
        os.close(write)
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk(plan_file: Path) -> None:
    """A disk that is full is a message and code 1."""
    with Path("/dev/full").open("w") as full:
        done = shardplan(
            *("show", plan_file),
            capture_output=False,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="needs /dev/stdin")
def test_plan_from_stdin(plan_file: Path) -> None:
    """A plan of ``-`` is read from standard input."""
    done = shardplan("check", "-", input=plan_file.read_text(encoding="utf-8"))
    assert done.stdout.startswith("valid\n")


def test_ascii_terminal(tmp_path: Path) -> None:
    """Output that the encoding lacks is replaced, not an error."""
    done = shardplan(
        *("topology", "list"), env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"}
    )
    assert done.returncode == 0
    assert "dgx-h100" in done.stdout


def test_runs_as_module() -> None:
    """``python -m shardplan`` is the program."""
    assert shardplan("--help").stdout.startswith("Usage: shardplan ")


def test_errors_have_no_traceback() -> None:
    """A user's mistake is a message on standard error and nothing else."""
    done = shardplan("show", "no-such-file.json")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "Error: no-such-file.json: no such file\n"


@pytest.mark.parametrize(
    ("redirection", "reason"),
    [(">&-", "it is closed"), (">/dev/full", "No space left on device")],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_report_that_is_lost_is_an_error(
    redirection: str, reason: str, form: str
) -> None:
    """Without a usable standard output there is a message and a code, no traceback."""
    command = f"topology show dgx-h100 --format {form} {redirection}"
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m shardplan {command}"],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    expected = f"Error: standard output: cannot be written: {reason}\n"
    assert done.stderr == expected
