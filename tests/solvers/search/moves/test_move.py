"""What every move keeps to; see `Move`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from shardplan.records.sharding import SUMS, Objective
from tests.solvers.helpers import toy_problem
from tests.solvers.search_helpers import (
    CLUSTERS,
    Moves,
    assert_allowed,
    low_levels,
    moves_of,
    scramble,
    scrambled,
    true_penalty,
)

if TYPE_CHECKING:
    from shardplan.problems.problem import Assignment
    from shardplan.records.arrays import Ints

NUM_TABLES = 24
SINGLE = 1e-6
"""Relative error of penalties in single precision."""
SEEDS = (0, 2, 3, 5, 6)
"""Of problems that greedy can solve."""


def where(kind: str, world: int, step: int, rng: np.random.Generator) -> Ints:
    """Draw what a move may change."""
    if kind == "exchanger":
        size = world // (1 + step % 2)
        return rng.permutation(world).reshape(-1, size)
    if kind == "divider":
        # Pairs may share pools with each other; each is judged as if alone.
        return rng.permutation(world)[:2].reshape(-1, 2)
    if kind == "swapper":
        return rng.permutation(world)[:3]
    return rng.permutation(NUM_TABLES)[:12]


class Change(NamedTuple):
    """Bundles with another option, bundles with other places, ranks of both."""

    options: set[int]
    places: set[int]
    ranks: set[int]


def change(before: Assignment, after: Assignment) -> Change:
    """Compare two assignments."""
    options = set(np.flatnonzero(before.option != after.option).tolist())
    places, ranks = set[int](), set[int]()
    for bundle, (old, new) in enumerate(zip(before.places, after.places, strict=True)):
        if bundle in options or np.array_equal(old, new):
            continue
        places.add(bundle)
        moved = old != new
        ranks |= {*old[moved].tolist(), *new[moved].tolist()}
    return Change(options, places, ranks)


@pytest.mark.slow
@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.parametrize(
    "kind", ["exchanger", "divider", "swapper", "recutter", "changer"]
)
def test_contract(kind: str, cluster: str, objective: Objective) -> None:
    """Only what is given changes, limits are kept, and cold moves never hurt."""
    better = pools_were_full = 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        problem = toy_problem(
            rng, NUM_TABLES, CLUSTERS[cluster], fill=0.8, objective=objective
        )
        begun = scrambled(problem, rng)
        state, moves = begun.state, moves_of(begun, rng)
        penalty, move = low_levels(state), getattr(moves, kind)
        for step in range(60):
            if step % 10 == 0:
                scramble(state, rng)
            temperature = 0.01 if step % 5 == 4 else 0.0
            some = where(kind, problem.world_size, step, rng)
            before, value = state.assignment(), true_penalty(state, penalty)
            value += moves.price[before.option].sum()
            pools_were_full += state.pool_load.max() > 1.0
            move.evaluated = 0
            count = move.make(some, penalty, temperature)
            after = state.assignment()
            assert_allowed(problem, after)
            assert_only(kind, change(before, after), some, count)
            assert move.evaluated > 0 or not count or kind == "recutter"
            # Shards of one table may share a pool, which batches of re-cuts ignore;
            # see `test_recut` for what they promise without slower tiers.
            if temperature == 0.0 and kind != "recutter":
                new = true_penalty(state, penalty) + moves.price[after.option].sum()
                assert new <= value * (1.0 + SINGLE)
                better += new < value * (1.0 - 1e-4)
    assert better > {"recutter": -1, "changer": 3}.get(kind, 20)
    assert pools_were_full > 20 or cluster == "one host"


def assert_only(kind: str, changed: Change, some: Ints, count: int) -> None:
    """Check that nothing changed but what a move was given."""
    given = set(some.ravel().tolist())
    assert count or not (changed.options or changed.places)
    if kind in ("exchanger", "divider"):
        assert not changed.options
        assert changed.ranks <= given
    elif kind == "swapper":
        # One partner for each, which it finds itself.
        assert not changed.options
        assert len(changed.ranks - given) <= len(given)
    else:
        assert changed.options | changed.places <= given
        assert kind != "changer" or not changed.places


def test_moves_of_all_kinds_are_tested() -> None:
    """A further move must join the test above."""
    names = ["exchanger", "divider", "swapper", "recutter", "changer", "price"]
    assert [*Moves._fields] == names
