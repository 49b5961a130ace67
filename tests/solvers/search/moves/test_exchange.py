"""An exchange is the best of all permutations of parts, within limits."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.costs.scopes import Scope
from shardplan.problems.problem import Assignment
from shardplan.records.sharding import SUMS, Objective
from shardplan.solvers.search.moves.exchange import Exchanger
from shardplan.solvers.search.moves.noise import Noise
from shardplan.solvers.search.state import State
from tests.solvers.helpers import Hosts
from tests.solvers.search_helpers import (
    assert_allowed,
    empty,
    hbm_problem,
    low_levels,
    start,
    true_penalty,
)

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem


class Everything:
    """A generator that lets all units of a rank leave it."""

    def random(self, shape: Any, dtype: Any) -> Any:
        return np.zeros(shape, dtype=dtype)

    def integers(self, high: int) -> int:
        return high - 1


def permuted(assignment: Assignment, problem: Problem, order: Any) -> Assignment:
    """Let ranks exchange all their units."""
    narrow = problem.options.scope[assignment.option] == Scope.RANK
    places = tuple(
        np.array(order)[place] if is_narrow else place
        for place, is_narrow in zip(assignment.places, narrow, strict=True)
    )
    return Assignment(assignment.option, places)


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("cluster", [[Hosts(1, 5)], [Hosts(1, 2), Hosts(1, 3)]])
def test_an_exchange_is_the_best_of_all(
    cluster: list[Hosts], objective: Objective
) -> None:
    """Of all permutations of five ranks' loads the least penalised one is made."""
    differs = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        problem = hbm_problem(rng, 14, cluster, objective)
        problem.capacity.rank_hbm[:] *= rng.uniform(0.5, 1.0)
        option = problem.options.start[:-1] + rng.integers(3, size=14)
        counts = [problem.options.num_places(int(o)) for o in option]
        places = tuple(rng.integers(5, size=count) for count in counts)
        state = empty(problem).state
        state.fill(Assignment(option, places))
        penalty, found = low_levels(state), []
        for order in permutations(range(5)):
            other = State(problem, state.vectors)
            other.fill(permuted(Assignment(option, places), problem, order))
            found.append(true_penalty(other, penalty))
        exchanger = Exchanger(state, Everything(), Noise(rng))  # type: ignore[arg-type]
        exchanger.make(np.arange(5)[None], penalty, 0.0)
        assert true_penalty(state, penalty) == pytest.approx(min(found), rel=1e-5)
        differs += min(found) < 0.999 * found[0]
        assert exchanger.evaluated == 25
    assert differs or len(cluster) == 1


def test_a_limit_outweighs_any_penalty() -> None:
    """A pinned unit stays even where any other rank would be billions less full."""
    rng = np.random.default_rng(0)
    problem = hbm_problem(rng, 6, [Hosts(1, 3)])
    vectors = start(problem).state.vectors
    vectors.room[:] = 1e-3
    problem.allowed[0] = np.array([True, False, False])
    state = State(problem, vectors)
    ranks = (0, 0, 0, 0, 1, 2)
    places = tuple(np.array([rank]) for rank in ranks)
    state.fill(Assignment(problem.options.start[:-1].copy(), places))
    exchanger = Exchanger(state, Everything(), Noise(rng))  # type: ignore[arg-type]
    for _ in range(5):
        exchanger.make(np.arange(3)[None], low_levels(state), 0.0)
        assert_allowed(problem, state.assignment())
