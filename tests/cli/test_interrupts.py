"""Ctrl-C and SIGTERM at every stage of a solve: what was found is kept and said."""

from __future__ import annotations

import json
import signal
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from shardplan.planning.interrupts import Interrupts
from shardplan.plans.plan import Plan
from shardplan.solvers.base import Stop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

SIGNALS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}
NOTHING_YET = [
    "shardplan.io.catalog:load_workload",
    "shardplan.planning.planner:build_problem",
]
SOMETHING = [
    "shardplan.planning.claims:step_bound",
    "shardplan.planning.claims:placements",
    "shardplan.planning.planner:examine",
    "shardplan.io.atomic:_replace",
    "shardplan.report.solution:solution_data",
]


def at(
    stage: str, number: int, monkeypatch: pytest.MonkeyPatch, *, times: int = 1
) -> None:
    """Raise a signal when a function, as in ``module:name``, is first called."""
    module, _, name = stage.partition(":")
    owner = import_module(module)
    before = getattr(owner, name)
    left = [number] * times

    def interrupted(*arguments: Any, **options: Any) -> Any:
        while left:
            signal.raise_signal(left.pop())
        return before(*arguments, **options)

    monkeypatch.setattr(owner, name, interrupted)


@pytest.fixture
def arguments(small: Path, tmp_path: Path) -> list[str]:
    """A short solve that writes a plan."""
    path = tmp_path / "plan.json"
    options = ["--solver", "greedy", "--format", "json", "-o", str(path)]
    return ["solve", str(small), "--topology", "dgx-h100", *options]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("stage", NOTHING_YET)
def test_before_there_is_anything(
    stage: str,
    number: signal.Signals,
    run: Run,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While inputs are read and options priced, the first signal ends at once."""
    at(stage, number, monkeypatch)
    result = run(*arguments)
    code, word = SIGNALS[number]
    assert result.exit_code == code
    assert (result.stdout, result.stderr) == ("", f"Error: {word}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("stage", SOMETHING)
def test_what_was_found_is_kept(
    stage: str,
    number: signal.Signals,
    run: Run,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """In proof, making, checking and writing, the plan comes out whole; it is said."""
    at(stage, number, monkeypatch)
    result = run(*arguments)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["objective_s"] > 0
    assert run("check", tmp_path / "plan.json").stdout.startswith("valid\n")
    heard = capfd.readouterr().err
    assert heard.count("\n") == 1
    assert heard.startswith(f"{SIGNALS[number][1]}: ending with what was found")


@pytest.mark.parametrize("stage", SOMETHING[:-1])
def test_a_second_signal_ends_at_once(
    stage: str,
    run: Run,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who asks twice does not want to wait; nothing half-written stays behind."""
    at(stage, signal.SIGTERM, monkeypatch, times=2)
    result = run(*arguments)
    assert result.exit_code == 143
    assert (result.stdout, result.stderr) == ("", "Error: terminated\n")
    assert not list(tmp_path.iterdir())


def test_the_proof_of_a_search_is_cut_short(
    run: Run, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default solver's last part, the proof, ends as well; the plan stands."""
    at("shardplan.solvers.auto:strengthen", signal.SIGTERM, monkeypatch)
    assert run(*arguments, "--solver", "auto", "--work-limit", "9999").exit_code == 0
    assert run("check", tmp_path / "plan.json").stdout.startswith("valid\n")


def test_no_plan_yet_when_asked(
    run: Run, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that is asked before it has a plan ends with the signal's code."""
    from shardplan.solvers.base import SolverResult, SolveStatus

    left = [signal.SIGTERM]  # under `time` the solver runs several times

    def nothing(*_: object) -> SolverResult:
        while left:
            signal.raise_signal(left.pop())
        return SolverResult(None, 0.0, SolveStatus.NOT_FOUND)

    monkeypatch.setattr("shardplan.solvers.greedy.Greedy.solve", nothing)
    result = run(*arguments)
    assert result.exit_code == 143
    assert json.loads(result.stdout)["status"] == "not_found"
    assert result.stderr == "Error: stopped before there was a plan\n"


def test_other_commands_end_at_the_first(
    run: Run, plan_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command without a search has nothing to keep."""
    at("shardplan.plans.evaluation:evaluate", signal.SIGTERM, monkeypatch)
    result = run("simulate", plan_file)
    assert (result.exit_code, result.stdout) == (143, "")


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_what_others_make_of_a_signal_is_one(
    number: signal.Signals, run: Run, plan_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that is interrupted may raise an error of its own."""

    def interrupted(*_: Any) -> None:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt as error:
            raise RuntimeError("cannot build a schema") from error

    monkeypatch.setattr("shardplan.plans.evaluation.evaluate", interrupted)
    result = run("simulate", plan_file)
    code, word = SIGNALS[number]
    assert result.exit_code == code
    assert (result.stdout, result.stderr) == ("", f"Error: {word}\n")


def test_handlers_come_back() -> None:
    """The handlers from before hear again, whatever happens in between."""
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(KeyboardInterrupt), Interrupts(*SIGNALS):
        signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_what_is_ignored_stays_ignored() -> None:
    """``nohup`` and shells that start a program in the background mean it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts(signal.SIGINT) as heard:
            stop = Stop()
            heard.ask(stop)
            signal.raise_signal(signal.SIGINT)
        assert not stop.requested
    finally:
        signal.signal(signal.SIGINT, before)


def test_plans_say_that_they_were_cut_short(
    run: Run, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status of a plan whose search was ended is `time_limit`."""
    at("shardplan.solvers.greedy:select", signal.SIGINT, monkeypatch)
    assert run(*arguments).exit_code == 0
    assert Plan.load(tmp_path / "plan.json").outcome.status == "time_limit"
