"""The integer program against brute force, its file format, limits and manners."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pulp
import pytest

from shardplan.errors import InputError
from shardplan.problems.legality import faults
from shardplan.problems.problem import Assignment
from shardplan.problems.totals import simple_lower_bound
from shardplan.records.sharding import SUMS, Objective, Target
from shardplan.solvers.base import Silent, SolverResult, SolveStatus, Stop
from shardplan.solvers.by_step_time import ByStepTime
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.ilp import cbc, highs, model, solution
from shardplan.solvers.ilp.constraints import CONSTRAINTS, Constraints
from shardplan.solvers.ilp.model import IntegerProgram
from shardplan.solvers.ilp.objective import slowest_ranks, time_unit
from shardplan.solvers.ilp.program import Program
from shardplan.solvers.ilp.pulp_model import lp_text
from shardplan.solvers.ilp.variables import Variables
from shardplan.solvers.params import IlpParams
from shardplan.solvers.registry import load_solver
from shardplan.solvers.tolerances import PROOF_TOLERANCE
from tests.helpers import HAS_CBC, two_hosts
from tests.solvers.helpers import (
    CW2,
    TW,
    Hosts,
    brute_force,
    make_problem,
    toy_problem,
    two_tables,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shardplan.problems.problem import Problem

CLUSTERS = {
    "two hosts": [Hosts(2, 2, 2)],
    "one host": [Hosts(1, 3, 3)],
    "mixed sizes": [Hosts(1, 2, 2), Hosts(1, 1, 1)],
    "domain over hosts": [Hosts(2, 2, 4)],
    "two domains in a host": [Hosts(1, 4, 2)],
    "one rank": [Hosts(1, 1, 1)],
    "two classes": [Hosts(1, 2, 2), Hosts(2, 1, 1)],
    "three hosts": [Hosts(3, 1, 3)],
}


class NoStart:
    """A solver that finds nothing."""

    def solve(self, *_: object) -> SolverResult:
        return SolverResult(None, 0.0, SolveStatus.NOT_FOUND)


class Log:
    """An observer that remembers what it was told."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def improved(self, objective_s: float, lower_bound_s: float) -> None:
        self.values.append(objective_s)


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the program start without a plan."""
    monkeypatch.setattr(model, "Greedy", lambda _: NoStart())


def solve(problem: Problem, stop: Stop | None = None, seed: int = 0) -> SolverResult:
    return IntegerProgram().solve(problem, stop or Stop(), seed, Silent())


def draw(seed: int, groups: list[Hosts], objective: Objective) -> Problem:
    rng = np.random.default_rng(seed)
    return toy_problem(
        rng,
        int(rng.integers(1, 4)),
        groups,
        options_each=4,
        fill=float(rng.choice([0.05, 0.15, 0.3])),
        limited=seed % 2 == 1,
        objective=objective,
        target=Target.TORCHREC if seed % 4 < 2 else Target.ANY,
    )


def hard_problem() -> Problem:
    """Too large to be solved in a few seconds."""
    rng = np.random.default_rng(1)
    return toy_problem(rng, 40, [Hosts(2, 4, 4)], fill=0.4, limited=False)


def assert_optimal(problem: Problem) -> bool:
    """Compare a solve with brute force; return whether there is a solution."""
    value, best = brute_force(problem)
    result = solve(problem)
    if best is None:
        assert result.status is SolveStatus.INFEASIBLE
        assert result.assignment is None
        return False
    assert problem.value(best) == pytest.approx(value, rel=1e-12)
    assert result.status is SolveStatus.OPTIMAL
    assert result.assignment is not None
    assert faults(problem, result.assignment) == []
    assert problem.loads(result.assignment).fits(problem.capacity)
    assert problem.value(result.assignment) == pytest.approx(value, rel=1e-9)
    assert result.lower_bound_s <= value * (1 + 1e-12)
    assert result.lower_bound_s >= value * (1 - 2 * PROOF_TOLERANCE)
    return True


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("groups", CLUSTERS.values(), ids=CLUSTERS)
def test_agrees_with_brute_force(groups: list[Hosts], objective: Objective) -> None:
    """From a greedy start, the optimum is found and infeasibility is proven."""
    feasible = [assert_optimal(draw(seed, groups, objective)) for seed in range(5)]
    assert any(feasible)


@pytest.mark.usefixtures("cold")
@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("groups", CLUSTERS.values(), ids=CLUSTERS)
def test_agrees_with_brute_force_cold(
    groups: list[Hosts], objective: Objective
) -> None:
    """Without a start, the optimum is found and infeasibility is proven."""
    feasible = [assert_optimal(draw(seed, groups, objective)) for seed in range(5, 10)]
    assert any(feasible)


@pytest.mark.parametrize("objective", SUMS)
def test_two_tables(objective: Objective) -> None:
    """Where every constraint occurs, the optimum is that of brute force."""
    assert assert_optimal(two_tables(objective))


def test_start_is_used() -> None:
    """A start that HiGHS may not leave any time for is what comes back."""
    problem = hard_problem()
    greedy = load_solver("greedy").solve(problem, Stop(), 0, Silent()).assignment
    assert greedy is not None
    built = model.build(problem)
    values = solution.values_of(problem, built.variables, greedy, built.unit_s)
    seen: list[float] = []
    stop = Stop(time_limit_s=30.0, gap=10.0)
    outcome = highs.run(
        built.program, stop, 0, values, lambda value, _: seen.append(value)
    )
    assert outcome.values is not None
    # HiGHS takes the start as it is: its first solution has the start's value.
    start = problem.value(greedy) / built.unit_s
    assert min(seen, default=start) <= start * (1 + 1e-9)
    slowest = [z.index for z in built.variables.slowest]
    assert outcome.values[slowest].sum() <= start * (1 + 1e-9)


def test_start_of_ones_own() -> None:
    """A given assignment is the start; an illegal one is ignored."""
    problem = two_tables()
    value, best = brute_force(problem)
    assert best is not None
    far = Assignment(best.option, tuple(np.full_like(p, 3) for p in best.places))
    for start in (best, far):
        result = IntegerProgram(start).solve(problem, Stop(), 0, Silent())
        assert result.assignment is not None
        assert problem.value(result.assignment) == pytest.approx(value)


def test_time_limit() -> None:
    """At the time limit, the best plan and a true bound come back."""
    problem = hard_problem()
    began = time.monotonic()
    result = solve(problem, Stop(time_limit_s=2.0))
    assert time.monotonic() - began < 10.0
    assert result.status is SolveStatus.TIME_LIMIT
    assert result.assignment is not None
    assert 0 < result.lower_bound_s <= problem.value(result.assignment)
    assert result.lower_bound_s >= simple_lower_bound(problem)


@pytest.mark.usefixtures("cold")
def test_no_time_at_all() -> None:
    """Without time and start nothing is found and nothing is claimed."""
    problem = hard_problem()
    result = solve(problem, Stop(time_limit_s=0.0))
    assert result.assignment is None
    assert result.status is SolveStatus.NOT_FOUND


def test_request_to_stop() -> None:
    """A request from outside interrupts HiGHS, and the best plan is kept."""
    stop = Stop()
    timer = threading.Timer(1.0, setattr, (stop, "requested", True))
    timer.start()
    began = time.monotonic()
    result = solve(hard_problem(), stop)
    timer.join()
    assert time.monotonic() - began < 10.0
    assert result.assignment is not None
    assert result.status is not SolveStatus.OPTIMAL


def test_gap() -> None:
    """A gap ends the search early, without a claim of optimality."""
    problem = hard_problem()
    result = solve(problem, Stop(time_limit_s=60.0, gap=0.5))
    assert result.assignment is not None
    assert result.status in (SolveStatus.FEASIBLE, SolveStatus.OPTIMAL)
    assert problem.value(result.assignment) <= result.lower_bound_s * 1.5


def test_same_seed_same_plan() -> None:
    """Two solves with one seed give the same assignment."""
    problem = draw(3, CLUSTERS["two classes"], Objective.STEP)
    first, second = solve(problem, seed=7), solve(problem, seed=7)
    assert first.assignment is not None
    assert second.assignment is not None
    assert first.lower_bound_s == second.lower_bound_s
    assert first.assignment.option.tolist() == second.assignment.option.tolist()
    for one, other in zip(
        first.assignment.places, second.assignment.places, strict=True
    ):
        assert one.tolist() == other.tolist()


@pytest.mark.usefixtures("cold")
def test_observer_hears_of_improvements() -> None:
    """Progress is reported, never worse than before, down to the final value."""
    problem, log = two_tables(), Log()
    result = IntegerProgram().solve(problem, Stop(), 0, log)
    assert result.assignment is not None
    assert log.values == sorted(log.values, reverse=True)
    assert log.values[-1] == pytest.approx(problem.value(result.assignment))


def full_pools(capacity: float) -> Problem:
    """Three tables of a third of one rank's memory each, on one rank."""
    cost = np.full((3, 1, 6), 1e-3)
    tier_bytes = np.array([[0.1e11, 0.0, 0.0], [0.2e11, 0.0, 0.0], [0.3e11, 0.0, 0.0]])
    pools = (np.array([capacity]), np.zeros(1), np.zeros(1))
    return make_problem([Hosts(1, 1, 1)], [[TW]] * 3, cost, tier_bytes, pools)


@pytest.mark.usefixtures("cold")
def test_exactly_full() -> None:
    """A pool may be filled to the last byte."""
    result = solve(full_pools(0.6e11))
    assert result.status is SolveStatus.OPTIMAL


@pytest.mark.usefixtures("cold")
def test_a_byte_too_few() -> None:
    """What fits only within the tolerance of HiGHS is not taken for a plan."""
    result = solve(full_pools(0.6e11 - 1.0))
    assert result.assignment is None
    assert result.status in (SolveStatus.INFEASIBLE, SolveStatus.NOT_FOUND)


@pytest.mark.usefixtures("cold")
def test_second_try_finds_a_plan_that_fits() -> None:
    """Where the best plan overfills a pool by rounding, another one is found."""
    # Two tables on rank 0 are best and one byte in 6e10 too many; rank 1 is slow.
    cost = np.zeros((2, 2, 6))
    cost[:, 0, 2], cost[:, 1, 2] = 1e-3, 5e-3
    tier_bytes = np.zeros((2, 3))
    tier_bytes[:, 0] = 3e10
    pools = (np.array([6e10 - 1.0, 6e10]), np.zeros(2), np.zeros(2))
    groups = [Hosts(1, 1, 1), Hosts(1, 1, 1)]
    problem = make_problem(groups, [[TW]] * 2, cost, tier_bytes, pools)
    result = solve(problem)
    assert result.assignment is not None
    assert problem.loads(result.assignment).fits(problem.capacity)
    # The bound is that of the first try: 2 ms; it does not prove 5 ms optimal.
    assert problem.value(result.assignment) == pytest.approx(5e-3)
    assert result.lower_bound_s <= 5e-3


def test_memory_that_is_not_there() -> None:
    """A pool of no bytes takes only shards of no bytes."""
    tier_bytes = np.array([[1e9, 0.0, 0.0], [0.0, 1e9, 0.0]])
    cost = np.full((2, 1, 6), 1e-3)
    pools = (np.zeros(2), np.full(1, 2e9), np.zeros(1))
    menus = [[TW, CW2]]
    problem = make_problem([Hosts(1, 2, 2)], menus, cost, tier_bytes, pools)
    result = solve(problem)
    assert result.assignment is not None
    assert result.assignment.option.tolist() == [1]


def test_empty_menu() -> None:
    """A table without options makes the problem infeasible."""
    problem = two_tables()
    options = problem.options.select(np.arange(4), 2)
    result = solve(replace(problem, options=options))
    assert result.status is SolveStatus.INFEASIBLE


def test_too_large() -> None:
    """A model above the limit is refused with the limit and the way out."""
    most = IlpParams(max_variables=10)
    with pytest.raises(InputError, match=r"at most 10 are supported: use solver auto"):
        model.build(two_tables(), params=most)


@pytest.mark.parametrize(
    ("bound_s", "unit_s"), [(2.5e-3, 1e-3), (9.9e-7, 1e-7), (40.0, 10.0)]
)
def test_time_unit(bound_s: float, unit_s: float) -> None:
    """The bound is a number from 1 to 10 in the unit."""
    assert time_unit(bound_s) == pytest.approx(unit_s)
    assert time_unit(0.0) == 1e-3
    assert time_unit(float("inf")) == 1e-3


def test_every_constraint_is_listed() -> None:
    """Every public method of the class is a constraint of the model."""
    public = [name for name in vars(Constraints) if not name.startswith("_")]
    assert [rows.__name__ for rows in CONSTRAINTS] == public


@pytest.mark.parametrize("rows", CONSTRAINTS, ids=lambda rows: rows.__name__)
def test_golden_rows(
    rows: Callable[[Constraints], object],
    golden: Callable[[str, str], None],
) -> None:
    """Each constraint alone gives the rows of its golden file."""
    problem = two_tables()
    program = Program()
    found = Variables.of(program, problem, 200_000)
    bound = simple_lower_bound(problem)
    program.objective = slowest_ranks(found)
    program.rows = list(rows(Constraints(problem, found, bound, time_unit(bound))))
    assert program.rows
    golden(f"lp/{rows.__name__}.lp", lp_text(program))


@pytest.mark.parametrize("objective", SUMS)
def test_lp_text(objective: Objective, golden: Callable[[str, str], None]) -> None:
    """The whole program is written in LP format."""
    name = objective.value.replace("-", "_")
    golden(f"lp/program_{name}.lp", lp_text(model.build(two_tables(objective)).program))


@pytest.mark.skipif(not HAS_CBC, reason="CBC is not installed")
@pytest.mark.parametrize("objective", SUMS)
def test_cbc_agrees_with_highs(objective: Objective) -> None:
    """Both MIP solvers end at the same optimum, which CBC proves by ending."""
    problem = two_tables(objective)
    by_highs = model.IntegerProgram().solve(problem, Stop(), 0, Silent())
    by_cbc = cbc.CbcProgram().solve(problem, Stop(), 0, Silent())
    assert by_highs.assignment is not None
    assert by_cbc.assignment is not None
    assert by_cbc.status is SolveStatus.OPTIMAL
    assert problem.value(by_cbc.assignment) == pytest.approx(
        problem.value(by_highs.assignment), rel=1e-6
    )


@pytest.mark.parametrize(
    ("said", "status", "has_values"),
    [
        ("Infeasible", SolveStatus.INFEASIBLE, False),
        ("Stopped on time", SolveStatus.TIME_LIMIT, True),
        ("Stopped on time (no integer solution -", SolveStatus.TIME_LIMIT, False),
    ],
)
def test_what_cbc_says(
    said: str,
    status: SolveStatus,
    has_values: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How CBC ended is heard through PuLP 3 and 4 alike."""
    command = tmp_path / "cbc"
    command.write_text(
        f"""#!/bin/sh
while [ "$1" != -solution ]; do shift; done
echo "{said} - objective value 0.0" > "$2"
""",
        encoding="utf-8",
    )
    command.chmod(0o755)
    monkeypatch.setattr(cbc, "_COMMANDS", ("COIN_CMD",))
    kind = partial(pulp.COIN_CMD, path=str(command))
    monkeypatch.setattr(pulp, "COIN_CMD", kind)
    program = model.build(two_tables()).program
    outcome = cbc.run(program, Stop(), 0, None, lambda value, bound: None)
    assert outcome.status is status
    assert (outcome.values is not None) == has_values


def test_cbc_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any CBC the error says what to do."""
    monkeypatch.setattr("shardplan.solvers.ilp.cbc._COMMANDS", ())
    with pytest.raises(InputError, match="CBC is not installed"):
        cbc.run(Program(), Stop(), 0, None, lambda value, bound: None)


@pytest.mark.parametrize("objective", list(Objective))
def test_a_program_that_is_not_written_in_time_is_left(objective: Objective) -> None:
    """To write it may take longer than the time limit; the start is kept."""
    problem = two_hosts().problem(objective=objective)
    quick = ByStepTime(Greedy()) if objective is Objective.TIME else Greedy()
    start = quick.solve(problem, Stop(), 0, Silent()).assignment
    clock = iter(range(10_000_000))
    # Every look at the clock is a second later: the program begins, and is left.
    stop = Stop(time_limit_s=20.0, clock=lambda: float(next(clock)))
    ran: list[object] = []

    class Watched(model.IntegerProgram):
        run = staticmethod(lambda *arguments: ran.append(arguments))

    found = Watched(start).solve(problem, stop, 0, Silent())
    assert not ran
    assert found.assignment is start
    assert found.status is SolveStatus.TIME_LIMIT
