"""What the search keeps up to date is what a fresh sum gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.costs.scopes import Scope
from shardplan.records.sharding import SUMS, Objective, Target
from shardplan.solvers.base import Stop
from shardplan.solvers.search.anneal import Annealer
from shardplan.solvers.search.state import State
from tests.solvers.helpers import Hosts, toy_problem
from tests.solvers.search_helpers import (
    CLUSTERS,
    assert_allowed,
    hbm_problem,
    is_same,
    low_levels,
    moves_of,
    start,
)

if TYPE_CHECKING:
    from typing import Any

    from shardplan.problems.problem import Problem

NUM_TABLES = 40


class Counting(State):
    """Counts moves: a unit to another rank, a bundle put back."""

    moves = 0

    def move(self, units: Any, goals: Any) -> None:
        self.moves += int((self.unit_rank[units] != goals).sum())
        super().move(units, goals)

    def put(self, bundle: int, option: int, places: Any) -> None:
        self.moves += 1
        super().put(bundle, option, places)


def assert_right(problem: Problem, state: State) -> None:
    """Compare loads, slots, value and fit with those of a fresh state."""
    assignment = state.assignment()
    assert_allowed(problem, assignment)
    fresh = State(problem, state.vectors)
    fresh.fill(assignment)
    assert np.allclose(state.load, fresh.load, rtol=0, atol=1e-8)
    assert np.allclose(state.pool_load, fresh.pool_load, rtol=0, atol=1e-8)
    loads = problem.loads(assignment)
    value = state.value() * state.vectors.unit_s
    assert value == pytest.approx(loads.value(problem.objective), rel=1e-8)
    assert state.fits() == loads.fits(problem.capacity)
    assert_parts(state)
    for rank, count in enumerate(state.count.tolist()):
        units = state.slots[rank]
        assert (units[:count] > 0).all()
        assert not units[count:].any()
        assert (state.unit_rank[units[:count]] == rank).all()
        assert (state.unit_slot[units[:count]] == np.arange(count)).all()
    listed = sorted(state.slots[state.slots > 0].tolist())
    assert listed == sorted(u for units in state.units for u in units)


def assert_parts(state: State) -> None:
    """Parts add up to loads, and are the same for some bundles in any order."""
    menu, assignment = state.problem.options, state.assignment()
    bundles = np.flatnonzero(menu.scope[assignment.option] != Scope.ALL)
    fresh = State(state.problem, state.vectors)
    for bundle in bundles.tolist():
        fresh.put(bundle, assignment.option.item(bundle), assignment.places[bundle])
    owner, rank, item = state.parts_of(bundles)
    vector = state.vectors.of_items(item)[np.arange(len(item)), state.rank_class[rank]]
    load = np.zeros_like(state.load)
    np.add.at(load, rank, vector[:, :-2])
    assert np.allclose(load, fresh.load, rtol=0, atol=1e-8)
    assert np.array_equal(menu.table[menu.item_option[item]], bundles[owner])
    some = bundles[::-3]
    index, *parts = state.parts_of(some)
    found = zip(some[index].tolist(), *(part.tolist() for part in parts), strict=True)
    wanted = zip(*(part.tolist() for part in (bundles[owner], rank, item)), strict=True)
    assert sorted(found) == sorted(one for one in wanted if one[0] in some)


class Mover:
    """Makes every kind of move at random."""

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        begun = start(problem, Counting)
        self.state, self.moves = begun.state, moves_of(begun, rng)
        excess = begun.limits.excess(begun.limits.best(0.0, 0.0))
        self.rng, self.penalty = rng, low_levels(self.state)
        self.world = problem.world_size
        self.annealer = Annealer(
            self.state, begun.regrets.of_option, excess, rng, Stop(), lambda state: None
        )
        self.kept = self.state.assignment()
        kinds = [self.exchange, self.divide, self.recut_one, self.recut_many]
        kinds += [self.redirect, self.go_back, self.keep, self.change_variants]
        often = [66, 25, 3, 1, 1, 1, 1, 2]
        self.kinds = [k for k, n in zip(kinds, often, strict=True) for _ in range(n)]

    def exchange(self) -> None:
        size = int(self.rng.integers(2, self.world + 1))
        order = self.rng.permutation(self.world)[: self.world // size * size]
        self.moves.exchanger.make(order.reshape(-1, size), self.penalty, 1.0)

    def divide(self) -> None:
        pairs = self.rng.permutation(self.world)[: self.world // 2 * 2].reshape(-1, 2)
        self.moves.divider.make(pairs, self.penalty, 1.0)

    def recut_one(self) -> None:
        self.moves.recutter.recut(int(self.rng.integers(NUM_TABLES)), self.penalty, 1.0)

    def recut_many(self) -> None:
        self.moves.recutter.make(
            self.rng.permutation(NUM_TABLES)[:20], self.penalty, 1.0
        )

    def change_variants(self) -> None:
        bundles = self.rng.permutation(NUM_TABLES)[: int(self.rng.integers(1, 8))]
        self.moves.changer.make(bundles, self.penalty, 1.0)

    def redirect(self) -> None:
        menu = self.state.problem.options
        target = self.rng.integers(menu.start[:-1], menu.start[1:])
        some = self.rng.permutation(NUM_TABLES)[:3].tolist()
        self.annealer.redirect(some, target)

    def go_back(self) -> None:
        self.state.return_to(self.kept)
        assert is_same(self.state.assignment(), self.kept)

    def keep(self) -> None:
        self.kept = self.state.assignment()

    def step(self) -> None:
        """Make one random move, the quick ones most often."""
        self.kinds[int(self.rng.integers(len(self.kinds)))]()


@pytest.mark.parametrize(
    "num_moves", [10_000, pytest.param(100_000, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_loads_stay_right(cluster: str, objective: Objective, num_moves: int) -> None:
    """Before, amid and after many random moves everything equals a fresh sum."""
    rng = np.random.default_rng(7)
    problem = toy_problem(
        rng,
        NUM_TABLES,
        CLUSTERS[cluster],
        fill=0.4,
        objective=objective,
        target=Target.TORCHREC if objective is Objective.STEP else Target.ANY,
    )
    mover = Mover(problem, rng)
    state = mover.state
    assert isinstance(state, Counting)
    for checkpoint in range(11):
        while state.moves < num_moves * checkpoint / 10:
            mover.step()
        assert_right(problem, state)


def test_pins_and_separation_occur() -> None:
    """The problem above has limits of every kind, or the test would prove little."""
    found: set[object] = set()
    for cluster in CLUSTERS.values():
        problem = toy_problem(np.random.default_rng(7), NUM_TABLES, cluster, fill=0.4)
        menu = problem.options
        found |= {int(scope) for scope in menu.scope}
        found |= {"pins"} if problem.allowed else set()
        found |= {"apart"} if problem.conflicts else set()
        found |= {"near"} if menu.same_host.any() else set()
        found |= {"hosts"} if menu.item_bytes[:, 1:].any() else set()
    assert found == {0, 1, 2, 3, "pins", "apart", "near", "hosts"}


def test_a_pin_on_one_of_many_ranks_is_found() -> None:
    """Beyond some ranks only samples are looked at; a single allowed one is not missed.

    A redirected bundle with no other place than its own stays placed.
    """
    rng = np.random.default_rng(0)
    problem = hbm_problem(rng, 30, [Hosts(32, 4)])
    for bundle in range(0, 30, 3):
        mask = np.zeros(problem.world_size, dtype=bool)
        mask[int(rng.integers(problem.world_size))] = True
        problem.allowed[bundle] = mask
    state, regrets, limits = start(problem)
    excess = limits.excess(limits.best(0.0, 0.0))
    annealer = Annealer(
        state, regrets.of_option, excess, rng, Stop(), lambda state: None
    )
    menu = problem.options
    for _ in range(5):
        target = rng.integers(menu.start[:-1], menu.start[1:])
        annealer.redirect(list(range(30)), target)
        assert_right(problem, state)
    for bundle in range(30):
        state.take(bundle)
    assert annealer.insert(list(range(30)), menu.start[:-1].copy())
    assert_right(problem, state)
    # Whole tables have a place even on a single rank, so all of them got one.
    assert (state.option[::3] == menu.start[:-1][::3]).all()
