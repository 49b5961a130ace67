"""Caches split again: the best split of one rank, and never anything worse."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from shardplan.costs.scopes import Scope
from shardplan.problems.problem import Assignment
from shardplan.records.sharding import PHASES, Objective
from shardplan.solvers.base import Silent, Stop
from shardplan.solvers.greedy import Greedy
from shardplan.solvers.search.resplit import curve, resplit, spend
from tests.solvers.helpers import CW2, TW, Hosts, make_problem, shapes_on
from tests.solvers.search_helpers import assert_legal

ONE_RANK = [Hosts(1, 1, 1)]
CLUSTERS = {
    "one rank": ONE_RANK,
    "one host": [Hosts(1, 4, 4)],
    "two hosts": [Hosts(2, 4, 2)],
    "mixed": [Hosts(2, 2, 2), Hosts(1, 4, 4)],
}
SEEDS = st.integers(0, 2**32 - 1)
PLENTY = 1e15


def on_one_rank(hbm, time_s, room):
    """Build a problem of tables (T,) with alternatives (T, A) that stay on one rank."""
    cost = np.zeros((hbm.size, 1, len(PHASES)))
    cost[:, 0, 2] = time_s.ravel()
    tier_bytes = np.zeros((hbm.size, 3))
    tier_bytes[:, 0] = hbm.ravel()
    pools = (np.array([room]), np.array([PLENTY]), np.array([PLENTY]))
    menus = [[TW] * hbm.shape[1]] * len(hbm)
    return make_problem(ONE_RANK, menus, cost, tier_bytes, pools)


def convex_caches(rng, tables, alternatives):
    """Draw bytes that grow and times that fall ever more slowly, (T, A) each."""
    shape = (tables, alternatives - 1)
    more = rng.lognormal(0.0, 1.0, shape) * 1e9
    gain = np.sort(rng.lognormal(0.0, 1.0, shape), axis=1)[:, ::-1] * 1e-12
    least = rng.lognormal(0.0, 1.0, (tables, 1)) * 1e8
    hbm = np.concatenate([least, least + np.cumsum(more, axis=1)], axis=1)
    saved = np.cumsum(more * gain, axis=1)
    slowest = saved[:, -1:] + rng.uniform(1e-4, 1e-3, (tables, 1))
    return hbm, np.concatenate([slowest, slowest - saved], axis=1)


def best_mix(hbm, time_s, room):
    """Least total time of fractional choices, and the shares (T, A)."""
    tables, alternatives = hbm.shape
    found = scipy.optimize.linprog(
        time_s.ravel(),
        A_ub=hbm.reshape(1, -1) / 1e9,
        b_ub=[room / 1e9],
        A_eq=np.kron(np.eye(tables), np.ones(alternatives)),
        b_eq=np.ones(tables),
        method="highs-ds",
    )
    assert found.status == 0
    return found.fun, found.x.reshape(hbm.shape)


def split_of(problem, start):
    """Resplit a problem of one rank from some alternatives; return those it ends in."""
    places = (np.zeros(1, dtype=np.int64),) * problem.num_bundles
    given_one = Assignment(problem.options.start[:-1] + start, places)
    found = resplit(problem, given_one)
    assert problem.loads(found).fits(problem.capacity)
    return found.option - problem.options.start[:-1]


def total(values, choice):
    return float(np.take_along_axis(values, choice[:, None], axis=1).sum())


@given(SEEDS)
def test_best_split_where_a_step_ends(seed):
    """With room for exactly some first steps, the split is the best of all mixes."""
    rng = np.random.default_rng(seed)
    hbm, time_s = convex_caches(rng, int(rng.integers(1, 6)), int(rng.integers(2, 5)))
    more = np.diff(hbm, axis=1).ravel()
    gain = (-np.diff(time_s, axis=1)).ravel() / more
    taken = np.argsort(-gain)[: rng.integers(0, more.size + 1)]
    used = hbm[:, 0].sum() + more[taken].sum()
    problem = on_one_rank(hbm, time_s, used * (1.0 + 1e-8))
    choice = split_of(problem, np.zeros(len(hbm), dtype=np.int64))
    value = total(time_s, choice)
    least, _ = best_mix(hbm, time_s, used)
    assert value == pytest.approx(least, rel=1e-6)
    every = np.array(list(product(range(hbm.shape[1]), repeat=len(hbm))))
    tables = np.arange(len(hbm))
    fits = hbm[tables, every].sum(axis=1) <= used * (1.0 + 1e-9)
    best = time_s[tables, every].sum(axis=1)[fits].min()
    assert value == pytest.approx(best, rel=1e-9)


@given(SEEDS)
def test_at_most_one_step_from_the_best_mix(seed):
    """With any room, the split is no worse than the best mix without its fraction.

    The best mix divides one table between two neighbouring alternatives at most; with
    that table at the smaller one it fits, and the split takes no longer.
    """
    rng = np.random.default_rng(seed)
    hbm, time_s = convex_caches(rng, int(rng.integers(2, 20)), int(rng.integers(2, 7)))
    least_bytes, most_bytes = hbm[:, 0].sum(), hbm[:, -1].sum()
    room = rng.uniform(least_bytes, most_bytes)
    choice = split_of(
        on_one_rank(hbm, time_s, room), np.zeros(len(hbm), dtype=np.int64)
    )
    least, share = best_mix(hbm, time_s, room)
    whole = np.argmax(share > 1e-7, axis=1)
    assert ((share > 1e-7).sum(axis=1) > 1).sum() <= 1
    assert total(hbm, whole) <= room * (1.0 + 1e-6)
    value = total(time_s, choice)
    assert least * (1.0 - 1e-6) <= value <= total(time_s, whole) * (1.0 + 1e-6)


@given(SEEDS)
def test_spending_stops_one_refused_step_from_the_best(seed):
    """What `spend` promises, on curves that are not convex at first."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 8)), int(rng.integers(2, 7)))
    hbm = np.sort(rng.lognormal(0.0, 1.0, shape), axis=1) * 1e9
    time_s = np.sort(rng.lognormal(0.0, 1.0, shape), axis=1)[:, ::-1]
    curves = [curve(list(b), list(t), 0) for b, t in zip(hbm, time_s, strict=True)]
    for steps in curves:
        gains = [step.gain for step in steps]
        assert gains == sorted(gains, reverse=True)
    room = rng.uniform(hbm[:, 0].sum(), hbm[:, -1].sum())
    choice = np.zeros(len(hbm), dtype=np.int64)
    before_refusal: list[tuple[float, float]] = []

    def take(index, point):
        changed = choice.copy()
        changed[index] = point
        if total(hbm, changed) > room:
            before_refusal.append((total(hbm, choice), total(time_s, choice)))
            return False
        choice[:] = changed
        return True

    start = total(time_s, choice)
    refused = spend(curves, take)
    used, value = (
        before_refusal[0]
        if before_refusal
        else (total(hbm, choice), total(time_s, choice))
    )
    assert value <= start
    least, _ = best_mix(hbm, time_s, used)
    assert value == pytest.approx(least, rel=1e-6)
    assert (refused is None) == (not before_refusal)
    if refused is not None:
        bytes_of = max(row[refused.point] for row in hbm)
        least, _ = best_mix(hbm, time_s, room)
        assert value - least <= refused.gain * bytes_of * (1.0 + 1e-6)


def cached_problem(rng, groups, tables, objective, fill):
    """Draw tables in two structures of five cache fractions each, and limits."""
    shapes = [s for s in shapes_on(groups) if s.scope != Scope.ALL and s != TW]
    shares = np.array([0.02, 0.1, 0.3, 0.6, 1.0])
    menus, cost, tier_bytes = [], [], []
    sizes = rng.lognormal(0.0, 1.0, tables) * 1e9
    classes = len(groups)
    for size in sizes:
        menu = []
        for shape in [TW, shapes[int(rng.integers(len(shapes)))]]:
            parts = sum(shape.counts) * shape.row_shards
            slow = rng.uniform(0.5, 2.0, (classes, len(PHASES))) * size / parts * 1e-12
            power = rng.uniform(0.1, 0.5)
            to_ddr, to_ssd = rng.uniform(0.0, 1.0, 2)
            for share in shares:
                menu.append(shape)
                for _ in shape.counts:
                    cost.append(slow / share**power)
                    rest = [to_ddr * rng.uniform(0.5, 1.0), to_ssd * (1.0 - share)]
                    tier_bytes.append(size / parts * np.array([share, *rest]))
        menus.append(menu)
    hosts = np.concatenate([np.full(g.num_hosts, g.local) for g in groups])
    room = sizes.sum() * fill
    pools = (
        np.full(hosts.sum(), room / hosts.sum()),
        np.full(len(hosts), 3.0 * room / len(hosts)),
        np.full(len(hosts), 3.0 * room / len(hosts)),
    )
    world = int(hosts.sum())
    mask = rng.random(world) < 0.7
    mask[0] = True
    return make_problem(
        groups,
        menus,
        np.array(cost),
        np.array(tier_bytes),
        pools,
        objective=objective,
        allowed={0: mask},
        conflicts={1: frozenset({2}), 2: frozenset({1})} if world > 1 else {},
    )


@pytest.mark.parametrize("objective", Objective)
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_never_worse_and_in_place(cluster, objective):
    """Value, pools, places and structure are kept; less cache than fits is mended."""
    better = tried = 0
    for seed in range(12):
        rng = np.random.default_rng([seed, 5])
        problem = cached_problem(rng, CLUSTERS[cluster], 12, objective, 0.5)
        found = Greedy().solve(problem, Stop(), 0, Silent()).assignment
        if found is None:
            continue
        least = found.option - (found.option - problem.options.start[:-1]) % 5
        for option in (found.option, least):
            start = replace(found, option=option)
            if not problem.loads(start).fits(problem.capacity):
                continue
            result = resplit(problem, start)
            assert_legal(problem, result)
            before, after = problem.loads(start), problem.loads(result)
            assert after.value(objective) <= before.value(objective)
            if after.value(objective) == before.value(objective):
                assert after.cost.sum() <= before.cost.sum()
            assert all(
                np.array_equal(a, b)
                for a, b in zip(start.places, result.places, strict=True)
            )
            structure = (result.option - problem.options.start[:-1]) // 5
            assert (structure == (option - problem.options.start[:-1]) // 5).all()
            tried += 1
            better += after.value(objective) < before.value(objective)
    assert tried >= 12
    assert better >= tried // 2


def two_ranks(hbm_pools, ddr_pool=PLENTY, ddr=(1e9, 1e9)):
    """One table in two columns over the two ranks of a host, with 1 or 4 GB each."""
    cost = np.zeros((2, 1, len(PHASES)))
    cost[:, 0, 2] = 2e-3, 1e-3
    tier_bytes = np.array([[1e9, ddr[0], 0.0], [4e9, ddr[1], 0.0]])
    pools = (np.array(hbm_pools), np.array([ddr_pool]), np.array([PLENTY]))
    problem = make_problem([Hosts(1, 2, 2)], [[CW2, CW2]], cost, tier_bytes, pools)
    return problem, Assignment(np.array([0]), (np.array([0, 1]),))


@pytest.mark.parametrize(
    ("pools", "expected"), [((5e9, 5e9), 1), ((5e9, 3e9), 0), ((3e9, 5e9), 0)]
)
def test_needs_room_on_all_ranks(pools, expected):
    """A table on two ranks gets more cache only if both have the bytes."""
    problem, start = two_ranks(pools)
    assert resplit(problem, start).option.tolist() == [expected]


@pytest.mark.parametrize(("room", "expected"), [(4.1e9, 1), (3.9e9, 0)])
def test_needs_room_on_the_host(room, expected):
    """An alternative with more bytes in DDR must fit the host's pool."""
    problem, start = two_ranks((5e9, 5e9), room, (1e9, 2e9))
    assert resplit(problem, start).option.tolist() == [expected]


def test_gives_a_cold_cache_to_a_hot_one():
    """A full rank moves bytes from where they save little to where they save much."""
    hbm = np.array([[1e9, 5e9], [1e9, 5e9]])
    time_s = np.array([[2e-3, 1.9e-3], [9e-3, 1e-3]])
    problem = on_one_rank(hbm, time_s, 6.5e9)
    assert split_of(problem, np.array([1, 0])).tolist() == [0, 1]


def test_stops_when_told():
    """Without time the plan stays as it is."""
    problem, start = two_ranks((5e9, 5e9))
    stop = Stop(requested=True)
    assert resplit(problem, start, stop).option.tolist() == [0]


def test_smaller_steps_fill_the_rest():
    """Where the next step of a curve is too large, a smaller alternative is taken."""
    hbm = np.array([[1e9, 2e9, 5e9]])
    time_s = np.array([[9e-3, 8.9e-3, 1e-3]])
    problem = on_one_rank(hbm, time_s, 3e9)
    assert split_of(problem, np.array([0])).tolist() == [1]
