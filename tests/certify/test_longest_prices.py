"""The linear program of longest items: its value, its prices, and where it applies."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shardplan.certify import longest_prices
from shardplan.certify.dual import by_longest_items, lower_bound
from shardplan.certify.longest_prices import LongestProgram, longest_rounds
from shardplan.certify.params import ProofParams
from shardplan.certify.relaxed import Relaxed
from shardplan.certify.verify import Box, round_bound, verify
from shardplan.records.sharding import Objective
from tests.benchmarks.families import Family, family_problem
from tests.certify.test_dual import BOTH, CLUSTERS
from tests.certify.test_longest import roomy
from tests.certify.test_verify import US, menu
from tests.solvers.helpers import DP, TW, Hosts, brute_force


def test_the_value_of_the_program() -> None:
    """Of 3 ms and 1 ms on a rank each and 0.2 ms on all four, the first is slowest."""
    relaxed = menu(
        [[TW], [TW], [DP]], [{2: 3000}, {2: 1000, 3: 1000}, {2: 200}], [(0, 0, 0)] * 3
    )
    prices = LongestProgram(relaxed, 1e-3).solve(None)
    assert prices is not None
    found = round_bound(relaxed, prices, Box.whole(6, math.inf)).value_s
    assert found == pytest.approx((3200 + 1000) * US, rel=1e-6)
    assert {(bundle, phase) for bundle, phase, _ in prices.longest} == {(0, 2), (1, 3)}


@pytest.mark.parametrize("objective", BOTH)
@pytest.mark.parametrize("groups", CLUSTERS.values(), ids=CLUSTERS.keys())
def test_between_plain_prices_and_the_optimum(
    groups: list[Hosts], objective: Objective
) -> None:
    """A bound is no worse for them, true, and better somewhere."""
    gains = []
    for seed in range(10):
        problem = roomy(seed, groups, objective)
        relaxed = Relaxed.of(problem)
        optimum, _ = brute_force(problem)
        if relaxed.has_empty_bundle or not math.isfinite(optimum):
            continue
        first = lower_bound(problem, params=ProofParams(quick_tests=0))
        found = by_longest_items(problem, first, optimum, None, relaxed)
        assert first.value_s <= found.value_s <= optimum * (1 + 1e-12)
        assert verify(problem, found.certificate) == found.value_s
        gains.append(found.value_s / first.value_s)
    assert gains
    assert (max(gains) > 1.05) == (len(groups) == 1)


def test_where_it_does_not_apply() -> None:
    """Without a plan nothing is excluded; classes and large menus have other means."""
    one = Relaxed.of(roomy(2, CLUSTERS["two hosts"], Objective.STEP))
    mixed = Relaxed.of(roomy(2, CLUSTERS["two classes"], Objective.STEP))
    assert longest_rounds(one, math.inf, None) == ()
    assert longest_rounds(mixed, 1.0, None) == ()
    assert len(longest_rounds(one, 1.0, None)) == 1
    nothing = one.select(np.zeros(len(one), dtype=bool))
    assert longest_rounds(nothing, 1.0, None) == ()


def test_few_columns_prove_as_much_as_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large menu others come by price, until they promise nothing more."""
    for seed in range(2):
        problem = family_problem(Family.SSD, seed, 10, 4, Objective.STEP)
        relaxed = Relaxed.of(problem)
        limit = 10.0 * lower_bound(problem).value_s
        box = Box.whole(relaxed.num_dimensions, limit)
        columns = []
        solve = LongestProgram.solve

        def counted(program: LongestProgram, *args, solve=solve, columns=columns):
            columns.append(len(program._relaxed))
            return solve(program, *args)

        monkeypatch.setattr(LongestProgram, "solve", counted)
        found = []
        for most in (10**6, 0):
            monkeypatch.setattr(longest_prices, "_MOST_COLUMNS", most)
            prices = longest_prices._best_prices(relaxed, limit, None)
            assert prices is not None
            found.append(round_bound(relaxed, prices, box).value_s)
        monkeypatch.setattr(LongestProgram, "solve", solve)
        assert found[1] == pytest.approx(found[0], rel=5e-3)
        assert max(columns[1:]) < 0.5 * columns[0]


def test_short_memory_is_for_others_to_prove() -> None:
    """The program has no solution then, and says nothing."""
    relaxed = menu([[TW]], [{2: 1000}], [(100, 0, 0)])
    assert LongestProgram(relaxed, 1e-3).solve(None) is None
