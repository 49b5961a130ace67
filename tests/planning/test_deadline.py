"""A time limit bounds the whole command, whatever the tables take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.errors import LimitError
from shardplan.planning import claims, planner
from shardplan.planning.deadline import _PROOF_SHARE, keep_rest, limit_command
from shardplan.plans.plan_file import format_plan
from shardplan.problems.options import menu
from shardplan.problems.problem import build_problem
from shardplan.problems.totals import OptionTotals
from shardplan.records.sharding import Objective
from shardplan.report.solution import solution_data
from shardplan.solvers import greedy, placement
from shardplan.solvers.base import Silent, SolverResult, Stop
from shardplan.solvers.greedy import Greedy, place_all
from shardplan.solvers.params import SolverParams
from shardplan.solvers.search import starts
from shardplan.solvers.selection import select
from tests.benchmarks.families import Family, family_inputs

if TYPE_CHECKING:
    from shardplan.certify.kelley import Clock
    from shardplan.certify.params import ProofParams
    from shardplan.problems.problem import Problem
    from shardplan.solvers.base import Observer
    from tests.helpers import Instance


class Seen(Greedy):
    """Greedy, and how much time it was given [s]."""

    given_s = 0.0

    def solve(
        self, problem: Problem, stop: Stop, seed: int, observer: Observer
    ) -> SolverResult:
        self.given_s = stop.remaining_s()
        return super().solve(problem, stop, seed, observer)


class Watch:
    """A clock that only moves when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        monkeypatch.setattr(Stop, "elapsed_s", lambda stop: self.now_s)


def test_the_search_leaves_time_for_the_rest(
    dlrm_like: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pricing took 7 s of 100, so 21 are kept: 2 more to compare, then the proof."""
    watch, solver, proof_s = Watch(monkeypatch), Seen(), []

    def slow(*arguments: object, **options: object) -> Problem:
        watch.now_s += 7.0
        return build_problem(*arguments, **options)

    def bounded(
        problem: Problem, value_s: float, stop: Clock, params: ProofParams
    ) -> object:
        proof_s.append(stop.remaining_s())
        return planner_bound(problem, value_s, stop, params)

    planner_bound = claims.lower_bound
    monkeypatch.setattr(planner, "build_problem", slow)
    monkeypatch.setattr(claims, "lower_bound", bounded)
    monkeypatch.setattr(planner, "load_solver", lambda *_: solver)
    assert dlrm_like.solve(time_limit_s=100.0).runtime_s == pytest.approx(7.0)
    assert solver.given_s == pytest.approx(100.0 - 7.0 - 21.0 - 2.0)
    assert proof_s == [pytest.approx(72.0 + _PROOF_SHARE * 21.0)]


def test_without_a_limit_nothing_is_kept() -> None:
    """No limit is no limit, for the first plan either."""
    stop = Stop()
    limit_command(stop)
    keep_rest(stop, 5.0)
    with stop.sooner(stop.remaining_s() - 15.0):
        assert stop.is_endless
    assert not stop.is_overdue()


def test_pricing_ends_at_the_limit(
    dlrm_like: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit of 10 s ends the pricing of options between two chunks after 12 s."""
    watch, priced = Watch(monkeypatch), []

    def slow(*arguments: object) -> object:
        watch.now_s += 4.0
        priced.append(1)
        return price(*arguments)

    price = menu._price
    monkeypatch.setattr("shardplan.problems.options.menu._price", slow)
    monkeypatch.setattr("shardplan.problems.options.menu._CHUNK_ITEMS", 1)
    with pytest.raises(LimitError, match=r"within 12\.0 s: raise --time-limit"):
        dlrm_like.solve(time_limit_s=10.0)
    assert len(priced) == 3


def problem_of(instance: Instance) -> Problem:
    return build_problem(*instance, objective=Objective.STEP)


def test_the_first_plan_is_given_up_late(
    dlrm_like: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its limit a search still makes its first plan; when overdue it does not."""
    problem = problem_of(dlrm_like)
    monkeypatch.setattr(greedy, "CLOCK_EVERY", 1)
    late = Stop(time_limit_s=0.0)
    assert Greedy().solve(problem, late, 0, Silent()).assignment is not None
    overdue = Stop(time_limit_s=0.0, last_s=0.0)
    assert Greedy().solve(problem, overdue, 0, Silent()).assignment is None


def test_placing_looks_at_the_clock(
    dlrm_like: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Placing many bundles is left in between, not only at its end."""
    problem = problem_of(dlrm_like)
    totals = OptionTotals.of(problem)
    choice = select(problem, totals, np.inf, 1.0)
    assert choice is not None
    placed = []

    def place(self: placement.Placer, bundle: int, option: int) -> bool:
        placed.append(bundle)
        return before(self, bundle, option)

    before = placement.Placer.place
    monkeypatch.setattr(placement.Placer, "place", place)
    monkeypatch.setattr(greedy, "CLOCK_EVERY", 2)
    assert place_all(problem, totals, choice, give_up=lambda: True) is None
    assert len(placed) <= 1  # what is on all ranks is placed without a call
    assert place_all(problem, totals, choice, give_up=lambda: False) is not None
    assert len(placed) > 2


def test_the_search_gives_up_its_first_start(
    dlrm_like: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` on a large problem has no plan before its first start is placed."""
    for module in (greedy, starts):
        monkeypatch.setattr(module, "CLOCK_EVERY", 1)
    params = SolverParams.model_validate({"auto": {"greedy_size": 0}})
    solver = planner.load_solver("auto", params)
    stop = Stop(time_limit_s=0.0, last_s=0.0)
    assert solver.solve(problem_of(dlrm_like), stop, 0, Silent()).assignment is None
    late = Stop(time_limit_s=0.0)
    found = solver.solve(problem_of(dlrm_like), late, 0, Silent())
    assert found.assignment is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("solver", "tables", "ranks", "limit_s"),
    [
        ("auto", 2000, 256, 3.0),
        ("greedy", 10_000, 32, 0.5),
        pytest.param("auto", 10_000, 4096, 15.0, marks=pytest.mark.benchmark),
        pytest.param("greedy", 50_000, 32, 20.0, marks=pytest.mark.benchmark),
        pytest.param("greedy", 50_000, 32, 4.0, marks=pytest.mark.benchmark),
    ],
)
def test_large_problems_end_in_time(
    solver: str,
    tables: int,
    ranks: int,
    limit_s: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reading apart, everything fits the limit; on a clock that counts own work only.

    The contract is 1.1 times the limit and 1 s; twice is for machines where memory is
    slow in other places.
    """
    workload, topology = family_inputs(Family.HBM, 1, tables, ranks)
    before = time.process_time()
    monkeypatch.setattr(Stop, "elapsed_s", lambda stop: time.process_time() - before)
    try:
        result = planner.solve(workload, topology, solver=solver, time_limit_s=limit_s)
    except LimitError:
        assert limit_s < 10.0
    else:
        format_plan(result.plan)
        solution_data(result, None)
    assert time.process_time() - before < 2.0 * (1.1 * limit_s + 1.0)
