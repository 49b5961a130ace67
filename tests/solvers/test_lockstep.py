"""Lockstep: what one attempt after the other comes to, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.problems.totals import OptionTotals
from shardplan.records.sharding import SUMS, Objective
from shardplan.solvers import lockstep
from shardplan.solvers.greedy import phase_scale, place_all
from shardplan.solvers.lockstep import Placed, place_in_lockstep
from shardplan.solvers.queue import Queue
from tests.solvers.helpers import plain_problem, random_choice

POWERS = (np.inf, 8.0, 3.0, 4.0)


def placed_of(problem: object, choices: list[np.ndarray]) -> list[Placed | None]:
    """Place all choices by all norms in lockstep."""
    totals, ways = OptionTotals.of(problem), []
    for choice in choices:
        queue = Queue.of(problem, totals, choice, phase_scale(problem, choice))
        assert queue is not None
        ways += [(queue, power) for power in POWERS]
    return place_in_lockstep(ways, lambda: False)


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("seed", range(8))
def test_same_places_and_loads_as_one_by_one(seed: int, objective: Objective) -> None:
    """Any number of choices of any length, and norms, do not disturb each other."""
    problem = plain_problem(seed, objective=objective)
    choices = [random_choice(problem, number) for number in range(1 + seed % 3)]
    found = placed_of(problem, choices)
    for number, placed in enumerate(found):
        choice, power = choices[number // len(POWERS)], POWERS[number % len(POWERS)]
        alone = place_all(problem, OptionTotals.of(problem), choice, power)
        assert placed is not None
        assert alone is not None
        one, other = placed.assignment(), alone.assignment()
        assert one.option.tolist() == other.option.tolist()
        assert [p.tolist() for p in one.places] == [p.tolist() for p in other.places]
        assert placed.loads.cost.tobytes() == alone.loads.cost.tobytes()
        assert placed.loads.hbm.tobytes() == alone.loads.hbm.tobytes()


@pytest.mark.parametrize("seed", range(4))
def test_what_overfills_a_rank_is_left(seed: int) -> None:
    """No rank is ever too full: such choices need another look."""
    problem = plain_problem(seed)
    choice = random_choice(problem, seed)
    largest = max(p.loads.hbm.max() for p in placed_of(problem, [choice]) if p)
    problem.capacity.rank_hbm[:] = largest * 0.9
    room = problem.rooms[0]
    found = placed_of(problem, [choice])
    assert None in found
    assert all((p.loads.hbm <= room).all() for p in found if p)


def test_looks_at_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are left at once where time is over."""
    monkeypatch.setattr(lockstep, "CLOCK_EVERY", 2)
    problem = plain_problem(1)
    choice = random_choice(problem, 1)
    totals = OptionTotals.of(problem)
    queue = Queue.of(problem, totals, choice, phase_scale(problem, choice))
    assert queue is not None
    asked: list[int] = []

    def give_up() -> bool:
        asked.append(1)
        return len(asked) > 2

    assert place_in_lockstep([(queue, 4.0), (queue, np.inf)], give_up) == [None, None]
    assert len(asked) == 3
