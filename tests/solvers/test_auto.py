"""The default solver: legal, never worse, proven, the same for the same seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.certify.dual import lower_bound
from shardplan.certify.verify import verify
from shardplan.records.sharding import SUMS, Objective, Target
from shardplan.solvers.auto import Auto
from shardplan.solvers.base import Silent, SolverResult, SolveStatus, Stop
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.ilp.model import IntegerProgram
from shardplan.solvers.ldm import LargestDifferencing
from shardplan.solvers.search.neighbourhood import Neighbourhood
from shardplan.solvers.search.portfolio import Portfolio
from tests.solvers.helpers import Hosts, brute_force, toy_problem, two_tables
from tests.solvers.search_helpers import (
    CLUSTERS,
    assert_legal,
    hbm_problem,
    is_same,
)

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.solvers.base import Solver


WORK = (1e3, 1e4, 5e4, 2e5, 5e5)
"""Work after which a search stops: before its first cycle, amid cycles, at its end."""


def solve(problem: Problem, work: float = 5e5, seed: int = 0) -> SolverResult:
    return Auto().solve(problem, Stop(work_limit=work), seed, Silent())


@pytest.mark.slow
@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_never_worse_and_legal(cluster: str, objective: Objective) -> None:
    """Wherever it stops, auto keeps all constraints and is as good as greedy and LDM.

    Its bound is the one that its certificate proves.
    """
    num_found = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        problem = toy_problem(
            rng,
            12,
            CLUSTERS[cluster],
            fill=0.3 + 0.1 * seed,
            objective=objective,
            target=Target.TORCHREC if seed % 2 else Target.ANY,
        )
        found = solve(problem, work=WORK[seed])
        quick: list[Solver] = [Greedy(), LargestDifferencing()]
        plans = [s.solve(problem, Stop(), 0, Silent()).assignment for s in quick]
        values = [problem.value(plan) for plan in plans if plan is not None]
        assert found.certificate is not None
        proven = verify(problem, found.certificate)
        if found.assignment is None:
            assert not values
            continue
        num_found += 1
        assert_legal(problem, found.assignment)
        value = problem.value(found.assignment)
        assert value <= min(values, default=np.inf) * (1 + 1e-12)
        assert found.lower_bound_s == min(proven, value)
        assert 0.0 < proven <= value * (1 + 1e-9)
    assert num_found > 2


@pytest.mark.parametrize("objective", SUMS)
def test_search_is_no_better_than_everything(objective: Objective) -> None:
    """The value lies between the optimum of tiny problems and a quarter above it.

    A work limit leaves out exact methods.
    """
    num_found = 0
    for seed in range(3, 6):
        rng = np.random.default_rng(100 + seed)
        problem = toy_problem(rng, 4, [Hosts(2, 2, 2)], objective=objective)
        best, _ = brute_force(problem)
        found = solve(problem, work=2e5)
        if not np.isfinite(best):
            assert found.assignment is None
            continue
        assert found.lower_bound_s <= best * (1 + 1e-9)
        if found.assignment is not None:
            num_found += 1
            assert_legal(problem, found.assignment)
            assert (1 - 1e-12) * best <= problem.value(found.assignment) <= 1.25 * best
    assert num_found > 2


@pytest.mark.parametrize("objective", SUMS)
def test_small_problems_are_proven(objective: Objective) -> None:
    """With time for the integer program the optimum is found, and said to be one."""
    for seed in (4, 5):
        rng = np.random.default_rng(100 + seed)
        problem = toy_problem(rng, 4, [Hosts(2, 2, 2)], objective=objective)
        best, _ = brute_force(problem)
        found = Auto().solve(problem, Stop(time_limit_s=6.0), 0, Silent())
        assert found.status is SolveStatus.OPTIMAL
        assert found.assignment is not None
        assert_legal(problem, found.assignment)
        assert problem.value(found.assignment) == pytest.approx(best, rel=3e-6)


@pytest.mark.parametrize("objective", SUMS)
def test_same_seed_same_plan(objective: Objective) -> None:
    """Two searches of one seed and work limit agree, plan and bound.

    The plan is that of the search, not of a heuristic without random numbers.
    """
    rng = np.random.default_rng(4)
    problem = toy_problem(rng, 20, [Hosts(2, 4, 4)], fill=0.3, objective=objective)
    first, second = (solve(problem, 5e5, seed=5) for _ in range(2))
    assert first.assignment is not None
    assert second.assignment is not None
    assert is_same(first.assignment, second.assignment)
    assert first.lower_bound_s == second.lower_bound_s
    assert first.certificate == second.certificate
    for solver in (Greedy(), LargestDifferencing()):
        quick = solver.solve(problem, Stop(), 0, Silent()).assignment
        assert quick is not None
        assert problem.value(first.assignment) < 0.999 * problem.value(quick)


def test_a_work_limit_leaves_out_what_stops_by_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not even a generous work limit lets a slow machine find another plan."""

    def refuse(*args: object) -> None:
        raise AssertionError("stops by the clock")

    monkeypatch.setattr(IntegerProgram, "solve", refuse)
    monkeypatch.setattr(Neighbourhood, "improve", refuse)
    monkeypatch.setattr(Portfolio, "run", lambda self: iter(()))
    problem = toy_problem(np.random.default_rng(3), 8, [Hosts(2, 2, 2)], fill=0.3)
    assert solve(problem, work=1e9).assignment is not None
    with pytest.raises(AssertionError, match="by the clock"):
        Auto().solve(problem, Stop(), 0, Silent())


def test_a_work_limit_has_a_proof_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Better than the first bound, and the clock has no say in it."""
    rng = np.random.default_rng(1)
    problem = toy_problem(rng, 4, CLUSTERS["one host"], fill=0.3)
    first = solve(problem, work=1e3)
    with monkeypatch.context() as odd:
        odd.setattr("time.perf_counter", lambda: 1e9 * rng.random())
        second = solve(problem, work=1e3)
    assert first.certificate is not None
    assert second.certificate == first.certificate
    assert first.lower_bound_s == verify(problem, first.certificate)
    assert first.lower_bound_s > 1.03 * lower_bound(problem).value_s


class Impatient:
    """Asks to stop at the first plan."""

    def __init__(self, stop: Stop, patience: int) -> None:
        self.stop, self.patience = stop, patience
        self.values: list[float] = []

    def improved(self, objective_s: float, lower_bound_s: float) -> None:
        self.values.append(objective_s)
        if len(self.values) >= self.patience:
            self.stop.requested = True


@pytest.mark.parametrize("patience", [1, 3, 6])
def test_request_keeps_the_best(patience: int) -> None:
    """A request from outside ends the search; the plan is the best one reported."""
    problem = toy_problem(np.random.default_rng(4), 20, [Hosts(2, 4, 4)], fill=0.5)
    stop = Stop(work_limit=1e6)
    observer = Impatient(stop, patience)
    found = Auto().solve(problem, stop, 0, observer)
    assert found.assignment is not None
    assert_legal(problem, found.assignment)
    assert problem.value(found.assignment) == min(observer.values)
    assert stop.requested
    assert stop.work < 1e6


def test_what_is_reported_only_improves() -> None:
    """Values fall and bounds rise; the last report is the result."""

    class Diary:
        told: list[tuple[float, float]] = []  # noqa: RUF012

        def improved(self, objective_s: float, lower_bound_s: float) -> None:
            self.told.append((objective_s, lower_bound_s))

    problem = toy_problem(np.random.default_rng(4), 20, [Hosts(2, 4, 4)], fill=0.5)
    found = Auto().solve(problem, Stop(work_limit=1e6), 0, Diary())
    told = np.array(Diary.told)
    assert len(told) > 3
    assert (told[1:, 0] <= told[:-1, 0]).all()
    assert (np.diff(told[:, 1]) >= 0).all()
    assert found.assignment is not None
    assert told[-1, 0] == problem.value(found.assignment)
    assert told[-1, 1] == found.lower_bound_s


def test_time_that_is_over_still_gives_a_plan() -> None:
    """Without any time the first heuristic's plan is returned, with a proven bound."""
    problem = toy_problem(np.random.default_rng(4), 20, [Hosts(2, 4, 4)], fill=0.5)
    found = Auto().solve(problem, Stop(time_limit_s=0.0), 0, Silent())
    assert found.assignment is not None
    assert_legal(problem, found.assignment)
    assert found.certificate is not None
    assert found.lower_bound_s == verify(problem, found.certificate)
    assert found.status is SolveStatus.TIME_LIMIT


def test_known_plans_take_the_place_of_greedys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best of them is what is left without any time."""
    problem = toy_problem(np.random.default_rng(4), 20, [Hosts(2, 4, 4)], fill=0.5)
    plans = [solve(problem, work).assignment for work in (0.0, 1e5)]
    assert plans[0] is not None
    assert plans[1] is not None
    assert problem.value(plans[1]) < problem.value(plans[0])
    monkeypatch.setattr(Greedy, "solve", lambda *_: pytest.fail("greedy ran"))
    known = Auto(plans=[plan for plan in plans if plan is not None])
    found = known.solve(problem, Stop(time_limit_s=0.0), 0, Silent())
    assert found.assignment is not None
    assert is_same(found.assignment, plans[1])


def test_pins_on_single_ranks_of_many() -> None:
    """The search begins, and ends legally, where tables have one rank of 128 each."""
    rng = np.random.default_rng(0)
    problem = hbm_problem(rng, 200, [Hosts(32, 4)])
    for bundle in range(0, 200, 5):
        mask = np.zeros(problem.world_size, dtype=bool)
        mask[int(rng.integers(problem.world_size))] = True
        problem.allowed[bundle] = mask
    stop = Stop(work_limit=1e6)
    found = Auto().solve(problem, stop, 0, Silent())
    assert found.assignment is not None
    assert_legal(problem, found.assignment)


def test_small_problem_with_every_constraint() -> None:
    """Two tables that share no rank, one of them forbidden on rank 3."""
    problem = two_tables()
    found = solve(problem)
    assert found.assignment is not None
    assert_legal(problem, found.assignment)
    assert problem.value(found.assignment) == pytest.approx(brute_force(problem)[0])
