"""Re-cuts in batches, and one by one where bundles have limits."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.records.sharding import SUMS, Objective
from tests.solvers.helpers import CW2, TW, Hosts, make_problem
from tests.solvers.search_helpers import (
    assert_allowed,
    hbm_problem,
    is_same,
    low_levels,
    moves_of,
    scramble,
    start,
    true_penalty,
)


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize(
    "cluster", [[Hosts(4, 1)], [Hosts(3, 1), Hosts(2, 1)], [Hosts(60, 1)]]
)
def test_a_cold_proposal_helps(cluster: list[Hosts], objective: Objective) -> None:
    """Penalty plus price falls with every accepted move, and is kept otherwise."""
    moved = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        problem = hbm_problem(rng, 40, cluster, objective, with_rows=True)
        begun = start(problem)
        state, moves = begun.state, moves_of(begun, rng)
        recutter, price = moves.recutter, moves.price
        penalty = low_levels(state)
        for step in range(40):
            if step % 5 == 0:
                scramble(state, rng)
            before = true_penalty(state, penalty)
            before += price[state.option].sum()
            count = recutter.make(rng.permutation(40)[:12], penalty, 0.0)
            after = true_penalty(state, penalty)
            after += price[state.option].sum()
            # Equal shards that change places may seem to gain a rounding error.
            assert after <= before * (1.0 + 1e-12)
            assert count or after == pytest.approx(before, rel=1e-12)
            moved += after < before * (1.0 - 1e-9)
        assert_allowed(problem, state.assignment())
    assert moved > 40


def test_limited_bundles_are_in_no_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """With pins or rivals a bundle is looked at alone, or not at all."""
    rng = np.random.default_rng(3)
    problem = hbm_problem(rng, 30, [Hosts(4, 2)])
    for bundle in range(0, 30, 3):
        problem.allowed[bundle] = rng.random(8) < 0.6
        problem.allowed[bundle][bundle % 8] = True
    problem.conflicts[1] = frozenset({4})
    problem.conflicts[4] = frozenset({1})
    begun, asked = start(problem), list[int]()
    recutter, state = moves_of(begun, rng).recutter, begun.state
    penalty = low_levels(state)

    def recut(bundle: int, *_: object) -> bool:
        asked.append(bundle)
        return False

    monkeypatch.setattr(recutter, "recut", recut)
    limited = {*range(0, 30, 3), 1, 4}
    before, moved = state.assignment(), 0
    for _ in range(20):
        asked.clear()
        moved += recutter.make(rng.permutation(30), penalty, 1.0)
        # Four with limits, and the first one without.
        assert len(set(asked) & limited) == 4
        assert len(asked) == 5
    after = state.assignment()
    assert moved > 20
    for bundle in limited:
        assert after.option[bundle] == before.option[bundle]
        assert np.array_equal(after.places[bundle], before.places[bundle])
    assert not is_same(before, after)


def test_re_cuts_of_places_only() -> None:
    """Tables may be asked to keep their options: then they only move."""
    rng = np.random.default_rng(5)
    problem = hbm_problem(rng, 40, [Hosts(4, 1)], Objective.STEP, with_rows=True)
    begun = start(problem)
    state, recutter = begun.state, moves_of(begun, rng).recutter
    scramble(state, rng)
    kept, before = state.option.copy(), state.load.copy()
    recutter._candidates.only_places = True
    moved = sum(
        recutter.make(rng.permutation(40)[:12], low_levels(state), 1e-3)
        for _ in range(10)
    )
    assert moved
    assert not np.allclose(state.load, before)
    assert (state.option == kept).all()
    recutter._candidates.only_places = False
    for _ in range(10):
        recutter.make(rng.permutation(40)[:12], low_levels(state), 1e-3)
    assert (state.option != kept).any()


def test_pieces_that_share_a_pool_are_judged_together() -> None:
    """Halves of 0.7 of a host's DDR each fit alone, but not both."""
    cost = np.zeros((3, 1, 6))
    cost[:, 0, 2] = [1.0, 1.0, 0.4]
    tier_bytes = np.zeros((3, 3))
    tier_bytes[:, 1] = [0.0, 0.5, 0.7]
    room = (np.ones(4), np.ones(1), np.ones(1))
    problem = make_problem([Hosts(1, 4)], [[TW], [TW, CW2]], cost, tier_bytes, room)
    begun = start(problem)
    state = begun.state
    assert state.option.tolist() == [0, 1]
    recutter = moves_of(begun, np.random.default_rng(0)).recutter
    penalty = low_levels(state)
    for _ in range(20):
        recutter.make(np.array([0, 1]), penalty, 0.0)
    assert state.option.tolist() == [0, 1]
    assert state.fits()
