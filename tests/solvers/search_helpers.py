"""States to search from, and what must hold of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.certify.dual import lower_bound
from shardplan.certify.regrets import Regrets
from shardplan.costs.scopes import Scope
from shardplan.records.sharding import PHASES, Objective
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.search.limits import Limits
from shardplan.solvers.search.moves.candidates import Candidates
from shardplan.solvers.search.moves.exchange import Exchanger
from shardplan.solvers.search.moves.insertion import Inserter
from shardplan.solvers.search.moves.noise import Noise
from shardplan.solvers.search.moves.recut import Recutter
from shardplan.solvers.search.moves.repartition import Repartitioner
from shardplan.solvers.search.moves.swap import Swapper
from shardplan.solvers.search.moves.variants import VariantChanger
from shardplan.solvers.search.penalty import Penalty
from shardplan.solvers.search.state import State
from shardplan.solvers.search.vectors import Vectors
from tests.solvers.helpers import CW2, CW3, RW2, TW, Hosts, make_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shardplan.problems.problem import Assignment, Problem

CLUSTERS = {
    "one host": [Hosts(1, 4, 4)],
    "two hosts": [Hosts(2, 4, 2)],
    "mixed": [Hosts(2, 2, 2), Hosts(1, 4, 4)],
}


class Started(NamedTuple):
    """A state, and what the moves need."""

    state: State
    regrets: Regrets
    limits: Limits


def start(problem: Problem, kind: type[State] = State) -> Started:
    """Fill a state by the greedy solver."""
    begun = empty(problem, kind)
    found = Greedy().solve(problem, Stop(), 0, Silent())
    assert found.assignment is not None
    begun.state.fill(found.assignment)
    return begun


def empty(problem: Problem, kind: type[State] = State) -> Started:
    """Make a state with nothing in it."""
    regrets = Regrets.of(problem, lower_bound(problem))
    vectors = Vectors.of(problem, regrets.bound_s)
    return Started(kind(problem, vectors), regrets, Limits(vectors, regrets))


class Moves(NamedTuple):
    """All moves of a state, and the price of options beside the penalty."""

    exchanger: Exchanger
    divider: Repartitioner
    swapper: Swapper
    recutter: Recutter
    changer: VariantChanger
    price: NDArray[np.float64]


def moves_of(begun: Started, rng: np.random.Generator, num_free: int = 5) -> Moves:
    """Make all moves, within the best limits on shards."""
    state, regret = begun.state, begun.regrets.of_option
    excess, noise = begun.limits.excess(begun.limits.best(0.0, 0.0)), Noise(rng)
    options = Candidates(state, rng, regret, excess)
    return Moves(
        Exchanger(state, rng, noise),
        Repartitioner(state, rng, noise, num_free),
        Swapper(state, rng, noise),
        Recutter(state, rng, noise, options, Inserter(state, rng, options)),
        VariantChanger(state, rng, noise, options.price, excess),
        options.price,
    )


def scrambled(problem: Problem, rng: np.random.Generator) -> Started:
    """Start far from balance; hosts and ranks may be too full."""
    full = problem.capacity
    roomy = replace(
        full,
        rank_hbm=4.0 * full.rank_hbm,
        pool_ddr=4.0 * full.pool_ddr,
        pool_ssd=4.0 * full.pool_ssd,
    )
    begun = empty(problem)
    begun.state.fill(start(replace(problem, capacity=roomy)).state.assignment())
    for _ in range(3):
        scramble(begun.state, rng)
    return begun


def scramble(state: State, rng: np.random.Generator) -> None:
    """Exchange parts of all ranks at random."""
    everyone = np.arange(len(state.load))[None]
    Exchanger(state, rng, Noise(rng)).make(everyone, low_levels(state), 1e6)


def low_levels(state: State) -> Penalty:
    """Return a penalty that most ranks have."""
    return Penalty(np.full(state.num_times, 0.5 / state.num_times))


def true_penalty(state: State, penalty: Penalty) -> float:
    """Sum the penalty of all ranks and hosts."""
    ranks = penalty.of_ranks(state.load).sum()
    return float(ranks + penalty.of_pools(state.pool_load).sum())


def hbm_problem(
    rng: np.random.Generator,
    num_tables: int,
    groups: Sequence[Hosts],
    objective: Objective = Objective.STEP,
    *,
    with_rows: bool = False,
) -> Problem:
    """Draw tables that are whole or cut by columns (or rows), in HBM, unlimited.

    The items of an option differ in width alone: the second is half the first.
    """
    menu = [TW, CW2, CW3, *([RW2] if with_rows else [])]
    shares = np.array([1.0, 0.55, 0.5, 0.25, *([0.6] if with_rows else [])])
    size = rng.lognormal(0.0, 1.0, num_tables)
    share = (size[:, None] * shares).ravel()
    kind = rng.uniform(0.5, 2.0, (num_tables, 1, len(groups), len(PHASES)))
    kind = np.repeat(kind, len(shares), axis=1).reshape(-1, *kind.shape[2:])
    cost = 1e-3 * share[:, None, None] * kind
    cost[:, :, 3:] = 0.0
    hbm = np.repeat(rng.uniform(0.5, 1.5, num_tables), len(shares)) * share * 1e9
    world = sum(group.num_hosts * group.local for group in groups)
    hosts = sum(group.num_hosts for group in groups)
    room = 1.3 * max(size.sum() / world, 1.5 * size.max()) * 1e9
    return make_problem(
        groups,
        [menu] * num_tables,
        cost,
        np.stack([hbm, 0.0 * hbm, 0.0 * hbm], axis=1),
        (np.full(world, room), np.full(hosts, 1e9), np.full(hosts, 1e9)),
        objective=objective,
    )


def assert_allowed(problem: Problem, assignment: Assignment) -> None:
    """Check pins, separation, distinct places, same hosts and whole groups."""
    menu = problem.options
    used = []
    for bundle, option in enumerate(assignment.option.tolist()):
        places = assignment.places[bundle]
        scope = int(menu.scope[option])
        assert menu.table[option] == bundle
        legal = problem.group_places(bundle, option)
        ranks = np.zeros(problem.world_size, dtype=bool)
        for place in places.tolist() if scope != Scope.ALL else [0]:
            assert place in legal
            ranks[problem.place_ranks(scope, place)] = True
        if scope != Scope.ALL:
            assert len(places) == menu.num_places(option)
        if problem.apart[option]:
            assert len(set(places.tolist())) == len(places)
        if menu.same_host[option]:
            assert len(set(problem.cluster.rank_host[places].tolist())) == 1
        used.append(ranks)
    for bundle, others in problem.conflicts.items():
        assert not any((used[bundle] & used[other]).any() for other in others)


def assert_legal(problem: Problem, assignment: Assignment) -> None:
    """Check constraints, and that every pool holds what it gets."""
    assert_allowed(problem, assignment)
    assert problem.loads(assignment).fits(problem.capacity)


def is_same(one: Assignment, other: Assignment) -> bool:
    """Whether two assignments agree in every option and place."""
    places = zip(one.places, other.places, strict=True)
    return bool((one.option == other.option).all()) and all(
        np.array_equal(a, b) for a, b in places
    )
