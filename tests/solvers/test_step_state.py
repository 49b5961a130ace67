"""Loads that follow bundles as they move."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.problems.step_curves import StepCurves
from shardplan.records.sharding import Objective
from shardplan.solvers import rank_sample
from shardplan.solvers.step_moves import StepMoves
from shardplan.solvers.step_state import StepState
from tests.benchmarks.families import Family, family_problem
from tests.helpers import CLUSTERS, random_assignment, varied


def _state(problem, seed=0):
    start = random_assignment(problem, np.random.default_rng(seed))
    state = StepState(problem, StepCurves(problem, problem.loads(start).cost))
    state.fill(start)
    return state


@pytest.mark.parametrize("cluster", sorted(CLUSTERS))
def test_loads_stay_those_of_the_problem(cluster):
    """After many moves they are what a fresh sum gives, with what ranks hold."""
    problem = varied(CLUSTERS[cluster]).problem(objective=Objective.TIME)
    state, other = _state(problem), random_assignment(problem, np.random.default_rng(1))
    for bundle in range(problem.num_bundles):
        state.take(bundle)
        state.put(bundle, int(other.option[bundle]), other.places[bundle])
    all_loads, used = state.load, (state.hbm, *state.pools)
    is_on = state.is_on.copy()
    state.fill(state.assignment())
    for load, fresh in zip(all_loads, state.load, strict=True):
        np.testing.assert_allclose(load, fresh, rtol=1e-9, atol=1e-12)
    for kept, fresh in zip(used, (state.hbm, *state.pools), strict=True):
        np.testing.assert_allclose(kept, fresh, rtol=1e-9, atol=1.0)
    np.testing.assert_array_equal(is_on, state.is_on)


@pytest.mark.parametrize("cluster", sorted(CLUSTERS))
@pytest.mark.parametrize("seed", range(3))
def test_what_is_drawn_loads_ranks_as_said(cluster, seed, monkeypatch):
    """Fullest groups and powers of all candidates are those with them in place."""
    if seed > 1:
        monkeypatch.setattr(rank_sample, "_MANY", 1)
        monkeypatch.setattr(rank_sample, "_SOME", 1)
        monkeypatch.setattr(rank_sample, "_ROOM", 1)
    problem = varied(CLUSTERS[cluster]).problem(objective=Objective.TIME)
    state = _state(problem, seed)
    moves = StepMoves(state, np.random.default_rng(seed))
    slopes = np.ones(state.item_load.shape[2])
    for bundle in range(problem.num_bundles):
        option, places = int(state.option[bundle]), state.places[bundle]
        state.take(bundle)
        found = moves.draw(bundle, slopes)
        for index, other in enumerate(found.options.tolist()):
            assert problem.options.table[other] == bundle
            state.put(bundle, other, found.places_of(index))
            fullest, powers = state.fullest(), state.powers()
            np.testing.assert_allclose(
                found.fullest[index], fullest, rtol=1e-9, atol=1e-15
            )
            np.testing.assert_allclose(
                found.powers[index], powers, rtol=1e-6, atol=1e-30
            )
            state.take(bundle)
        state.put(bundle, option, places)


def test_no_place_is_drawn_whose_host_is_full():
    """What needs DDR or SSD goes where that is left, and nowhere if nowhere is."""
    problem = family_problem(Family.SSD, 9301, 12, 16, Objective.TIME)
    state, menu = _state(problem), problem.options
    pool = problem.capacity.rank_pool
    moves = StepMoves(state, np.random.default_rng(0))
    slopes = np.ones(state.item_load.shape[2])
    needs = np.flatnonzero(menu.item_bytes[menu.item_start[:-1], 1] > 0)
    drawn = 0
    for full in (pool == 0, pool >= 0):
        for used, room in zip(state.pools, problem.rooms[1:], strict=True):
            used[:] = np.where(np.isin(np.arange(len(used)), pool[full]), room, 0.0)
        for bundle in range(problem.num_bundles):
            found = moves.draw(bundle, slopes)
            if found is None:
                continue
            for index in np.flatnonzero(np.isin(found.options, needs)).tolist():
                scope = int(menu.scope[found.options[index]])
                on = problem.ranks_used(scope, found.places_of(index))
                assert not (on & full).any()
                drawn += 1
    assert drawn
