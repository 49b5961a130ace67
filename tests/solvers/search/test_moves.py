"""Exchanges by assignment, and proposals of new cuts, one by one."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from shardplan.costs.scopes import Scope
from shardplan.problems.problem import Assignment
from shardplan.records.sharding import Objective
from shardplan.solvers.search.moves.exchange import Exchanger
from shardplan.solvers.search.moves.noise import Noise
from shardplan.solvers.search.moves.proposals import Proposer
from shardplan.solvers.search.moves.recut import Recutter
from shardplan.solvers.search.state import State
from tests.solvers.helpers import Hosts, toy_problem
from tests.solvers.search_helpers import (
    CLUSTERS,
    assert_allowed,
    empty,
    hbm_problem,
    is_same,
    low_levels,
    start,
    true_penalty,
)

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.solvers.search.penalty import Penalty

SINGLE = 1e-6
"""Relative error of penalties in single precision."""


class Everything:
    """A generator that lets all units of a rank leave it."""

    def random(self, shape: Any, dtype: Any) -> Any:
        return np.zeros(shape, dtype=dtype)

    def integers(self, high: int) -> int:
        return high - 1


def scrambled(problem: Problem, rng: np.random.Generator) -> tuple[State, Penalty]:
    """Return a state far from balance; hosts and ranks may be too full."""
    full = problem.capacity
    roomy = replace(
        full,
        rank_hbm=4.0 * full.rank_hbm,
        pool_ddr=4.0 * full.pool_ddr,
        pool_ssd=4.0 * full.pool_ssd,
    )
    state = empty(problem).state
    state.fill(start(replace(problem, capacity=roomy)).state.assignment())
    for _ in range(3):
        scramble(state, rng)
    return state, low_levels(state)


def scramble(state: State, rng: np.random.Generator) -> None:
    """Exchange parts of all ranks at random."""
    everyone = np.arange(len(state.load))[None]
    Exchanger(state, rng, Noise(rng)).exchange(everyone, low_levels(state), 1e6)


@pytest.mark.parametrize("objective", Objective)
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_cold_exchange_never_hurts(cluster: str, objective: Objective) -> None:
    """The penalty of all ranks and hosts never rises, and limits are kept."""
    fell = pools_were_full = 0
    for seed in (0, 2, 3, 5, 6):
        rng = np.random.default_rng(seed)
        problem = toy_problem(rng, 24, CLUSTERS[cluster], fill=0.8, objective=objective)
        state, penalty = scrambled(problem, rng)
        exchanger = Exchanger(state, rng, Noise(rng))
        world = problem.world_size
        for step in range(80):
            if step % 10 == 0:
                scramble(state, rng)
            before = true_penalty(state, penalty)
            pools_were_full += state.pool_load.max() > 1.0
            order = rng.permutation(world)
            size = world // (1 + step % 2)
            exchanger.exchange(order.reshape(-1, size), penalty, 0.0)
            after = true_penalty(state, penalty)
            assert after <= before * (1.0 + SINGLE)
            fell += after < before * (1.0 - 1e-4)
            assert_allowed(problem, state.assignment())
    assert fell > 20
    assert pools_were_full > 20 or cluster == "one host"


def permuted(assignment: Assignment, problem: Problem, order: Any) -> Assignment:
    """Let ranks exchange all their units."""
    narrow = problem.options.scope[assignment.option] == Scope.RANK
    places = tuple(
        np.array(order)[place] if is_narrow else place
        for place, is_narrow in zip(assignment.places, narrow, strict=True)
    )
    return Assignment(assignment.option, places)


@pytest.mark.parametrize("objective", Objective)
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
        exchanger.exchange(np.arange(5)[None], penalty, 0.0)
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
        exchanger.exchange(np.arange(3)[None], low_levels(state), 0.0)
        assert_allowed(problem, state.assignment())


class Recorder(Recutter):
    """Says which bundles it is asked for, and changes nothing."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.asked: list[int] = []

    def recut(self, bundle: int, penalty: Penalty, temperature: float) -> bool:
        self.asked.append(bundle)
        return False


def proposer_of(
    problem: Problem, rng: np.random.Generator, kind: type[Recutter] = Recutter
) -> tuple[Proposer, Recutter, State, Penalty]:
    begun = start(problem)
    excess = begun.limits.excess(begun.limits.best(0.0, 0.0))
    recutter = kind(begun.state, begun.regrets.of_option, excess, rng)
    proposer = Proposer(begun.state, recutter, rng, Noise(rng))
    return proposer, recutter, begun.state, low_levels(begun.state)


@pytest.mark.parametrize("objective", Objective)
@pytest.mark.parametrize(
    "cluster", [[Hosts(4, 1)], [Hosts(3, 1), Hosts(2, 1)], [Hosts(60, 1)]]
)
def test_a_cold_proposal_helps(cluster: list[Hosts], objective: Objective) -> None:
    """Penalty plus price falls with every accepted move, and is kept otherwise."""
    moved = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        problem = hbm_problem(rng, 40, cluster, objective, with_rows=True)
        proposer, recutter, state, penalty = proposer_of(problem, rng)
        for step in range(40):
            if step % 5 == 0:
                scramble(state, rng)
            before = true_penalty(state, penalty)
            before += recutter.price[state.option].sum()
            count = proposer.recut(rng.permutation(40)[:12], penalty, 0.0)
            after = true_penalty(state, penalty)
            after += recutter.price[state.option].sum()
            if count:
                assert after < before + 1e-12  # sums in another order
            else:
                assert after == pytest.approx(before, rel=1e-12)
            moved += count
        assert_allowed(problem, state.assignment())
    assert moved > 40


def test_limited_bundles_are_left_to_the_recutter() -> None:
    """With pins, rivals or cut rows a bundle is looked at alone, or not at all."""
    rng = np.random.default_rng(3)
    problem = hbm_problem(rng, 30, [Hosts(4, 2)])
    for bundle in range(0, 30, 3):
        problem.allowed[bundle] = rng.random(8) < 0.6
        problem.allowed[bundle][bundle % 8] = True
    problem.conflicts[1] = frozenset({4})
    problem.conflicts[4] = frozenset({1})
    proposer, recutter, state, penalty = proposer_of(problem, rng, Recorder)
    assert isinstance(recutter, Recorder)
    limited = {*range(0, 30, 3), 1, 4}
    before, moved = state.assignment(), 0
    for _ in range(20):
        recutter.asked.clear()
        moved += proposer.recut(rng.permutation(30), penalty, 1.0)
        # Four with limits, and the first one without.
        assert len(set(recutter.asked) & limited) == 4
        assert len(recutter.asked) == 5
    after = state.assignment()
    assert moved > 20
    for bundle in limited:
        assert after.option[bundle] == before.option[bundle]
        assert np.array_equal(after.places[bundle], before.places[bundle])
    assert not is_same(before, after)
