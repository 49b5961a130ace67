"""What a bound sees of a problem, number by number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.certify.relaxed import Relaxed
from shardplan.records.sharding import Objective
from tests.solvers.helpers import (
    CW2,
    CW3,
    DP,
    RW2,
    TW,
    Hosts,
    Shape,
    make_problem,
    shapes_on,
)

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats

FAST_AND_SLOW = [Hosts(2, 2, 2), Hosts(1, 3, 3)]
"""Ranks 0 to 3 of class 0 on two hosts, 4 to 6 of class 1 on one."""


def seen(
    menus: list[list[Shape]],
    seconds: list[tuple[float, float]],
    tier_bytes: list[tuple[float, float, float]],
    *,
    allowed: dict[int, list[int]] | None = None,
    objective: Objective = Objective.STEP,
) -> Relaxed:
    """Relax a problem of two classes; an item has one number of seconds in each."""
    cost = np.zeros((len(seconds), 2, 6))
    cost[:, :, 2] = seconds
    masks = {t: np.isin(np.arange(7), ranks) for t, ranks in (allowed or {}).items()}
    room = (
        np.array([10.0, 12, 10, 10, 20, 30, 20]),
        np.array([5.0, 6, 9]),
        np.array([1.0, 2, 4]),
    )
    problem = make_problem(
        FAST_AND_SLOW,
        menus,
        cost,
        np.array(tier_bytes, dtype=float),
        room,
        allowed=masks,
        objective=objective,
    )
    return Relaxed.of(problem)


def priced(relaxed: Relaxed) -> list[float]:
    """Cost of every option if only phase 2 has a price, of 1 everywhere."""
    ranks = np.zeros((2, relaxed.num_dimensions))
    ranks[:, 2 % relaxed.num_dimensions] = 1.0
    return relaxed.priced(ranks, np.zeros((2, 3))).tolist()


def test_pools_of_classes() -> None:
    """Tiers are summed up per class; the largest rank is remembered."""
    relaxed = seen([[TW]], [(1, 2)], [(1, 0, 0)])
    assert relaxed.room.tolist() == [[42, 11, 3], [70, 9, 4]]
    assert relaxed.largest_hbm.tolist() == [12, 30]
    assert relaxed.class_ranks.tolist() == [4, 3]
    assert relaxed.items.legal is None


def test_copies_and_places() -> None:
    """Ranks over all places, and how many copies some place must take."""
    host = next(s for s in shapes_on([Hosts(2, 2, 2)]) if s.counts == (1, 1))
    menus = [[TW, CW3, RW2, host, DP]]
    many = Shape(CW2.sharding_type, CW2.scope, (9,))
    relaxed = seen([*menus, [many]], [(1, 1)] * 8, [(0, 0, 0)] * 8)
    # Whole; one and two columns; two row shards; a grid on hosts; everywhere; nine.
    assert relaxed.items.times.tolist() == [1, 1, 2, 2, 2, 2, 1, 9]
    assert relaxed.items.stacked.tolist() == [1, 1, 1, 1, 1, 1, 1, 2]  # 9 on 7 ranks
    assert relaxed.items.everywhere.tolist() == [False] * 6 + [True, False]
    assert relaxed.items.per_rank.tolist() == [1, 1, 2, 1, 1, 1, 1, 9]


def test_an_item_goes_where_it_is_cheapest() -> None:
    """On the better class; an item of every rank is on all seven."""
    relaxed = seen([[TW, CW3], [DP]], [(3, 2), (1, 5), (2, 1), (1, 2)], [(0, 0, 0)] * 4)
    assert priced(relaxed) == [2, 1 + 2 * 1, 4 * 1 + 3 * 2]
    weights = np.eye(6)[2]
    assert relaxed.peak(weights).tolist() == [2, 1, 2]  # a copy on each: the slowest
    assert relaxed.base(weights).tolist() == [0, 0, 1]  # and the fastest
    low = np.zeros(6)
    low[2] = 1.5
    assert relaxed.peak(weights, low).tolist() == [0.5, 0, 0.5]
    low[2], low[3] = 0.0, 1.0  # of a phase without weight
    assert relaxed.peak(weights, low).tolist() == [2, 1, 2]


def test_pinned_tables_stay_in_their_class() -> None:
    """Ranks that a table may be on decide which classes it sees; others do not."""
    relaxed = seen(
        [[TW, CW2], [TW], [TW, DP]],
        [(1, 9), (1, 9), (1, 9), (9, 1), (1, 9)],
        [(0, 0, 0)] * 5,
        allowed={0: [5, 6], 1: [0, 4], 2: list(range(7))},
    )
    assert relaxed.items.legal is not None
    assert relaxed.items.legal[:4].tolist() == [
        [False, True],
        [False, True],
        [True, True],
        [True, True],
    ]
    assert priced(relaxed) == [9, 2 * 9, 1, 1, 4 * 1 + 3 * 9]


def test_pinned_tables_of_one_class_stack() -> None:
    """Three copies on the two ranks that are allowed: one takes two."""
    three = Shape(CW2.sharding_type, CW2.scope, (3,))
    relaxed = seen(
        [[three], [three]], [(1, 1)] * 2, [(0, 0, 0)] * 2, allowed={0: [0, 5]}
    )
    assert relaxed.items.stacked.tolist() == [2, 1]


def test_items_that_fit_one_class_alone() -> None:
    """25 bytes of HBM fit a rank of class 1; 12 fit the largest of class 0 exactly."""
    relaxed = seen(
        [[TW], [TW], [TW]], [(1, 9)] * 3, [(25, 0, 0), (12, 0, 0), (12, 8, 0)]
    )
    assert relaxed.items.legal is not None
    assert relaxed.items.legal.tolist() == [[False, True], [True, True], [False, True]]
    assert priced(relaxed) == [9, 1, 9]


def test_options_that_fit_nowhere_are_left_out() -> None:
    """An item larger than any rank, or that takes forever in every class."""
    relaxed = seen(
        [[TW, CW2], [TW, TW], [DP, TW]],
        [(1, 1), (1, 1), (math.inf, math.inf), (math.inf, 2), (1, math.inf), (1, 1)],
        [(31, 0, 0), (16, 0, 0), (1, 0, 0), (1, 0, 0), (1, 0, 0), (1, 0, 0)],
    )
    assert relaxed.option.tolist() == [1, 3, 5]
    assert relaxed.start.tolist() == [0, 1, 2, 3]
    assert relaxed.items.item.tolist() == [1, 3, 5]
    assert not relaxed.has_empty_bundle
    assert np.isfinite(relaxed.items.cost).all()
    assert priced(relaxed) == [2, 2, 1]


def test_a_bundle_may_lose_all_its_options() -> None:
    """Then nothing is left of it, and of the others what was."""
    relaxed = seen([[TW], [TW, CW3], [DP]], [(1, 1)] * 5, [(0, 0, 0)] * 5)
    assert relaxed.num_bundles == 3
    some = relaxed.select(np.array([True, False, False, True]))
    assert some.has_empty_bundle
    assert not relaxed.has_empty_bundle
    assert some.start.tolist() == [0, 1, 1, 2]
    assert some.items.item.tolist() == [0, 4]
    assert some.items.start.tolist() == [0, 1, 2]
    assert some.bundle.tolist() == [0, 2]
    least = some.least_per_bundle(np.array([3.0, 5.0])).tolist()
    assert least == [3.0, math.inf, 5.0]
    assert some.select(np.array([True, True])) is some
    again = some.select(np.array([False, True]))
    assert again.start.tolist() == [0, 0, 0, 1]
    assert again.items.item.tolist() == [4]


def test_the_slowest_rank_sees_sums_of_phases() -> None:
    """For `max-rank` there is one dimension of time."""
    relaxed = seen([[TW]], [(1, 2)], [(0, 0, 0)], objective=Objective.MAX_RANK)
    assert relaxed.items.cost.tolist() == [[[1.0], [2.0]]]
    assert seen([[TW]], [(1, 2)], [(0, 0, 0)]).num_dimensions == 6


@pytest.mark.parametrize("tier", range(3))
def test_bytes_have_prices_by_class(tier: int) -> None:
    """Of two classes the one with the cheaper sum of seconds and bytes counts."""
    size = tuple(float(tier == other) for other in range(3))
    relaxed = seen([[TW]], [(4, 1)], [size])
    per_byte = np.zeros((2, 3))
    per_byte[1, tier] = 0.5
    ranks = np.zeros((2, 6))
    ranks[:, 2] = 1.0
    assert relaxed.priced(ranks, per_byte).tolist() == [1 + 0.5]
    per_byte[1, tier] = 4.0
    assert relaxed.priced(ranks, per_byte).tolist() == [4]


def test_what_is_known_is_looked_up() -> None:
    """By the options that were selected; on their own they know what they knew."""
    menu = [[TW, CW2], [TW, CW3]]
    whole = seen(menu, [(n, n) for n in range(1, 6)], [(0, 0, 0)] * 5)
    calls: list[int] = []

    def longest(relaxed: Relaxed) -> list[float]:
        def work_out() -> Floats:
            calls.append(len(relaxed))
            return relaxed.peak(np.eye(6)[2])

        return relaxed.known("longest", work_out).tolist()

    some = whole.select(np.array([True, False, True, True]))
    last = some.select(np.array([False, True, True]))
    assert longest(whole) == [1, 2, 3, 5]
    assert (longest(some), longest(last), calls) == ([1, 3, 5], [3, 5], [4])
    alone = last.alone()
    assert (longest(alone), calls) == ([3, 5], [4])
    other = whole.select(np.array([False, True, True, True])).alone()
    assert (longest(other), calls) == ([2, 3, 5], [4, 3])
    assert alone.items.cost.tolist() == last.items.cost.tolist()
