"""Bounds by what a single rank can hold."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.certify.dual import lower_bound, strengthen
from shardplan.certify.menus import InvalidCertificateError
from shardplan.certify.patterns import CELLS, Choices, ItemPrices, PatternSums
from shardplan.certify.relaxed import Relaxed
from shardplan.certify.verify import replay, verify
from shardplan.records.certificate import Case, Certificate, PatternPrices
from shardplan.records.sharding import SUMS, Objective
from tests.certify.test_dual import CLUSTERS, draw
from tests.solvers.helpers import (
    CW2,
    CW3,
    DP,
    TW,
    Hosts,
    brute_force,
    make_problem,
)

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem

ONE_CLASS = ["one host", "two hosts", "three ranks", "domain over hosts"]


def equal_tables(
    count: int, ranks: int, objective: Objective = Objective.MAX_RANK
) -> Problem:
    """Tables of 1 ms in two phases that nothing can cut, on ranks of one host."""
    cost = np.zeros((count, 1, 6))
    cost[:, 0, 2], cost[:, 0, 5] = 6e-4, 4e-4
    room = (np.ones(ranks), np.ones(1), np.ones(1))
    menus = [[TW]] * count
    return make_problem(
        [Hosts(1, ranks, ranks)],
        menus,
        cost,
        np.zeros((count, 3)),
        room,
        objective=objective,
    )


@pytest.mark.parametrize("objective", SUMS)
def test_items_do_not_share_ranks_evenly(objective: Objective) -> None:
    """Three tables of 1 ms on two ranks take 2 ms; sums alone say 1.5 ms."""
    problem = equal_tables(3, 2, objective)
    quick = lower_bound(problem)
    assert quick.value_s == pytest.approx(1.5e-3, rel=1e-6)
    strong = strengthen(problem, quick, 2e-3)
    assert strong.value_s == pytest.approx(2e-3, rel=1e-2)
    assert strong.certificate.cases[0].patterns
    assert verify(problem, strong.certificate) == strong.value_s


def test_memory_is_packed_too() -> None:
    """Three tables of 60 % of a rank's HBM need three ranks, in sums only two.

    Prices of HBM cannot say so (a share of a rank is a share), so that the bound
    stays at 1.5 ms, below the 2 ms that rounding times allows.
    """
    problem = equal_tables(3, 2)
    problem.options.item_bytes[:, 0] = 0.6
    assert brute_force(problem)[1] is None
    assert strengthen(problem, lower_bound(problem), 1.0).value_s < float("inf")


@pytest.mark.parametrize("name", ONE_CLASS)
def test_the_dearest_pattern_is_not_too_cheap(name: str) -> None:
    """No set of items that a rank can hold costs more than what is found."""
    rng = np.random.default_rng(5)
    compared = 0
    for seed in range(10):
        relaxed = Relaxed.of(draw(seed, CLUSTERS[name], Objective.MAX_RANK))
        if not len(relaxed) or relaxed.has_empty_bundle:
            continue
        limit = float(rng.uniform(1.0, 3.0)) * float(relaxed.items.cost.max())
        choices = Choices.of(relaxed, limit)
        assert choices is not None
        prices = ItemPrices(
            rng.uniform(0, 1, len(relaxed.items.item)), rng.uniform(0, 1, 3)
        )
        found, pattern = choices.dearest(prices)
        best = dearest_by_force(relaxed, limit, prices.items)
        assert best <= found
        hbm = prices.pools[0] * relaxed.items.tier_bytes[:, 0] / relaxed.largest_hbm[0]
        net = (prices.items - hbm)[pattern.items] @ pattern.copies
        assert found == pytest.approx(net + prices.pools[0], rel=1e-6)
        compared += 1
    assert compared > 3


def dearest_by_force(relaxed: Relaxed, limit: float, prices: np.ndarray) -> float:
    """Try all sets of copies of one option per bundle."""
    per_bundle = []
    for bundle in range(relaxed.num_bundles):
        held = [(0.0, 0.0, 0.0)]
        for option in range(relaxed.start[bundle], relaxed.start[bundle + 1]):
            items = range(relaxed.items.start[option], relaxed.items.start[option + 1])
            for copies in product(
                *(range(relaxed.items.per_rank[i] + 1) for i in items)
            ):
                held.append(
                    tuple(
                        sum(
                            n * float(values[i])
                            for n, i in zip(copies, items, strict=True)
                        )
                        for values in (
                            prices,
                            relaxed.items.cost[:, 0].sum(axis=1),
                            relaxed.items.tier_bytes[:, 0],
                        )
                    )
                )
        per_bundle.append(held)
    best = 0.0
    for chosen in product(*per_bundle):
        worth, seconds, size = (sum(part) for part in zip(*chosen, strict=True))
        if seconds < limit and size <= relaxed.largest_hbm[0]:
            best = max(best, worth)
    return best


@pytest.mark.parametrize("objective", SUMS)
@pytest.mark.parametrize("name", ONE_CLASS)
def test_random_prices_of_items_are_never_wrong(
    name: str, objective: Objective
) -> None:
    """Prices drawn at random refute no threshold above the optimum."""
    rng = np.random.default_rng(11)
    refuted = 0
    for seed in range(12):
        problem = draw(seed, CLUSTERS[name], objective)
        optimum, _ = brute_force(problem)
        relaxed = Relaxed.of(problem)
        if relaxed.has_empty_bundle or not np.isfinite(optimum):
            continue
        seconds = relaxed.items.cost[:, 0].sum(axis=1)
        for _ in range(20):
            limit = optimum * float(rng.uniform(0.3, 1.5))
            noisy = seconds * rng.lognormal(0, 0.2, len(seconds)) / limit
            prices = PatternPrices(
                items=tuple(map(int, relaxed.items.item)),
                prices=tuple(map(float, noisy)),
                hbm=float(rng.choice([0.0, 0.1])),
                ddr=float(rng.choice([0.0, 0.1])),
            )
            value = replay(relaxed, (Case(patterns=(prices,)),), limit)
            assert value <= optimum * (1 + 1e-9)
            refuted += value == limit
    assert refuted > 0


def test_reasons_are_given() -> None:
    """Broken prices of items are refused."""
    problem = equal_tables(3, 2)
    good = {"items": (0, 1), "prices": (0.5, 0.5)}

    def proof(limit: float | None = 1.0, **changes: object) -> Certificate:
        prices = PatternPrices.model_construct(
            **{**good, "hbm": 0.0, "ddr": 0.0, "ssd": 0.0, **changes}
        )
        case = Case(rounds=()).model_copy(update={"patterns": (prices,)})
        full = Certificate(num_options=3, threshold_s=limit, cases=(Case(),))
        return full.model_copy(update={"cases": (case,)})

    for reason, broken in {
        "one price": proof(prices=(0.5,)),
        "priced twice": proof(items=(1, 1)),
        "none below 0": proof(prices=(-0.5, float("nan"))),
        "a threshold": proof(limit=None),
    }.items():
        with pytest.raises(InvalidCertificateError, match=reason):
            verify(problem, broken)
    mixed = draw(0, CLUSTERS["two classes"], Objective.MAX_RANK)
    other = proof().model_copy(update={"num_options": len(mixed.options)})
    with pytest.raises(InvalidCertificateError, match="one class"):
        verify(mixed, other)


def test_cut_tables_fit_better() -> None:
    """Where tables can be halved, three of them fit two ranks in 1.5 ms."""
    cost = np.zeros((6, 1, 6))
    cost[:, 0, 2] = [1e-3, 0.5e-3] * 3
    room = (np.ones(2), np.ones(1), np.ones(1))
    problem = make_problem(
        [Hosts(1, 2, 2)],
        [[TW, CW2]] * 3,
        cost,
        np.zeros((6, 3)),
        room,
        objective=Objective.MAX_RANK,
    )
    strong = strengthen(problem, lower_bound(problem), 1.6e-3)
    assert strong.value_s == pytest.approx(1.5e-3, rel=1e-4)
    assert strong.value_s <= 1.5e-3


def four_ranks() -> Relaxed:
    """Two tables on two hosts of two ranks: whole or in three parts, and everywhere.

    A rank has 10 bytes of HBM; all hosts have 20 of DDR and 40 of SSD.
    """
    cost = np.zeros((4, 1, 6))
    cost[:, 0, 2], cost[:, 0, 5] = (1.0, 0.5, 0.25, 0.5), (1.0, 0.5, 0.25, 0.25)
    tier_bytes = np.array([(4.0, 0, 5), (2, 3, 0), (1, 2, 1), (1, 1, 2)])
    room = (np.full(4, 10.0), np.full(2, 10.0), np.full(2, 20.0))
    problem = make_problem([Hosts(2, 2, 2)], [[TW, CW3], [DP]], cost, tier_bytes, room)
    return Relaxed.of(problem)


def test_costs_at_prices_of_items_by_hand() -> None:
    """One copy, one and two of two items, and one on each of four ranks.

    All DDR has a price of 10 and all SSD of 20, whatever HBM has.
    """
    sums = PatternSums.of(four_ranks())
    prices = ItemPrices(np.array([1.0, 2, 4, 8]), np.array([100.0, 10, 20]))
    whole = 1 + 5 / 40 * 20
    parts = 2 + 2 * 4 + (3 + 2 * 2) / 20 * 10 + 2 * 1 / 40 * 20
    every = 4 * 8 + 4 * 1 / 20 * 10 + 4 * 2 / 40 * 20
    assert sums.costs(prices) == pytest.approx([whole, parts, every])
    needed = (whole + every - 10 - 20) / 5
    assert sums.ranks_needed(prices, dearest=5.0) == pytest.approx(needed)
    twice = prices.times(2.0)
    assert twice.items.tolist() == [2, 4, 8, 16]
    assert twice.pools.tolist() == [200, 20, 40]


def test_choices_by_hand() -> None:
    """What one rank may hold in less than 2.2 s: some copies of one option."""
    choices = Choices.of(four_ranks(), 2.2)
    assert choices is not None
    held = [
        (bundle, *(int(n) for n in copies))
        for bundle, copies in zip(choices.bundle, choices.copies, strict=True)
    ]
    # The whole table; 0 or 1 of the first part with 0 to 2 of the second; the copy.
    parts = [(0, 0, 1), (0, 0, 2), (0, 1, 0), (0, 1, 1), (0, 1, 2)]
    assert held == [(0, 1, 0), *parts, (1, 1, 0)]
    seconds = np.array([2, 0.5, 1, 1, 1.5, 2, 0.75])
    assert choices.cells.tolist() == np.floor(seconds / 2.2 * CELLS).tolist()
    size = np.array([4, 1, 2, 2, 3, 4, 1]) / 10
    assert choices.size == pytest.approx(size)
    assert choices.items[:, 0].tolist() == [0, 1, 1, 1, 1, 1, 3]
    assert choices.items[1:6, 1].tolist() == [2] * 5
    shorter = Choices.of(four_ranks(), 1.2)
    assert shorter is not None
    assert shorter.copies.tolist() == [[0, 1], [0, 2], [1, 0], [1, 0]]


def test_the_dearest_pattern_by_hand() -> None:
    """In 2.3 s, with a price of 1 for a byte of HBM: all parts, or some and a copy."""
    choices = Choices.of(four_ranks(), 2.3)
    assert choices is not None
    prices = ItemPrices(np.array([9.0, 5, 5, 3]), np.array([10.0, 0, 0]))
    dearest, pattern = choices.dearest(prices)
    # The parts are worth 15 - 4 in 2 s. Twice the second one, in 1 s, leaves time for
    # the copy, but 10 - 2 and 3 - 1 are less.
    assert dearest == pytest.approx(10 + 11)
    found = dict(zip(pattern.items.tolist(), pattern.copies.tolist(), strict=True))
    assert found == {1: 1, 2: 2}
    prices = prices._replace(items=np.array([9.0, 5, 5, 13]))
    dearest, pattern = choices.dearest(prices)
    assert dearest == pytest.approx(10 + 8 + 12)
    found = dict(zip(pattern.items.tolist(), pattern.copies.tolist(), strict=True))
    assert found == {2: 2, 3: 1}
    # Nothing is worth its HBM.
    nothing = ItemPrices(np.zeros(4), np.array([10.0, 0, 0]))
    dearest, pattern = choices.dearest(nothing)
    assert dearest == pytest.approx(10.0)
    assert not len(pattern.items)


def test_a_rank_that_can_hold_nothing() -> None:
    """Where no item fits below the threshold, every rank there is would be too few."""
    sums = PatternSums.of(four_ranks())
    nothing = ItemPrices(np.zeros(4), np.zeros(3))
    priced = ItemPrices(np.ones(4), np.zeros(3))
    assert sums.ranks_needed(priced, dearest=0.0) == math.inf
    assert sums.ranks_needed(nothing, dearest=0.0) == 0.0
    for seed in range(20):
        problem = draw(seed, CLUSTERS["three ranks"], Objective.MAX_RANK)
        optimum, _ = brute_force(problem)
        if math.isfinite(optimum):
            found = strengthen(problem, lower_bound(problem), optimum)
            assert found.value_s <= optimum * (1 + 1e-12)
