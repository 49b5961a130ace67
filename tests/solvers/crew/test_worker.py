"""Processes are begun, talked to and ended; none is left behind, whatever happens."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.solvers.crew import worker as module
from shardplan.solvers.crew.child import Ended, Job, Word
from shardplan.solvers.crew.worker import Worker
from tests.solvers.crew.helpers import (
    Die,
    Fail,
    Strange,
    Stubborn,
    Wait,
    is_alive,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin processes without a pause before."""
    monkeypatch.setattr(module, "_PATIENCE_S", 0.0)


class Begun:
    """A worker, and what was heard of it."""

    def __init__(self, task: Any, remaining_s: float = float("inf")) -> None:
        self.heard: list[Any] = []
        job = Job(pickle.dumps((task,)), pickle.dumps(None), 0.0)
        self.worker = Worker(job, lambda: remaining_s, self.heard.append)

    def wait(self, number: int) -> list[Any]:
        """Wait for so many messages."""
        wait_until(lambda: len(self.heard) >= number, f"{number}: {self.heard}")
        return self.heard


@pytest.fixture
def waiting() -> Iterator[Begun]:
    """A process that waits for values, with ten seconds for it."""
    begun = Begun(Wait(), 10.0)
    yield begun
    begun.worker.end()


def test_both_sides_talk(waiting: Begun) -> None:
    """It knows its time, hears of a plan, and ends when it is told to."""
    pid, seconds = waiting.wait(2)
    assert waiting.worker.is_at_work
    assert is_alive(pid)
    assert seconds == 10.0
    waiting.worker.say(3.0)
    assert waiting.wait(3)[2] == 3.0
    waiting.worker.say(2.0)
    waiting.worker.say(Word.STOP)
    assert waiting.wait(4)[3] == Ended()
    waiting.worker.end()
    assert not waiting.worker.is_at_work
    assert not is_alive(pid)


def test_what_is_said_before_it_is_ready_is_heard() -> None:
    """Words wait for the process, and none is lost."""
    begun = Begun(Wait())
    begun.worker.say(1.0)
    assert begun.wait(3)[1:] == [float("inf"), 1.0]
    begun.worker.end()


def test_stop_without_a_value(waiting: Begun) -> None:
    """What waits for a plan to come hears that there will be none."""
    waiting.wait(2)
    waiting.worker.say(Word.STOP)
    assert waiting.wait(4)[2:] == [None, Ended()]


def test_a_failure_is_told() -> None:
    """An exception is named, warnings are kept, and prints get lost."""
    begun = Begun(Fail())
    (ended,) = begun.wait(1)
    assert ended.failure == "ValueError: on purpose"
    assert ended.warnings == ("a warning",)
    begun.worker.end()


def test_what_cannot_be_read_is_a_failure() -> None:
    """So is a task that the other process cannot make."""
    (ended,) = Begun(Strange()).wait(1)
    assert ended == Ended("RuntimeError: cannot be read")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_killed_process_is_told() -> None:
    """What it said before counts."""
    begun = Begun(Die())
    assert begun.wait(2) == ["alive", Ended("ended by SIGKILL")]
    assert not begun.worker.is_at_work


def test_an_interpreter_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that cannot be begun is one that is lost."""
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    (ended,) = Begun(Wait()).wait(1)
    assert "No such file" in ended.failure


def test_end_is_at_once() -> None:
    """Whatever it is at, it is gone when `end` returns; that is no failure."""
    begun = Begun(Stubborn())
    (pid,) = begun.wait(1)
    begun.worker.end()
    assert not is_alive(pid)
    assert begun.heard[1:] == [Ended()]


def test_end_before_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over soon begins no process."""
    monkeypatch.setattr(module, "_PATIENCE_S", 600.0)
    monkeypatch.setattr(module, "_begin", None)
    begun = Begun(Wait())
    begun.worker.end()
    assert not begun.heard


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("kind", ["Stubborn", "Wait"])
def test_it_ends_with_this_process(kind: str) -> None:
    """Even if that is killed; and signals for the whole group do not end it before."""
    code = f"""\
import pickle, sys, time
from shardplan.solvers.crew.child import Job
from shardplan.solvers.crew.worker import Worker
from tests.solvers.crew.helpers import {kind}
job = Job(pickle.dumps(({kind}(),)), pickle.dumps(None), 0.0)
Worker(job, lambda: 600.0, lambda message: print(message, flush=True))
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        assert is_alive(pid)
        process.kill()
    wait_until(lambda: not is_alive(pid), "its end")
