"""Bounds by what a single rank can hold."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.certificate import Case, Certificate, PatternPrices
from shardplan.certify.dual import lower_bound, strengthen
from shardplan.certify.patterns import Choices, ItemPrices
from shardplan.certify.relaxed import Relaxed
from shardplan.certify.verify import InvalidCertificateError, replay, verify
from shardplan.sharding import Objective
from tests.certify.test_bounds import CLUSTERS, draw
from tests.solvers.helpers import CW2, TW, Hosts, brute_force, make_problem

if TYPE_CHECKING:
    from shardplan.problem import Problem

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


@pytest.mark.parametrize("objective", Objective)
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
        limit = float(rng.uniform(1.0, 3.0)) * float(relaxed.cost.max())
        choices = Choices.of(relaxed, limit)
        assert choices is not None
        prices = ItemPrices(rng.uniform(0, 1, len(relaxed.item)), rng.uniform(0, 1, 3))
        found, pattern = choices.dearest(prices)
        best = dearest_by_force(relaxed, limit, prices.items)
        assert best <= found
        hbm = prices.pools[0] * relaxed.tier_bytes[:, 0] / relaxed.largest_hbm[0]
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
            items = range(relaxed.item_start[option], relaxed.item_start[option + 1])
            for copies in product(*(range(relaxed.per_rank[i] + 1) for i in items)):
                held.append(
                    tuple(
                        sum(
                            n * float(values[i])
                            for n, i in zip(copies, items, strict=True)
                        )
                        for values in (
                            prices,
                            relaxed.cost[:, 0].sum(axis=1),
                            relaxed.tier_bytes[:, 0],
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


@pytest.mark.parametrize("objective", list(Objective))
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
        seconds = relaxed.cost[:, 0].sum(axis=1)
        for _ in range(20):
            limit = optimum * float(rng.uniform(0.3, 1.5))
            noisy = seconds * rng.lognormal(0, 0.2, len(seconds)) / limit
            prices = PatternPrices(
                items=tuple(map(int, relaxed.item)),
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
