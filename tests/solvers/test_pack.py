"""Packing few large tables anew: pieces, patterns, programs and whole plans."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.costs.scopes import Scope
from shardplan.records.sharding import PHASES, Objective, Target
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.pack.packer import Packer
from shardplan.solvers.pack.patterns import Rivals, dear_patterns
from shardplan.solvers.pack.pieces import Pieces
from shardplan.solvers.pack.ranks import Ranks
from shardplan.solvers.placement import Placer
from shardplan.solvers.search.vectors import Vectors
from tests.solvers.helpers import CW2, TW, Hosts, brute_force, make_problem, toy_problem
from tests.solvers.search_helpers import assert_legal

if TYPE_CHECKING:
    from shardplan.problems.problem import Assignment, Problem

CLUSTERS = {"one host": [Hosts(1, 4)], "mixed": [Hosts(1, 2), Hosts(1, 2)]}


def triples(num_ranks: int, seed: int) -> Problem:
    """Make whole tables, three of which sum to 1 ms on every rank in one way."""
    rng = np.random.default_rng(seed)
    parts = rng.dirichlet([8.0, 8.0, 8.0], num_ranks).round(3)
    parts[:, 2] = 1.0 - parts[:, 0] - parts[:, 1]
    times = 1e-3 * rng.permutation(parts.ravel())
    cost = np.zeros((len(times), 1, len(PHASES)))
    cost[:, 0, 2] = times
    tier_bytes = np.zeros((len(times), 3))
    tier_bytes[:, 0] = 1.0
    pools = (np.full(num_ranks, 3.0), np.zeros(1), np.zeros(1))
    return make_problem(
        [Hosts(1, num_ranks)],
        [[TW]] * len(times),
        cost,
        tier_bytes,
        pools,
        objective=Objective.MAX_RANK,
    )


def in_hbm(problem: Problem) -> Problem:
    """Leave out what a problem's items have in other tiers."""
    menu = problem.options
    tier_bytes = menu.item_bytes * [1.0, 0.0, 0.0]
    return replace(problem, options=replace(menu, item_bytes=tier_bytes))


def anyhow(problem: Problem, rng: np.random.Generator) -> Assignment | None:
    """Take options at random that fit."""
    placer = Placer(problem, np.full(problem.num_phases, 1e-3))
    for bundle in range(problem.num_bundles):
        options = np.arange(*problem.options.start[bundle : bundle + 2])
        if bundle in problem.conflicts:
            options = options[problem.options.scope[options] != Scope.ALL]
        if not any(placer.place(bundle, int(o)) for o in rng.permutation(options)):
            return None
    return placer.assignment()


def greedily(problem: Problem) -> Assignment | None:
    return Greedy().solve(problem, Stop(), 0, Silent()).assignment


@pytest.mark.parametrize("seed", range(3))
def test_triples_are_found(seed: int) -> None:
    """Three of the pieces fill a rank, and programs find which, to .2 % or so."""
    problem = triples(8, seed)
    problem.capacity.rank_hbm[:] = 100.0
    start = greedily(problem)
    assert start is not None
    best = problem.value(start)
    assert best > 1.004e-3
    problem.capacity.rank_hbm[:] = 3.0
    packer = Packer(problem, 0.9e-3, 0)
    for found in packer.improve(start, Stop(), vary=False):
        assert_legal(problem, found)
        assert problem.value(found) < best
        best = problem.value(found)
    assert best <= 1.003e-3


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_plans_get_better_and_stay_legal(cluster: str) -> None:
    """What is yielded is legal and better each time, and never below the best."""
    rng = np.random.default_rng(3)
    better = 0
    for number in range(12):
        problem = in_hbm(
            toy_problem(
                rng,
                3,
                CLUSTERS[cluster],
                limited=number % 2 == 0,
                fill=0.3,
                objective=Objective.MAX_RANK,
                target=Target.TORCHREC if number % 3 else Target.ANY,
            )
        )
        start = anyhow(problem, rng)
        if start is None:
            continue
        packer = Packer(problem, 0.0, number)
        value = problem.value(start)
        for vary in (False, True, True):
            for found in packer.improve(start, Stop(), vary=vary):
                if problem.loads(found).fits(problem.capacity):
                    assert_legal(problem, found)
                    assert problem.value(found) < problem.value(start)
                    value = min(value, problem.value(found))
        least, _ = brute_force(problem)
        assert value >= least * (1.0 - 1e-12)
        better += value < problem.value(start)
    assert better > 1


def test_limited_bundles_stay() -> None:
    """Pinned and separated tables are not moved, nor those on hosts."""
    rng = np.random.default_rng(5)
    seen = 0
    for _ in range(8):
        problem = in_hbm(
            toy_problem(
                rng, 5, [Hosts(2, 2, 2)], fill=0.3, objective=Objective.MAX_RANK
            )
        )
        start = anyhow(problem, rng)
        if start is None:
            continue
        fixed = set(problem.allowed) | set(problem.conflicts)
        menu = problem.options
        for bundle, option in enumerate(start.option.tolist()):
            if menu.scope[option] in (Scope.HOST, Scope.DOMAIN):
                fixed.add(bundle)
        vectors = Vectors.of(problem, 0.5 * problem.value(start))
        assert not fixed & set(Pieces.of(problem, start, vectors, 500).bundles.tolist())
        for found in Packer(problem, 0.0, 0).improve(start, Stop(), vary=False):
            for bundle in fixed:
                assert found.option[bundle] == start.option[bundle]
                assert np.array_equal(found.places[bundle], start.places[bundle])
                seen += 1
    assert seen > 0


def test_shared_pools_and_step_are_left_alone() -> None:
    """Shards in a host's DDR stay where they are; `step` is not packed."""
    cost = np.zeros((4, 1, len(PHASES)))
    cost[:, 0, 2] = 1e-3
    tier_bytes = np.ones((4, 3))
    pools = (np.full(4, 9.0), np.full(2, 9.0), np.full(2, 9.0))
    problem = make_problem(
        [Hosts(2, 2)],
        [[TW, CW2]] * 2,
        cost,
        tier_bytes,
        pools,
        objective=Objective.MAX_RANK,
    )
    start = greedily(problem)
    assert start is not None
    assert len(Pieces.of(problem, start, Vectors.of(problem, 1e-3), 500).bundles) == 0
    assert list(Packer(problem, 0.0, 0).improve(start, Stop(), vary=False)) == []
    assert not Packer(problem, 0.0, 0).suits(start)
    assert Packer(in_hbm(problem), 0.0, 0).suits(start)
    by_phases = replace(in_hbm(problem), objective=Objective.STEP)
    assert not Packer(by_phases, 0.0, 0).suits(start)


def test_patterns_fit_and_are_dear() -> None:
    """Every pattern fits and is worth more than its rank; the dearest is found.

    Of rivals, here the first three kinds, a rank has one.
    """
    rng = np.random.default_rng(1)
    free = Rivals(np.zeros(6, dtype=np.int64), np.full(6, 99))
    first = Rivals(np.array([0, 0, 0, 1, 1, 1]), np.array([1, 1, 1, 99, 99, 99]))
    for number in range(20):
        rivals, most = (first, 1) if number % 2 else (free, 99)
        load = rng.uniform(0.2, 0.9, (6, 2))
        prices = rng.uniform(0.1, 1.0, 6)
        worth = {
            kinds: float(prices[list(kinds)].sum())
            for size in (1, 2, 3, 4)
            for kinds in combinations_with_replacement(range(6), size)
            if (load[list(kinds)].sum(axis=0) <= 1.0).all()
            and sum(kind < 3 for kind in kinds) <= most
        }
        rank_price = 0.6 * max(worth.values())
        found = dear_patterns(prices, rank_price, load, np.ones(2), rivals)
        values = []
        for pattern in found:
            kinds = tuple(np.repeat(pattern.kinds, pattern.copies).tolist())
            assert worth[kinds] > rank_price
            values.append(worth[kinds])
        assert max(values) == pytest.approx(max(worth.values()))
    assert dear_patterns(prices, 100.0, load, np.ones(2), free) == []


def test_ranks_with_equal_loads_are_one_kind() -> None:
    """Class and load that stays distinguish ranks."""
    base = np.array([[0.1, 0.0], [0.1, 0.0], [0.2, 0.0], [0.1, 0.0]])
    ranks = Ranks.of(base, np.array([0, 0, 0, 1]))
    assert ranks.number.tolist() == [2, 1, 1]
    assert ranks.kind.tolist() == [0, 0, 1, 2]
    assert ranks.rank_class.tolist() == [0, 0, 1]
    assert ranks.base.tolist() == [[0.1, 0.0], [0.2, 0.0], [0.1, 0.0]]
