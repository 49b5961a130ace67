"""Lower bounds against brute force, linear programs and exact fractions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.optimize import linprog

from shardplan.certify.dual import Bound, lower_bound, strengthen
from shardplan.certify.params import ProofParams
from shardplan.certify.patterns import Choices
from shardplan.certify.relaxed import Relaxed
from shardplan.certify.rounds import best_prices
from shardplan.certify.verify import Box, replay, round_bound, verify
from shardplan.records.certificate import Case
from shardplan.records.sharding import SUMS, Objective, Target
from tests.benchmarks.instances import random_problem
from tests.solvers.helpers import TW, Hosts, brute_force, make_problem, toy_problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.certify.patterns import ItemPrices, Pattern
    from shardplan.problems.problem import Problem
    from shardplan.records.certificate import Prices

    Floats = NDArray[np.float64]

CLUSTERS = {
    "one host": [Hosts(1, 2, 2)],
    "two hosts": [Hosts(2, 2, 2)],
    "three ranks": [Hosts(3, 1, 1)],
    "domain over hosts": [Hosts(2, 1, 2)],
    "two classes": [Hosts(1, 2, 2), Hosts(1, 1, 1)],
    "classes of one shape": [Hosts(1, 2, 2), Hosts(1, 2, 1)],
}
BOTH = SUMS


FILLS = (0.02, 0.1, 0.25, 0.6)
"""Bytes of all tables over those of the cluster."""


def draw(seed: int, groups: list[Hosts], objective: Objective) -> Problem:
    """A tiny problem, from roomy to infeasible: most have a plan."""
    rng = np.random.default_rng(seed)
    fill, tables = float(rng.choice(FILLS)), int(rng.integers(1, 4))
    target = Target.TORCHREC if seed % 2 else Target.ANY
    return toy_problem(
        rng, tables, groups, fill=fill, objective=objective, target=target
    )


def bounds(problem: Problem, optimum: float) -> list[Bound]:
    """The quick bound, and stronger ones with and without a known plan."""
    quick = lower_bound(problem)
    known = strengthen(problem, quick, optimum)
    return [quick, strengthen(problem, quick), known, lower_bound(problem, optimum)]


@pytest.mark.parametrize("objective", BOTH)
@pytest.mark.parametrize("groups", CLUSTERS.values(), ids=CLUSTERS.keys())
def test_never_above_the_optimum(groups: list[Hosts], objective: Objective) -> None:
    """No bound exceeds what brute force finds, with every constraint and scope."""
    for seed in range(4):
        problem = draw(seed, groups, objective)
        optimum, _ = brute_force(problem)
        for bound in bounds(problem, optimum):
            assert bound.value_s <= optimum * (1 + 1e-12)
            assert verify(problem, bound.certificate) == pytest.approx(
                bound.value_s, rel=1e-12
            )


@pytest.mark.slow
def test_cases_are_needed_and_valid() -> None:
    """Splits by a phase's slowest rank occur in tiny problems, and stay below."""
    split = 0
    for seed in range(4):
        problem = draw(100 + seed, CLUSTERS["two hosts"], Objective.STEP)
        optimum, _ = brute_force(problem)
        for bound in bounds(problem, optimum):
            split += len(bound.certificate.cases) > 1
            assert bound.value_s <= optimum * (1 + 1e-12)
    assert split > 0


def test_stronger_is_not_weaker() -> None:
    """More work never loses ground, and gains some."""
    gains = 0
    for seed in range(10):
        problem = draw(seed, CLUSTERS["one host"], Objective.STEP)
        quick = lower_bound(problem)
        strong = strengthen(problem, quick)
        assert strong.value_s >= quick.value_s
        gains += strong.value_s > quick.value_s * (1 + 1e-6)
    assert gains > 0


@pytest.mark.parametrize(("most_work", "least", "most"), [(0, 1, 2), (10**8, 20, 2000)])
def test_patterns_cost_work(
    most_work: int, least: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With little of it few are looked at, and what is found is proven all the same."""
    problem = random_problem(3, 6, 4, objective=Objective.STEP)
    quick, dearest, calls = lower_bound(problem), Choices.dearest, []

    def counted(choices: Choices, prices: ItemPrices) -> tuple[float, Pattern]:
        calls.append(prices)
        return dearest(choices, prices)

    with monkeypatch.context() as patch:
        patch.setattr(Choices, "dearest", counted)
        params = ProofParams(most_work=most_work, cases=False)
        bound = strengthen(problem, quick, params=params)
    assert least <= len(calls) <= most
    assert verify(problem, bound.certificate) == bound.value_s >= quick.value_s


def test_one_large_table_is_the_bound() -> None:
    """What a table cannot avoid is found: 3 ms on one of four ranks, not 0.75 ms."""
    cost = np.zeros((1, 1, 6))
    cost[0, 0, 2:4] = (1e-3, 2e-3)
    plenty = (np.full(4, 1.0), np.full(2, 1.0), np.full(2, 1.0))
    for objective in BOTH:
        problem = make_problem(
            [Hosts(2, 2, 2)],
            [[TW]],
            cost,
            np.zeros((1, 3)),
            plenty,
            objective=objective,
        )
        bound = lower_bound(problem)
        # Within the search's sharpness (2e-5), or exactly where it is refuted.
        assert 3e-3 * (1 - 3e-4) <= strengthen(problem, bound, 3e-3).value_s <= 3e-3


def linear_program(problem: Problem) -> float:
    """The relaxation over classes, solved by an independent LP solver.

    Variables: x[option, item, class] copies x ranks per place, x[option], M[d].
    """
    relaxed = Relaxed.of(problem)
    options, classes = len(relaxed), relaxed.num_classes
    dims = relaxed.num_dimensions
    items = int(relaxed.items.start[-1])
    size = options + items * classes + dims
    at = options + np.arange(items * classes).reshape(items, classes)
    loads = np.zeros((classes * dims, size))
    pools = np.zeros((classes * 3, size))
    balance = np.zeros((items, size))
    sums = np.zeros((relaxed.num_bundles, size))
    sums[relaxed.bundle, np.arange(options)] = 1.0
    upper = np.full(size, np.inf)
    for item, option in enumerate(
        np.repeat(range(options), np.diff(relaxed.items.start))
    ):
        weights = np.ones(classes)
        if relaxed.items.everywhere[item]:
            weights = relaxed.class_ranks.astype(float)
            for k in range(classes):  # the same copies on every class
                loads[k * dims : (k + 1) * dims, option] += (
                    relaxed.items.times[item] * weights[k] * relaxed.items.cost[item, k]
                )
                pools[k * 3 : k * 3 + 3, option] += (
                    relaxed.items.times[item]
                    * weights[k]
                    * relaxed.items.tier_bytes[item]
                )
            upper[at[item]] = 0.0
            continue
        balance[item, option] = -relaxed.items.times[item]
        balance[item, at[item]] = 1.0
        for k in range(classes):
            loads[k * dims : (k + 1) * dims, at[item, k]] = relaxed.items.cost[item, k]
            pools[k * 3 : k * 3 + 3, at[item, k]] = relaxed.items.tier_bytes[item]
            if relaxed.items.legal is not None and not relaxed.items.legal[item, k]:
                upper[at[item, k]] = 0.0
    for k in range(classes):
        rows = loads[k * dims : (k + 1) * dims]
        rows[:, size - dims :] = -np.eye(dims) * relaxed.class_ranks[k]
    scale = np.maximum(relaxed.room.ravel(), 1.0)
    found = linprog(
        np.r_[np.zeros(size - dims), np.ones(dims)] * 1e3,
        A_ub=np.vstack([loads * 1e3, pools / scale[:, None]]),
        b_ub=np.r_[np.zeros(len(loads)), relaxed.room.ravel() / scale],
        A_eq=np.vstack([sums, balance]),
        b_eq=np.r_[np.ones(len(sums)), np.zeros(items)],
        bounds=list(zip(np.zeros(size), upper, strict=True)),
    )
    return found.fun / 1e3 if found.status == 0 else np.inf


@pytest.mark.parametrize("objective", BOTH)
@pytest.mark.parametrize("groups", CLUSTERS.values(), ids=CLUSTERS.keys())
def test_plain_prices_solve_the_linear_program(
    groups: list[Hosts], objective: Objective
) -> None:
    """Without a threshold, the best prices reach the value of the LP."""
    compared = 0
    for seed in range(6):
        problem = draw(seed, groups, objective)
        relaxed = Relaxed.of(problem)
        expected = linear_program(problem)
        if relaxed.has_empty_bundle or not np.isfinite(expected):
            continue
        value = replay(relaxed, (Case(rounds=(best_prices(relaxed),)),), float("inf"))
        assert value == pytest.approx(expected, rel=2e-5)
        assert value <= expected * (1 + 1e-6)
        compared += 1
    assert compared > 0


def exact_round(relaxed: Relaxed, prices: Prices) -> Fraction:
    """The bound of one round without threshold, in rational numbers."""
    per_byte = list(zip(prices.hbm, prices.ddr, prices.ssd, strict=True))
    total = Fraction(0)
    for bundle in range(relaxed.num_bundles):
        costs = []
        for option in range(relaxed.start[bundle], relaxed.start[bundle + 1]):
            cost = Fraction(0)
            for item in range(
                relaxed.items.start[option], relaxed.items.start[option + 1]
            ):
                priced = [
                    sum(
                        Fraction(float(u)) * Fraction(float(c))
                        for u, c in zip(
                            [*prices.ranks[k], *per_byte[k]],
                            [
                                *relaxed.items.cost[item, k],
                                *relaxed.items.tier_bytes[item],
                            ],
                            strict=True,
                        )
                    )
                    for k in range(relaxed.num_classes)
                ]
                if relaxed.items.everywhere[item]:
                    one = sum(
                        int(n) * p
                        for n, p in zip(relaxed.class_ranks, priced, strict=True)
                    )
                else:
                    legal = (
                        np.ones(len(priced), dtype=bool)
                        if relaxed.items.legal is None
                        else relaxed.items.legal[item]
                    )
                    one = min(p for p, ok in zip(priced, legal, strict=True) if ok)
                cost += Fraction(float(relaxed.items.times[item])) * one
            costs.append(cost)
        total += min(costs)
    for k in range(relaxed.num_classes):
        for price, room in zip(per_byte[k], relaxed.room[k], strict=True):
            total -= Fraction(float(price)) * Fraction(float(room))
    return total


@pytest.mark.parametrize("objective", BOTH)
@pytest.mark.parametrize("groups", CLUSTERS.values(), ids=CLUSTERS.keys())
def test_rounding_is_outward(groups: list[Hosts], objective: Objective) -> None:
    """A round's value is just below its exact value in rational numbers."""
    rng = np.random.default_rng(7)
    compared = 0
    for seed in range(8):
        relaxed = Relaxed.of(draw(seed, groups, objective))
        if relaxed.has_empty_bundle:
            continue
        prices = best_prices(relaxed)
        noisy = [p * float(rng.uniform(0.5, 1.5)) for p in prices.hbm]
        for some in (prices, prices.replace(hbm=tuple(noisy))):
            box = Box.whole(relaxed.num_dimensions, float("inf"))
            found = round_bound(relaxed, some, box).value_s
            exact = exact_round(relaxed, some)
            if exact <= 0:
                assert found == 0.0
                continue
            assert Fraction(found) <= exact
            assert found == pytest.approx(float(exact), rel=1e-9, abs=1e-12)
            compared += 1
    assert compared > 0


def test_a_higher_threshold_excludes_no_more() -> None:
    """What is left of the menu grows with the threshold, and the bound shrinks."""
    relaxed = Relaxed.of(draw(3, CLUSTERS["two hosts"], Objective.STEP))
    prices = best_prices(relaxed)
    values = []
    for limit in np.geomspace(1e-4, 1e-1, 30):
        box = Box.whole(relaxed.num_dimensions, float(limit))
        bound = round_bound(relaxed, prices, box)
        values.append(replay(relaxed, (Case(rounds=(prices, prices)),), float(limit)))
        assert bound.value_s == round_bound(relaxed, prices, box).value_s
    capped = np.minimum(values, values[-1])
    assert (np.diff(capped) >= -1e-15).all()


def test_no_options_is_an_infinite_bound() -> None:
    """A bundle without options has no plan, so every value is a bound."""
    problem = draw(0, CLUSTERS["one host"], Objective.STEP)
    empty = problem.options.select(np.flatnonzero(problem.options.table > 0), 3)
    broken = replace(problem, options=empty)
    assert lower_bound(broken).value_s == float("inf")


def test_mid_size_problem_is_bounded_well() -> None:
    """At 60 tables on 16 ranks the bound and a greedy plan are close (max-rank)."""
    from shardplan.solvers.base import Silent, Stop
    from shardplan.solvers.registry import load_solver

    problem = random_problem(0, 60, 16, objective=Objective.MAX_RANK)
    plan = load_solver("greedy").solve(problem, Stop(), 0, Silent()).assignment
    assert plan is not None
    bound = lower_bound(problem)
    assert bound.value_s <= problem.value(plan) <= 1.1 * bound.value_s
    assert bound.byte_prices.shape == (1, 3)
    assert bound.rank_prices == pytest.approx(1 / 16)


def test_large_menus_lose_little() -> None:
    """Where a menu is large, options that hardly matter are left out: 1.2 %."""
    problem = random_problem(1, 20, 8, objective=Objective.STEP)
    whole = lower_bound(problem).value_s
    params = ProofParams.model_validate({"refuting": {"thorough_options": 0}})
    few = lower_bound(problem, params=params).value_s
    assert 0.98 * whole <= few < whole


def test_same_problem_same_certificate() -> None:
    """The search has no randomness."""
    problem = draw(5, CLUSTERS["two classes"], Objective.STEP)
    first, second = (strengthen(problem, lower_bound(problem)) for _ in range(2))
    assert first.certificate == second.certificate


@pytest.mark.parametrize("part", ["cases", "patterns"])
def test_parts_of_the_proof(part: str) -> None:
    """A bound without cases, or without patterns, is proven by the other means."""
    problem = random_problem(3, 6, 4, objective=Objective.STEP)
    params = ProofParams.model_validate({part: False})
    bound = strengthen(problem, lower_bound(problem), params=params)
    assert verify(problem, bound.certificate) == bound.value_s
    cases = bound.certificate.cases
    used = {"cases": len(cases) > 1, "patterns": any(c.patterns for c in cases)}
    assert not used[part]


def test_numbers_of_the_search_prove_nothing() -> None:
    """However little is looked at, what is found is verified and below the best."""
    problem = random_problem(3, 6, 4, objective=Objective.STEP)
    usual = strengthen(problem, lower_bound(problem))
    little = ProofParams.model_validate(
        {
            "most_work": 0,
            "quick_tests": 0,
            "cutting_planes": {"most_steps": 1},
            "tree": {"most_cases": 1},
            "pattern_prices": {"most_steps": 1, "most_pricings": 1},
        }
    )
    bound = strengthen(problem, lower_bound(problem, params=little), params=little)
    assert verify(problem, bound.certificate) == bound.value_s
    assert 0.0 < bound.value_s < usual.value_s
