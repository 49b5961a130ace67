"""Prices of longest items: by hand, against all plans, and forged."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydantic import ValidationError

from shardplan.certify.infeasible import is_proof
from shardplan.certify.longest import check_longest, longest_cost, spent_on_longest
from shardplan.certify.menus import InvalidCertificateError
from shardplan.certify.relaxed import Relaxed
from shardplan.certify.rounds import best_prices
from shardplan.certify.verify import Box, check_prices, replay, round_bound
from shardplan.records.certificate import Case, Prices
from shardplan.records.sharding import Target
from tests.certify.test_dual import BOTH, CLUSTERS
from tests.certify.test_verify import US, three_options
from tests.solvers.helpers import Hosts, brute_force, toy_problem

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.sharding import Objective

NOTHING = Prices(ranks=((0.0,) * 6,), hbm=(0.0,), ddr=(0.0,), ssd=(0.0,))
"""Of six phases and three tiers on one class of ranks."""


def test_costs_by_hand() -> None:
    """A table of 1 or 0.6 ms in phase 2, and another of 1 ms on each rank."""
    prices = NOTHING.replace(longest=((0, 2, 0.5), (1, 2, 0.25), (0, 3, 0.125)))
    relaxed = three_options()
    whole = 0.5 * 1000 + 0.125 * 2000
    parts = 0.5 * 600 + 0.125 * 1100
    # The rank that holds the longest item of the first bears the second's as well.
    every = 0.25 * 1000 + 0.5 * 1000
    assert longest_cost(relaxed, prices) == pytest.approx(
        np.array([whole, parts, every]) * US
    )
    assert spent_on_longest(prices, 2) == 0.75
    assert spent_on_longest(prices, 3) == 0.125
    found = round_bound(relaxed, prices, Box.whole(6, math.inf))
    assert found.value_s == pytest.approx((parts + every) * US, rel=1e-12)
    assert found.value_s < (parts + every) * US


def test_one_table_on_many_ranks() -> None:
    """Its mean load is a quarter of what its only rank takes."""
    relaxed = three_options()
    whole = relaxed.select(np.array([True, False, True]))
    prices = NOTHING.replace(longest=((0, 2, 1.0), (0, 3, 1.0)))
    value = replay(whole, (Case(rounds=(prices,)),), math.inf)
    assert value == pytest.approx(4000 * US, rel=1e-12)


def roomy(seed: int, groups: list[Hosts], objective: Objective) -> Problem:
    """A tiny problem with a plan: shapes, tiers, pins and conflicts."""
    rng = np.random.default_rng(seed)
    fill, tables = float(rng.choice([0.02, 0.1, 0.25])), int(rng.integers(1, 4))
    target = Target.TORCHREC if seed % 2 else Target.ANY
    return toy_problem(
        rng, tables, groups, fill=fill, objective=objective, target=target
    )


def random_longest(rng: np.random.Generator, relaxed: Relaxed) -> Prices:
    """Seconds on ranks have some of each phase, longest items some of the rest."""
    keep = rng.choice([0.0, 0.3, 0.6], relaxed.num_dimensions)
    plain = best_prices(relaxed)
    longest = []
    for phase, share in enumerate(keep):
        weights = rng.dirichlet(np.full(relaxed.num_bundles, 0.5))
        left = (1.0 - share) * float(rng.choice([0.5, 0.999]))
        longest += [(b, phase, left * float(w)) for b, w in enumerate(weights)]
    scale = float(rng.choice([0.0, 0.5]))
    pools = {
        name: tuple(scale * price for price in getattr(plain, name))
        for name in ("hbm", "ddr", "ssd")
    }
    ranks = np.array(plain.ranks) * keep
    rows = tuple(map(tuple, ranks.tolist()))
    return Prices(ranks=rows, longest=tuple(longest), **pools)


@pytest.mark.parametrize("objective", BOTH)
@pytest.mark.parametrize("groups", CLUSTERS.values(), ids=CLUSTERS.keys())
def test_no_plan_is_below_random_prices(
    groups: list[Hosts], objective: Objective
) -> None:
    """On all kinds of clusters, with and without a threshold, and given an option."""
    rng = np.random.default_rng(5)
    compared = 0
    for seed in range(8):
        problem = roomy(seed, groups, objective)
        relaxed = Relaxed.of(problem)
        optimum, _ = brute_force(problem)
        if relaxed.has_empty_bundle or not math.isfinite(optimum):
            continue
        menu = problem.options
        best = []
        for option in relaxed.option:
            mine = menu.table != menu.table[option]
            mine[option] = True
            few = menu.select(np.flatnonzero(mine), problem.num_bundles)
            best.append(brute_force(replace(problem, options=few))[0])
        for _ in range(5):
            prices = random_longest(rng, relaxed)
            check_prices(prices, relaxed)
            for limit in (math.inf, 2.0 * optimum):
                box = Box.whole(relaxed.num_dimensions, limit)
                found = round_bound(relaxed, prices, box)
                assert found.value_s <= optimum * (1 + 1e-12)
                assert (found.given <= np.array(best) * (1 + 1e-12)).all()
                compared += 1
            value = replay(relaxed, (Case(rounds=(prices, prices)),), 1.5 * optimum)
            assert value <= optimum * (1 + 1e-12)
    assert compared >= 40


@pytest.mark.parametrize(
    ("longest", "why"),
    [
        ((0, 0, -1e-9), "none below 0"),
        ((0, 0, math.nan), "none below 0"),
        ((0, 0, math.inf), "none below 0"),
        ((2, 0, 0.1), "does not exist"),
        ((-1, 0, 0.1), "does not exist"),
        ((0, 6, 0.1), "does not exist"),
        ((0, -1, 0.1), "does not exist"),
    ],
)
def test_forged_prices_are_refused(longest: tuple[int, int, float], why: str) -> None:
    """Numbers that are none, or of nothing."""
    forged = NOTHING.model_copy(update={"longest": (longest,)})
    with pytest.raises(InvalidCertificateError, match=why):
        check_longest(forged, three_options(), 1e200)
    with pytest.raises(InvalidCertificateError, match=why):
        replay(three_options(), (Case.model_construct(rounds=(forged,)),), 1.0)


def test_more_than_a_phase_is_not_for_nothing() -> None:
    """Prices above 1 in a phase cost its whole range, or are refused without one."""
    relaxed = three_options()
    much = NOTHING.replace(longest=((0, 2, 0.75), (1, 2, 0.75)))
    with pytest.raises(InvalidCertificateError, match=r"phase 2 add up to 1 \+ 0.5"):
        round_bound(relaxed, much, Box.whole(6, math.inf))
    box = Box((0,) * 6, (1.0, 1.0, 2000 * US, 1.0, 1.0, 1.0), 1.0)
    value = 0.75 * (600 + 1000) + 0.75 * 1000 - 0.5 * 2000
    found = round_bound(relaxed, much, box).value_s
    assert found == pytest.approx(value * US, rel=1e-9)


def test_seconds_prove_nothing_about_memory() -> None:
    """A proof that nothing fits is about bytes alone."""
    timed = NOTHING.replace(longest=((0, 2, 0.5),))
    assert round_bound(three_options(), timed, Box.whole(6, math.inf)).value_s > 0
    assert not is_proof(three_options(), timed)


def test_files_without_them_stay_readable() -> None:
    """Certificates of earlier versions have no such prices; bad ones are no files."""
    data = NOTHING.model_dump(mode="json", exclude_defaults=True)
    assert "longest" not in data
    assert Prices.model_validate(data) == NOTHING
    for bad in ([[0, 0, -1.0]], [[-1, 0, 0.1]], [[0, 0]], [[0, 0.5, 0.1]]):
        with pytest.raises(ValidationError):
            Prices.model_validate({**data, "longest": bad})
