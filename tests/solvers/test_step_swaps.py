"""Exchanges of shards: what each leads to, and what keeps them from being made."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from shardplan.costs.scopes import Scope
from shardplan.problems.problem import Assignment
from shardplan.problems.step_curves import StepCurves
from shardplan.records.sharding import Objective
from shardplan.solvers.base import Stop
from shardplan.solvers.step_annealing import StepAnnealing
from shardplan.solvers.step_search import StepSearch
from shardplan.solvers.step_state import StepState
from shardplan.solvers.step_swaps import StepSwaps
from tests.benchmarks.families import Family, family_problem
from tests.helpers import (
    CLUSTERS,
    random_assignment,
    topology,
    two_hosts,
    varied,
    workload,
)


def drawn_from(problem, seed, free=None):
    """Fill a state at random; return it, its swaps, and some draws."""
    rng = np.random.default_rng(seed)
    start = random_assignment(problem, rng)
    state = StepState(problem, StepCurves(problem, problem.loads(start).cost))
    state.fill(start)
    free = np.arange(problem.num_bundles) if free is None else free
    swaps = StepSwaps(state, free, rng)
    ranks = np.arange(problem.world_size)
    draws = [swaps.draw(rng.permutation(ranks)[:2]) for _ in range(12)]
    return state, swaps, [found for found in draws if found is not None]


def _used(loads):
    return loads.hbm, loads.ddr, loads.ssd


def moved(state, moves):
    """Return an assignment with shards on other places."""
    places = [own.copy() for own in state.places]
    for bundle, slot, place in moves:
        places[bundle][slot] = place
    return Assignment(state.option.copy(), tuple(places))


@pytest.mark.parametrize("cluster", sorted(CLUSTERS))
@pytest.mark.parametrize("seed", range(2))
def test_exchanges_lead_to_what_is_said(cluster, seed):
    """Fullest groups, powers, memory and ranks are those of the plan after each."""
    problem = varied(CLUSTERS[cluster]).problem(objective=Objective.TIME)
    state, swaps, draws = drawn_from(problem, seed)
    assert draws or problem.world_size == 1
    rng = np.random.default_rng(seed)
    for found in draws:
        for index in rng.permutation(len(found.fits))[:8].tolist():
            moves = found.moves(index)
            after = moved(state, moves)
            is_apart = all(
                (after.places[b] == place).sum() == 1 for b, _, place in moves
            )
            fits = not state.fits() or problem.loads(after).fits(problem.capacity)
            assert not found.fits[index] or (is_apart and fits)
            if not is_apart or len({bundle for bundle, _, _ in moves}) < len(moves):
                continue
            back = [(b, slot, int(state.places[b][slot])) for b, slot, _ in moves]
            swaps.make(moves)
            np.testing.assert_allclose(
                found.fullest[index], state.fullest(), rtol=1e-9, atol=1e-15
            )
            np.testing.assert_allclose(
                found.powers[index], state.powers(), rtol=1e-6, atol=1e-30
            )
            assert found.fits[index] or not state.fits() or not moves
            swaps.make(back)


def test_shards_over_hosts_are_exchanged_too():
    """Also they have their memory on all ranks of a host, and pools there."""
    problem = family_problem(Family.SSD, 9301, 40, 32, Objective.TIME)
    kinds = set()
    for seed in range(4):
        state, _, draws = drawn_from(problem, seed)
        for found in draws:
            scope = problem.options.scope[state.option[found.others.bundle]]
            kinds |= set(scope[found.others.bundle >= 0].tolist())
            some = np.flatnonzero(found.fits)
            for index in some[:: max(len(some) // 4, 1)].tolist():
                loads = problem.loads(moved(state, found.moves(index)))
                before = problem.loads(state.assignment())
                used = zip(_used(loads), _used(before), strict=True)
                for tier, (own, old) in enumerate(used):
                    room = problem.capacity.of_tier(tier)
                    assert (own <= np.maximum(room, old) * (1 + 1e-9)).all()
    assert {int(Scope.RANK), int(Scope.HOST)} <= kinds


def test_what_is_bound_stays():
    """Pinned tables, and those that are not free, are on no side of an exchange."""
    pinned = {"constraints": {"ranks": [0, 1]}}
    tables = [{"name": f"t{k}", **(pinned if k < 2 else {})} for k in range(8)]
    problem = (
        two_hosts()
        ._replace(workload=workload(*tables))
        .problem(objective=Objective.TIME)
    )
    for seed in range(5):
        _, _, draws = drawn_from(problem, seed, free=np.arange(7))
        for found in draws:
            some = np.concatenate([found.own.bundle, found.others.bundle])
            assert set(some.tolist()) <= {-1, 2, 3, 4, 5, 6}


def test_they_lead_where_single_moves_do_not(monkeypatch):
    """5 + 4 and 5 + 3 + 3 become 5 + 5 and 4 + 3 + 3 when a 5 and a 4 change places."""
    kinds = {"compute_kernels": ["fused"], "sharding_types": ["table_wise"]}
    tables = [
        {"pooling_factor": 40.0 * k, "num_embeddings": 10**6, "constraints": kinds}
        for k in (5, 4, 5, 3, 3)
    ]
    pair = topology(local_world_size=2)
    instance = two_hosts()._replace(workload=workload(*tables), topology=pair)
    problem = instance.problem(objective=Objective.TIME)
    start = Assignment(
        problem.options.start[:-1].copy(),
        tuple(np.array([rank]) for rank in (0, 0, 1, 1, 1)),
    )
    monkeypatch.setattr(StepAnnealing, "_move", lambda *_: None)
    found = StepSearch(problem, 0).improve([start], Stop(work_limit=300))[-1]
    ranks = np.concatenate(found.places)
    assert ranks[0] == ranks[2] != ranks[1] == ranks[3] == ranks[4]
    best_s = min(
        problem.value(Assignment(start.option, tuple(np.array([r]) for r in places)))
        for places in product((0, 1), repeat=5)
    )
    assert problem.value(found) == pytest.approx(best_s, rel=1e-9)
