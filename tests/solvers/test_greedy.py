"""Greedy: textbook rules on textbook problems, and never below the optimum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.problems.totals import OptionTotals
from shardplan.records.sharding import PHASES, SUMS, Objective
from shardplan.solvers import greedy
from shardplan.solvers.base import Silent, SolverResult, Stop
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.ldm import LargestDifferencing
from shardplan.solvers.selection import select
from tests.solvers.helpers import (
    TW,
    Hosts,
    brute_force,
    make_problem,
    plain_problem,
    toy_problem,
)

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from tests.helpers import Instance

SOLVERS = {"greedy": Greedy, "ldm": LargestDifferencing}


def partition_problem(numbers: list[float], ranks: int) -> Problem:
    """Tables of given seconds that must stay whole, with memory to spare."""
    cost = np.zeros((len(numbers), 1, len(PHASES)))
    cost[:, 0, 2] = numbers
    tier_bytes = np.zeros((len(numbers), 3))
    tier_bytes[:, 0] = 1.0
    capacity = (np.full(ranks, 1e9), np.full(1, 1e9), np.full(1, 1e9))
    menus = [[TW]] * len(numbers)
    return make_problem([Hosts(1, ranks, ranks)], menus, cost, tier_bytes, capacity)


def longest_first(numbers: list[float], ranks: int) -> float:
    """Graham's LPT rule, written down once more."""
    loads = [0.0] * ranks
    for number in sorted(numbers, reverse=True):
        loads[loads.index(min(loads))] += number
    return max(loads)


def run(name: str, problem: Problem, stop: Stop | None = None) -> SolverResult:
    return SOLVERS[name]().solve(problem, stop or Stop(), 0, Silent())


def value_of(problem: Problem, result: SolverResult) -> float:
    assert result.assignment is not None
    return problem.value(result.assignment)


@pytest.mark.parametrize(
    ("numbers", "ranks", "expected"),
    [
        ([8, 7, 6, 5, 4], 2, 17),  # 8 5 4 | 7 6
        ([5, 5, 4, 4, 3, 3, 3], 3, 11),  # Graham's worst case: optimum 9
        ([3, 3, 2, 2, 2], 2, 7),  # optimum 6
    ],
)
def test_whole_tables_go_longest_first(
    numbers: list[float], ranks: int, expected: float
) -> None:
    """With table_wise only, greedy is LPT, ties and all."""
    problem = partition_problem(numbers, ranks)
    assert longest_first(numbers, ranks) == expected
    assert value_of(problem, run("greedy", problem)) == expected


@pytest.mark.parametrize("seed", range(20))
def test_greedy_is_longest_first_on_random_numbers(seed: int) -> None:
    """Any numbers of whole tables end as LPT ends."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(1, 1000, 12).astype(float).tolist()
    problem = partition_problem(numbers, 3)
    found = value_of(problem, run("greedy", problem))
    assert found == pytest.approx(longest_first(numbers, 3))


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("seed", range(25))
def test_heuristics_are_never_below_the_optimum(
    seed: int, name: str, objective: Objective
) -> None:
    """Plans fit, are worth at least the brute-force optimum, and bounds at most it."""
    rng = np.random.default_rng(seed)
    groups = [[Hosts(1, 2)], [Hosts(2, 2, 2)], [Hosts(1, 2), Hosts(1, 1)]][seed % 3]
    problem = toy_problem(rng, 3, groups, objective=objective)
    optimum, best = brute_force(problem)
    result = run(name, problem)
    assert result.lower_bound_s <= optimum * (1 + 1e-9)
    if result.assignment is None:
        return
    assert best is not None
    assert problem.loads(result.assignment).fits(problem.capacity)
    assert value_of(problem, result) >= optimum * (1 - 1e-9)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("objective", SUMS)
def test_heuristics_on_real_prices(
    two_tables: Instance, name: str, objective: Objective
) -> None:
    """On two priced tables the heuristics end within a quarter of the optimum."""
    problem = two_tables.problem(objective=objective)
    optimum, _ = brute_force(problem)
    found = value_of(problem, run(name, problem))
    assert optimum * (1 - 1e-9) <= found <= optimum * 1.25


@pytest.mark.parametrize("name", SOLVERS)
def test_stopping_keeps_the_best(dlrm_like: Instance, name: str) -> None:
    """A request to stop or a limit that is over leaves a plan that fits."""
    problem = dlrm_like.problem()
    stopped = Stop()
    stopped.requested = True
    for stop in (stopped, Stop(time_limit_s=0.0)):
        result = run(name, problem, stop)
        assert result.assignment is not None
        assert result.status == "time_limit"
        assert problem.loads(result.assignment).fits(problem.capacity)
    assert value_of(problem, run(name, problem)) <= value_of(problem, result)


@pytest.mark.parametrize("name", SOLVERS)
def test_progress_only_improves(dlrm_like: Instance, name: str) -> None:
    """An observer sees values that fall towards a bound that stands."""
    seen: list[tuple[float, float]] = []

    class Watch:
        def improved(self, objective_s: float, lower_bound_s: float) -> None:
            seen.append((objective_s, lower_bound_s))

    result = SOLVERS[name]().solve(dlrm_like.problem(), Stop(), 0, Watch())
    values = [value for value, _ in seen]
    assert values == sorted(values, reverse=True)
    assert seen
    assert {bound for _, bound in seen} == {result.lower_bound_s}


@pytest.mark.parametrize("objective", SUMS)
def test_an_attempt_that_cannot_win_is_left(
    dlrm_like: Instance, objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Placing ends once the value is above the limit, and only then."""
    monkeypatch.setattr(greedy, "VALUE_EVERY", 1)
    problem = dlrm_like.problem(objective=objective)
    totals = OptionTotals.of(problem)
    choice = select(problem, totals, np.inf, 1.0)
    assert choice is not None
    placer = greedy.place_all(problem, totals, choice)
    assert placer is not None
    value = placer.loads.value(objective)
    same = greedy.place_all(problem, totals, choice, most_s=value)
    assert same is not None
    assert same.loads.value(objective) == value
    assert greedy.place_all(problem, totals, choice, most_s=0.5 * value) is None


@pytest.mark.parametrize("together", [True, False])
def test_equal_choices_are_placed_once(
    one_host: Instance, monkeypatch: pytest.MonkeyPatch, *, together: bool
) -> None:
    """An attempt that chooses as an earlier one, by the same norm, is passed over."""
    problem, placed = one_host.problem(), []
    before = greedy.place_all, greedy.place_in_lockstep

    def place_all(*given: Any, **options: Any) -> Any:
        placed.append((given[2].tolist(), given[3]))
        return before[0](*given, **options)

    def place_in_lockstep(ways: Any, give_up: Any) -> Any:
        if not together:
            return [None] * len(ways)
        placed.extend((queue.choice.tolist(), power) for queue, power in ways)
        return before[1](ways, give_up)

    monkeypatch.setattr(greedy, "place_all", place_all)
    monkeypatch.setattr(greedy, "place_in_lockstep", place_in_lockstep)
    run("greedy", problem, Stop(gap=0.0))
    assert len(placed) > 1
    assert all(way not in placed[:number] for number, way in enumerate(placed))


@pytest.mark.parametrize("seed", range(4))
def test_lockstep_finds_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts in lockstep, one by one, or some of each end with the same plan."""
    problem = plain_problem(seed)
    together = run("greedy", problem).assignment
    before = greedy.place_in_lockstep
    for share in (1, 2):

        def some(ways: Any, give_up: Any, share: int = share) -> Any:
            found = before(ways, give_up)
            return [None if n % share == 0 else one for n, one in enumerate(found)]

        monkeypatch.setattr(greedy, "place_in_lockstep", some)
        alone = run("greedy", problem).assignment
        assert together is not None
        assert alone is not None
        assert together.option.tolist() == alone.option.tolist()
        places = zip(together.places, alone.places, strict=True)
        assert all(np.array_equal(*pair) for pair in places)


@pytest.mark.parametrize("name", SOLVERS)
def test_nothing_fits(name: str) -> None:
    """Tables larger than all memory give no assignment, and no false proof."""
    problem = partition_problem([1.0, 1.0], 2)
    problem.capacity.rank_hbm[:] = 0.5
    result = run(name, problem)
    assert result.assignment is None
    assert result.status == "not_found"
