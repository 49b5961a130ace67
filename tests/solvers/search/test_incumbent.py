"""The best plan and bound so far."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from shardplan.problems.problem import Assignment
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.search.incumbent import Incumbent
from shardplan.solvers.search.state import State
from shardplan.solvers.search.vectors import Vectors
from tests.solvers.helpers import Hosts
from tests.solvers.search_helpers import (
    empty,
    hbm_problem,
    start,
)


class Diary:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[float, float]] = []

    def improved(self, objective_s: float, lower_bound_s: float) -> None:
        self.told.append((objective_s, lower_bound_s))


def bound_of(value_s: float) -> Any:
    return SimpleNamespace(value_s=value_s, certificate=None)


def test_the_incumbent_only_improves() -> None:
    """Values fall, bounds rise, whatever is offered in whatever order."""
    rng = np.random.default_rng(0)
    problem = hbm_problem(rng, 10, [Hosts(1, 4)])
    problem.capacity.rank_hbm[:] *= 1.5
    state = empty(problem).state
    state.fill(Assignment(problem.options.start[:-1], (np.zeros(1, dtype=int),) * 10))
    diary, stop = Diary(), Stop(gap=0.5)
    incumbent = Incumbent(problem, bound_of(1e-9), stop, diary)
    assert not incumbent.is_close
    incumbent.offer(None)
    assert incumbent.assignment is None
    for _ in range(200):
        bundle = int(rng.integers(10))
        state.take(bundle)
        option = int(problem.options.start[bundle])
        rank = np.argmin(state.load[:, 0]) if rng.random() < 0.8 else rng.integers(4)
        state.put(bundle, option, np.array([rank]))
        before = incumbent.value_s
        if rng.random() < 0.5:
            incumbent.look_at(state)
        elif state.fits():
            incumbent.offer(state.assignment())
        incumbent.raise_bound(bound_of(rng.random() * 1e-3))
        assert incumbent.value_s <= before
        if incumbent.assignment is not None:
            assert incumbent.value_s == problem.value(incumbent.assignment)
            assert problem.loads(incumbent.assignment).fits(problem.capacity)
    told = np.array(diary.told)
    assert len(np.unique(told[:, 0])) > 2
    assert (told[1:, 0] <= told[:-1, 0]).all()
    assert (np.diff(told[:, 1]) >= 0).all()
    assert (told[:, 1] <= told[:, 0]).all()


def test_the_incumbent_wants_what_fits() -> None:
    """A state that overfills a rank is not kept, however good its value."""
    problem = hbm_problem(np.random.default_rng(0), 10, [Hosts(1, 4)])
    state = start(problem).state
    incumbent = Incumbent(problem, bound_of(0.0), Stop(), Silent())
    problem.capacity.rank_hbm[:] /= 10.0
    tight = State(problem, Vectors.of(problem, state.vectors.unit_s))
    tight.fill(state.assignment())
    incumbent.look_at(tight)
    assert incumbent.assignment is None
    problem.capacity.rank_hbm[:] *= 10.0
    incumbent.look_at(state)
    assert incumbent.assignment is not None


def test_the_incumbent_is_close_within_the_gap() -> None:
    """Value over bound decides."""
    problem = hbm_problem(np.random.default_rng(0), 10, [Hosts(1, 4)])
    assignment = start(problem).state.assignment()
    value = problem.value(assignment)
    incumbent = Incumbent(problem, bound_of(value / 1.2), Stop(gap=0.1), Silent())
    incumbent.offer(assignment)
    assert not incumbent.is_close
    incumbent.raise_bound(bound_of(value / 1.05))
    assert incumbent.is_close
