"""A swap is the best of all exchanges of parts with any other rank."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.problems.problem import Assignment
from shardplan.records.sharding import SUMS, Objective
from shardplan.solvers.search.moves.noise import Noise
from shardplan.solvers.search.moves.swap import Swapper
from shardplan.solvers.search.state import State
from tests.solvers.helpers import Hosts
from tests.solvers.search_helpers import (
    assert_allowed,
    empty,
    hbm_problem,
    low_levels,
    true_penalty,
)

if TYPE_CHECKING:
    from shardplan.solvers.search.penalty import Penalty

MIXED = [Hosts(1, 2), Hosts(1, 2)]


def whole_tables(
    seed: int, num_tables: int, cluster: list[Hosts], objective: Objective
) -> State:
    """Put whole tables on ranks at random; memory is short."""
    rng = np.random.default_rng(seed)
    problem = hbm_problem(rng, num_tables, cluster, objective)
    problem.capacity.rank_hbm[:] *= rng.uniform(0.5, 1.0)
    state = empty(problem).state
    places = tuple(rng.integers(problem.world_size, size=(num_tables, 1)))
    state.fill(Assignment(problem.options.start[:-1].copy(), places))
    return state


def best_by_hand(state: State, rank: int, penalty: Penalty) -> float:
    """Try all tables of a rank on either side, with those of each rank of its class."""
    before = state.assignment()
    ranks = np.array([place.item() for place in before.places])
    best = true_penalty(state, penalty)
    for other in range(state.problem.world_size):
        if other == rank or state.rank_class[other] != state.rank_class[rank]:
            continue
        both = np.flatnonzero((ranks == rank) | (ranks == other))
        for sides in product((rank, other), repeat=len(both)):
            places = ranks.copy()
            places[both] = sides
            tried = State(state.problem, state.vectors)
            tried.fill(Assignment(before.option, tuple(places[:, None])))
            best = min(best, true_penalty(tried, penalty))
    return best


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("cluster", [[Hosts(1, 3)], MIXED])
def test_a_swap_is_the_best_of_all(cluster: list[Hosts], objective: Objective) -> None:
    """No exchange with any rank of the same kind leaves a smaller penalty."""
    helped = 0
    for seed in range(3):
        state = whole_tables(seed, 6, cluster, objective)
        rng, penalty = np.random.default_rng(0), low_levels(state)
        rank = int(np.argmax(penalty.of_ranks(state.load)))
        before, wanted = (
            true_penalty(state, penalty),
            best_by_hand(state, rank, penalty),
        )
        swapper = Swapper(state, rng, Noise(rng))
        moved = swapper.make(np.array([rank]), penalty, 0.0)
        assert true_penalty(state, penalty) == pytest.approx(wanted, rel=1e-5)
        assert swapper.evaluated > 0
        assert (moved > 0) == (wanted < before - 1e-6)
        helped += moved > 0
    assert helped


def test_what_may_not_move_stays() -> None:
    """Pins and tables that avoid each other are kept, and others are moved."""
    moved = 0
    for seed in range(20):
        state = whole_tables(seed, 12, [Hosts(1, 6)], Objective.STEP)
        problem, places = state.problem, state.assignment().places
        at = [place.item() for place in places]
        problem.allowed[0] = np.arange(6) == at[0]
        rivals = [b for b in range(1, 12) if at[b] != at[1]][:2]
        for rival in rivals:
            problem.conflicts[rival] = {1}
        problem.conflicts[1] = set(rivals)
        state = State(problem, state.vectors)
        state.fill(Assignment(problem.options.start[:-1].copy(), places))
        rng = np.random.default_rng(seed)
        swapper = Swapper(state, rng, Noise(rng))
        for _ in range(4):
            moved += swapper.make(np.arange(6), low_levels(state), 0.0)
            assert_allowed(problem, state.assignment())
    assert moved > 20


def test_a_rank_alone_has_no_partner() -> None:
    """Where nobody is of its kind, a rank keeps what it has."""
    state = whole_tables(0, 4, [Hosts(1, 1), Hosts(1, 1)], Objective.STEP)
    before = state.load.copy()
    rng = np.random.default_rng(0)
    assert Swapper(state, rng, Noise(rng)).make(np.arange(2), low_levels(state), 0) == 0
    assert np.array_equal(before, state.load)
