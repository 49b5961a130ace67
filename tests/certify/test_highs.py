"""The way to HiGHS: quiet, whatever runs beside it, and nothing fails unheard."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array

from shardplan.certify import highs
from shardplan.certify.highs import End, Highs

USER = """
import highspy

def user(threads):
    model = highspy._Highs()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("threads", threads)
    model.addCol(-1.0, 0.0, 1.0, 0, [], [])
    assert model.run() == highspy.HighsStatus.kOk, threads
    return model
"""
"""A program of somebody else's in the same process."""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, whose descriptors nobody has replaced."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def knapsack(size: int = 12) -> Highs:
    """Items of odd weights; the best value is unique."""
    rng = np.random.default_rng(0)
    worth, weight = rng.random(size), rng.random(size)
    model = Highs("a knapsack", -worth, 0.0, 1.0, integer=True)
    model.add_row(-np.inf, size / 8, np.arange(size), weight)
    return model


def endless() -> Highs:
    """An integer program that takes longer than anybody waits."""
    rng = np.random.default_rng(0)
    model = Highs("an endless program", -rng.random(200), 0.0, 1.0, integer=True)
    model.add_rows(-np.inf, 25.0, csr_array(rng.random((60, 200))))
    return model


def test_linear_program() -> None:
    """Values, objective and prices of rows are those of a program solved by hand."""
    # min -x - 2 y, x + y <= 3, x, y in [0, 2]: y = 2, x = 1.
    model = Highs("a test", [-1.0, -2.0], 0.0, 2.0)
    model.add_rows(-np.inf, [3.0], csr_array([[1.0, 1.0]]))
    assert model.run() is End.OPTIMAL
    assert model.values == pytest.approx([1.0, 2.0])
    assert model.objective == pytest.approx(-5.0)
    assert model.row_duals == pytest.approx([-1.0])
    model.bound(np.zeros(2), np.array([2.0, 1.0]))
    assert model.run() is End.OPTIMAL
    assert model.values == pytest.approx([2.0, 1.0])


@pytest.mark.parametrize("whole", [0, 1])
def test_some_columns_are_whole(whole: int) -> None:
    """Only columns that are said to be whole are; highspy 1.14 gets this wrong."""
    model = Highs("a test", [-1.0, -1.0], 0.0, 1.0, integer=np.arange(2) == whole)
    model.add_row(-np.inf, 1.5, [0, 1], [1.0, 1.0])
    assert model.run() is End.OPTIMAL
    assert model.objective == pytest.approx(-1.5)
    assert model.values[whole] == pytest.approx(1.0)


def test_integer_program_against_all_subsets() -> None:
    """The best subset, its value as bound, and each improvement are reported."""
    rng = np.random.default_rng(0)
    worth, weight = rng.random(12), rng.random(12)
    subsets = (np.arange(2**12)[:, None] >> np.arange(12)) & 1
    best = (subsets @ worth)[subsets @ weight <= 1.5].max()
    model, seen = knapsack(), list[float]()
    assert model.run(improved=lambda value, bound: seen.append(value)) is End.OPTIMAL
    assert model.objective == pytest.approx(-best)
    assert model.lower_bound == pytest.approx(-best, rel=1e-3)
    assert seen[-1] == pytest.approx(-best)


def test_start() -> None:
    """A start is used: without time to search it is what comes back."""
    model = endless()
    model.start_from(np.zeros(200))
    model.run(time_limit_s=0.05)
    assert model.has_values


def test_start_near_a_basis_that_is_none() -> None:
    """Statuses of some columns and rows are enough, and any lead to the optimum."""

    def model() -> Highs:
        found = Highs("a test", [1.0, 2.0], 0.0, np.inf)
        found.add_row(1.0, np.inf, [0, 1], [1.0, 1.0])
        found.add_row(0.5, np.inf, [0], [1.0])
        return found

    whole = model()
    assert whole.run() is End.OPTIMAL
    known = whole.statuses
    assert len(known) == 4
    for statuses in (known, [None] * 4, [known[0], None, None, known[3]], known[::-1]):
        again = model()
        again.begin_near(statuses)
        assert again.run() is End.OPTIMAL
        assert again.values == pytest.approx([1.0, 0.0])


def test_infeasible() -> None:
    """A program without solution says so, and that is no failure."""
    model = Highs("a test", [1.0], 0.0, 1.0)
    model.add_row(2.0, 3.0, [0], [1.0])
    assert model.run() is End.INFEASIBLE
    assert not model.has_values


def test_limits() -> None:
    """Time ends a run, and so does whoever asks."""
    began = time.monotonic()
    assert endless().run(time_limit_s=0.3) is End.TIME_LIMIT
    asked = iter([False, False])
    end = endless().run(is_over=lambda: next(asked, True))
    assert end is End.INTERRUPTED
    assert time.monotonic() - began < 60.0


def test_exception_in_a_callback() -> None:
    """What a callback raises is raised by the run, once HiGHS has ended."""

    def stop() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        endless().run(is_over=stop)


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda m: m.add_row(0.0, 1.0, [7], [1.0]), "addRow: kError"),
        (lambda m: m.bound(np.zeros(3), np.zeros(3)), "changeColsBounds: kError"),
        (lambda m: m.bound(np.zeros(2), np.full(2, np.inf)), "model status kUnbounded"),
    ],
)
def test_failures(break_it: object, said: str) -> None:
    """A refused call or a status that is no answer fails the run, with its name."""
    model = Highs("a test", [-1.0, -1.0], 0.0, 1.0)
    break_it(model)  # type: ignore[operator]
    with highs.failures() as texts:
        assert model.run() is End.FAILED
        assert model.run() is End.FAILED
    assert len(texts) == 1
    assert re.fullmatch(rf"HiGHS [\d.]+ failed on a test: .*{said}.*", texts[0])


def test_words_of_highs() -> None:
    """HiGHS says itself what it does not like."""
    model = Highs("a test", [1.0], 0.0, 1.0, mip_rel_gap=-1.0)
    with highs.failures() as texts:
        model.run()
    assert "setOptionValue: kError. ERROR: " in texts[0]
    assert "mip_rel_gap" in texts[0]


def test_failure_that_nobody_collects() -> None:
    """Outside `failures` it is a warning."""
    model = Highs("a test", [-1.0], 0.0, np.inf)
    with pytest.warns(RuntimeWarning, match="failed on a test"):
        model.run()


def test_large_numbers() -> None:
    """What misses HiGHS's absolute tolerances only by rounding is a solution.

    Planes that differ by less than the last digits of their height: HiGHS ends some
    of these programs with status unknown.
    """
    tolerance = {
        "primal_feasibility_tolerance": 1e-9,
        "dual_feasibility_tolerance": 1e-9,
    }
    rng = np.random.default_rng(0)
    slope = np.array([0.03, 0.68, -0.78])
    names = set()
    for top in rng.uniform(1.8e11, 3.6e11, 100):
        upper = [top, top, top, np.inf]
        model = Highs("a test", [0, 0, 0, -1], [0, 0, 0, -np.inf], upper, **tolerance)
        for height in 1.86 + 1e-5 * rng.random(10):
            model.add_row(-np.inf, height, np.arange(4), np.r_[slope, 1.0])
        assert model.run() is End.OPTIMAL
        assert model.objective == pytest.approx(-0.78 * top)
        names.add(model._raw.getModelStatus().name)
    assert "kUnknown" in names


def test_threads_of_a_process_run_at_once() -> None:
    """Runs in several threads do not disturb each other."""
    ends: list[End] = []

    def work() -> None:
        ends.extend(knapsack().run() for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    with warnings.catch_warnings():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert ends == [End.OPTIMAL] * 80


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_highspy_of_somebody_else(threads: int) -> None:
    """Another model in the process, with other threads, neither harms nor is harmed.

    The whole way: the integer program runs and is optimal, and nothing is printed.
    """
    code = f"""{USER}
model = user({threads})
import shardplan
found = shardplan.solve("movielens-ncf", "dgx-a100-40", solver="ilp", objective="step")
assert found.status == "optimal", found.status
assert abs(found.objective_s - 111.44e-6) < 0.01e-6, found.objective_s
assert found.plan.outcome.warnings == ()
assert model.run() == highspy.HighsStatus.kOk
user({threads})
"""
    done = run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


FAILING = """
import sys
import shardplan.certify.highs
from shardplan.cli.main import main
"""
WITHOUT_SCHEDULER = f"""{USER}{FAILING}
shardplan.certify.highs.Highs._run = lambda self: self._raw.run()
user(4)
main()
"""
"""What happened before every run made its own scheduler."""


SCARCE = ["--set", "topology.host_groups.*.device.hbm_bytes=12 GB"]
"""Memory that has a price, for which the search and the bound ask HiGHS."""


@pytest.mark.parametrize(
    ("solver", "inputs"),
    [("ilp", ["movielens-ncf"]), ("auto", ["dlrm-dcnv2", *SCARCE])],
)
def test_failure_reaches_the_plan(solver: str, inputs: list[str]) -> None:
    """A run that HiGHS refuses is a warning, with HiGHS's words, in every output."""
    arguments = ["solve", *inputs, "--topology", "dgx-a100-40"]
    arguments += ["--solver", solver, "--work-limit", "1e4", "-o", "-"]
    done = run(WITHOUT_SCHEDULER, *arguments)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    texts = plan["outcome"]["warnings"]
    assert any("kError, model status kNotset" in text for text in texts)
    assert all("'threads' is set to 1 but" in text for text in texts)
    assert plan["outcome"]["status"] != "optimal" or solver == "auto"
    lines = done.stderr.splitlines()
    assert [f"Warning: {text}" for text in texts] == lines


def test_failure_without_a_plan() -> None:
    """Where there is no plan either, the failure is said beside the error."""
    code = f"""{USER}{FAILING}
from shardplan.solvers.ilp import model
from shardplan.solvers.base import SolverResult, SolveStatus

class Nothing:
    def __init__(self, *_):
        pass

    def solve(self, *_):
        return SolverResult(None, 0.0, SolveStatus.NOT_FOUND)

model.Greedy = Nothing
shardplan.certify.highs.Highs._run = lambda self: self._raw.run()
user(4)
main()
"""
    arguments = ["solve", "movielens-ncf", "--topology", "dgx-a100-40"]
    arguments += ["--solver", "ilp", "--objective", "step", "--format", "json"]
    done = run(code, *arguments)
    assert done.returncode in (3, 4)
    report = json.loads(done.stdout)
    assert report["status"] == "not_found"
    assert "the integer program: run: kError" in report["warnings"][0]
    assert done.stderr.startswith("Warning: HiGHS ")
