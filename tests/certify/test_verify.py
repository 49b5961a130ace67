"""Rounds of a proof, number by number: by hand, with its margins, and their limits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.certify.menus import InvalidCertificateError
from shardplan.certify.relaxed import Relaxed
from shardplan.certify.verify import (
    Box,
    check_patterns,
    check_prices,
    is_refuted,
    open_menu,
    replay,
    round_bound,
)
from shardplan.records.certificate import Case, PatternPrices, Prices
from shardplan.records.sharding import Objective
from tests.solvers.helpers import CW3, DP, TW, Hosts, Shape, make_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

US = 1e-6
FOUR = [Hosts(2, 2, 2)]
CERTAIN = 1e-12
"""The margins of doubles are far below this, relatively."""


def menu(
    shapes: Sequence[Sequence[Shape]],
    seconds: Sequence[dict[int, float]],
    tier_bytes: Sequence[tuple[float, float, float]],
) -> Relaxed:
    """Four ranks of 10 bytes of HBM on two hosts of 5 bytes of DDR.

    Parameters
    ----------
    seconds : sequence of dict
        Of every item: microseconds by phase.
    """
    cost = np.zeros((len(seconds), 1, 6))
    for item, phases in enumerate(seconds):
        for phase, us in phases.items():
            cost[item, 0, phase] = us * US
    room = (np.full(4, 10.0), np.full(2, 5.0), np.full(2, 7.0))
    return Relaxed.of(make_problem(FOUR, shapes, cost, np.array(tier_bytes), room))


def three_options() -> Relaxed:
    """One table whole or in three parts, and one that is on every rank."""
    return menu(
        [[TW, CW3], [DP]],
        [{2: 1000, 3: 2000}, {2: 600, 3: 1100}, {2: 300, 3: 500}, {2: 1000}],
        [(8, 0, 0), (4, 2, 0), (2, 0, 0), (1, 0, 0)],
    )


PRICES = Prices(
    ranks=((0.0, 0.0, 0.1, 0.25, 0.0, 0.3),), hbm=(10 * US,), ddr=(20 * US,), ssd=(0.0,)
)
"""Of the phases 40 %, all and 120 % are priced, of three others nothing."""
# Whole: 0.1 x 1000 + 0.25 x 2000 + 8 x 10. In parts: (60 + 275 + 40 + 40) once and
# (30 + 125 + 20) twice. On all four ranks: 100 + 10 each.
WHOLE, PARTS, EVERY = 680.0, 765.0, 440.0
ROOM = 40 * 10 + 10 * 20.0
LOSS = 0.2 * 3000
HIGH = (1.0, 1.0, 1.0, 1.0, 1.0, 3000 * US)


def test_a_round_by_hand() -> None:
    """What is left over of phase 2 is 60 %: the least on all ranks, or an item."""
    box = Box((100 * US, 0, 0, 0, 0, 0), HIGH, 1.0)
    found = round_bound(three_options(), PRICES, box)
    value = WHOLE + (EVERY + 600) + 100 - ROOM - LOSS
    assert found.value_s == pytest.approx(value * US, rel=CERTAIN)
    given = [value + 600, value + (PARTS + 360) - WHOLE, value]
    assert found.given == pytest.approx(np.array(given) * US, rel=CERTAIN)


def test_a_round_in_a_case_by_hand() -> None:
    """Phase 2 takes 800 us at least: only what is above counts, and on one rank."""
    box = Box((100 * US, 0, 800 * US, 0, 0, 0), HIGH, 1.0)
    found = round_bound(three_options(), PRICES, box)
    value = WHOLE + EVERY + 100 + 0.6 * 800 - ROOM - LOSS
    assert found.value_s == pytest.approx(value * US, rel=CERTAIN)
    given = [value + 0.6 * 200, value + PARTS - WHOLE, value + 0.6 * 200]
    assert found.given == pytest.approx(np.array(given) * US, rel=CERTAIN)


def test_without_a_threshold_only_prices_count() -> None:
    """All plans are bounded, whatever their slowest rank does."""
    relaxed = three_options()
    box = Box.whole(6, math.inf)
    full = PRICES.replace(ranks=((0.0, 0.0, 0.1, 0.25, 0.0, 0.25),), ddr=(0.0,))
    found = round_bound(relaxed, full, box)
    value = WHOLE + EVERY - 400
    assert found.value_s == pytest.approx(value * US, rel=CERTAIN)
    parts = PARTS - 40 - WHOLE  # the first part's DDR is free
    assert found.given == pytest.approx(
        np.array([value, value + parts, value]) * US, rel=CERTAIN
    )
    with pytest.raises(InvalidCertificateError, match=r"phase 5 add up to 1 \+ 0.2"):
        round_bound(relaxed, PRICES, box)


ROUNDOFF = 2.0**-20


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let numbers have 20 bits in the eyes of the proof, so that margins show."""
    monkeypatch.setattr("shardplan.certify.verify._ROUNDOFF", ROUNDOFF)


@pytest.mark.usefixtures("coarse")
def test_margins_are_outward_by_hand() -> None:
    """Costs and gains are scaled down, room and losses up, each by its error.

    An option has two items and one class of six phases, whose prices are summed with
    those of three tiers: 64 + 8 (9 + 2) operations. Two items of two copies in each
    of two bundles are the additions of a plan's own bytes.
    """
    box = Box((100 * US, 0, 0, 0, 0, 0), HIGH, 1.0)
    found = round_bound(three_options(), PRICES, box)
    margin, own_bytes = (64 + 8 * (9 + 2)) * ROUNDOFF, 8 * ROUNDOFF
    left, up = 1 - 2 * ROUNDOFF, 1 + 8 * ROUNDOFF
    total = WHOLE + EVERY + 600 * left
    gain, loss = 100 * left / up, LOSS * up
    room = ROOM * (1 + margin + own_bytes)
    value = total * (1 - margin) + gain - room - loss
    assert found.value_s == pytest.approx(value * US, rel=CERTAIN)
    own = np.array([WHOLE + 600 * left, PARTS + 360 * left, EVERY + 600 * left])
    extra = own - np.array([WHOLE, WHOLE, EVERY + 600 * left])
    slack = margin * (total + room + gain + loss + own)
    assert found.given == pytest.approx((value + extra - slack) * US, rel=CERTAIN)


@pytest.mark.usefixtures("coarse")
def test_margins_of_one_item() -> None:
    """One item on one rank: 64 + 8 (9 + 1) operations, and one addition of bytes."""
    relaxed = menu([[TW]], [{2: 1000}], [(8, 0, 0)])
    found = round_bound(relaxed, PRICES.replace(ddr=(0.0,)), Box((0,) * 6, HIGH, 1.0))
    margin = (64 + 8 * (9 + 1)) * ROUNDOFF
    total, loss = 100 + 80, LOSS * (1 + 8 * ROUNDOFF)
    own = 180 + 600 * (1 - 2 * ROUNDOFF)
    room = 400 * (1 + margin + ROUNDOFF)
    value = total * (1 - margin) - room - loss  # below 0: as a bound that is 0
    assert found.value_s == 0.0
    slack = margin * (total + room + loss + own)
    given = value + own - total - slack
    assert found.given == pytest.approx([given * US], rel=CERTAIN)


def test_options_too_long_for_a_case() -> None:
    """An item and what other phases take at least, or an item of a phase alone."""
    relaxed = three_options()

    def left(box: Box, below: int | None = None) -> list[int]:
        return open_menu(relaxed, box, below).option.tolist()

    whole = Box.whole(6, 1.0)
    assert left(whole) == [0, 1, 2]
    # The whole table takes 3000 us, its largest part 1700, the other one 1000.
    assert left(whole._replace(limit=3001 * US)) == [0, 1, 2]
    assert left(whole._replace(limit=2999 * US)) == [1, 2]
    assert left(whole._replace(limit=1701 * US)) == [1, 2]
    assert left(whole._replace(limit=1699 * US)) == [2]
    # If phase 0 takes 500 us at least, 500 us are added; 800 us of phase 2 are not
    # added to what takes that long itself.
    low = whole.above(0, 500 * US)
    assert left(low._replace(limit=3501 * US)) == [0, 1, 2]
    assert left(low._replace(limit=3499 * US)) == [1, 2]
    low = whole.above(2, 800 * US)
    assert left(low._replace(limit=3001 * US)) == [0, 1, 2]
    assert left(low._replace(limit=2999 * US)) == [1, 2]
    # An item of 1000 us of phase 2 is too long for at most 999 us of it.
    assert left(whole.below(2, 1000 * US), 2) == [0, 1, 2]
    assert left(whole.below(2, 999 * US), 2) == [1]
    assert left(whole.below(2, 999 * US)) == [0, 1, 2]
    assert left(Box.whole(6, math.inf).below(2, 999 * US), 2) == [0, 1, 2]


def test_boxes_only_shrink() -> None:
    """A case never forgets what was known before it."""
    box = Box.whole(2, 5.0)
    assert box == ((0.0, 0.0), (5.0, 5.0), 5.0)
    assert box.below(1, 3.0).below(1, 4.0).high == (5.0, 3.0)
    assert box.above(0, 2.0).above(0, 1.0).low == (2.0, 0.0)


def leaf(*ranks: float) -> Case:
    """A case of one round, with these prices of the last phases."""
    row = (0.0,) * (6 - len(ranks)) + ranks
    prices = Prices(ranks=(row,), hbm=(0.0,), ddr=(0.0,), ssd=(0.0,))
    return Case(rounds=(prices,))


def test_cases_of_a_proof() -> None:
    """The smaller case counts, and both begin with what was proven before."""
    relaxed = menu([[TW], [TW]], [{4: 1000, 5: 2000}] * 2, [(1, 0, 0)] * 2)
    limit = 1.0
    everything = leaf(0.25, 0.25)  # (3000 + 3000) / 4
    assert replay(relaxed, (everything,), limit) == pytest.approx(1500 * US)
    nothing = Case()
    assert replay(relaxed, (nothing,), limit) == 0.0
    split = everything.replace(phase=5, at_s=1999 * US)
    # Below 1999 us of phase 5 there is no option at all; above, the parent's bound.
    proven = replay(relaxed, (split, nothing, nothing), limit)
    assert proven == pytest.approx(1500 * US)
    # At least 2500 us of phase 5, and a quarter of the 2 x 1000 us of phase 4.
    split = everything.replace(phase=5, at_s=2500 * US)
    high = leaf(0.25, 0.0)
    assert replay(relaxed, (split, nothing, high), limit) == pytest.approx(1500 * US)
    # The case below 1999 us is empty, so the other one is all there is.
    split = Case(phase=5, at_s=1999 * US)
    proven = replay(relaxed, (split, nothing, high), limit)
    assert proven == pytest.approx((1999 + 500) * US)
    # The case below comes first.
    split = Case(phase=5, at_s=2500 * US)
    assert replay(relaxed, (split, everything, high), limit) == pytest.approx(1500 * US)
    assert replay(relaxed, (split, high, everything), limit) == pytest.approx(500 * US)
    # Both phases exist, and times from 0 on.
    for phase, at_s in ((0, 0.0), (5, 0.0), (5, 1e200)):
        edge = nothing.replace(phase=phase, at_s=at_s)
        assert replay(relaxed, (edge, everything, everything), limit) > 0.0
    for phase, at_s in ((6, 0.0), (5, 1.1e200)):
        edge = nothing.model_copy(update={"phase": phase, "at_s": at_s})
        with pytest.raises(InvalidCertificateError, match="a split is by a phase"):
            replay(relaxed, (edge, everything, everything), limit)


def test_a_later_round_sees_a_smaller_menu() -> None:
    """The first round leaves out what the limit excludes; then less is cheap."""
    relaxed = menu([[TW, TW]], [{4: 1000}, {5: 3000}], [(1, 0, 0), (1, 0, 0)])
    both = leaf(0.25, 0.25)
    alone = Case(rounds=leaf(0.0, 0.0).rounds + leaf(0.0, 0.0).rounds)
    assert replay(relaxed, (both,), 10.0) == pytest.approx(250 * US)
    # Below 900 us neither option is left; below 2000 us only the first one.
    assert replay(relaxed, (alone,), 900 * US) == 900 * US
    assert replay(relaxed, (alone,), 2000 * US) == 0.0
    # Without a limit nothing may be left out.
    assert replay(relaxed, (both,), math.inf) == pytest.approx(250 * US)


def test_the_edge_of_legal_prices() -> None:
    """From 0 to 1e200, and of every class, phase and pool."""
    relaxed = three_options()
    row = (1.0,) * 6
    good = Prices(ranks=(row,), hbm=(0.0,), ddr=(1e200,), ssd=(1.0,))
    check_prices(good, relaxed)
    for broken in (
        {"ranks": ()},
        {"ranks": (row, row)},
        {"ranks": (row[:5],)},
        {"hbm": ()},
        {"ddr": (1.1e200,)},
        {"ssd": (1.0, 1.0)},
        {"ssd": (-0.5,)},
    ):
        with pytest.raises(InvalidCertificateError):
            check_prices(good.model_copy(update=broken), relaxed)
    items = PatternPrices(items=(0, 1), prices=(0.0, 1e200), ddr=1e200)
    check_patterns(items, relaxed, 1.0)
    for broken in ({"prices": (0.0, 1.1e200)}, {"prices": (-0.5, 1.0)}, {"ssd": -0.5}):
        with pytest.raises(InvalidCertificateError, match="none below 0"):
            check_patterns(items.model_copy(update=broken), relaxed, 1.0)


def patterns(items: float, ddr: float = 0.0, ssd: float = 0.0) -> PatternPrices:
    """The same price for each of three items; the fourth has none."""
    return PatternPrices(items=(0, 1, 2), prices=(items,) * 3, ddr=ddr, ssd=ssd)


@pytest.mark.usefixtures("coarse")
def test_prices_of_items_by_hand() -> None:
    """Four tables of 6 us on four ranks: in less than 10 us a rank holds one.

    Three tables have a price of 1. Four ranks hold 4 at most. DDR and SSD have 10 and
    14 bytes, of which every table takes 4 and 7.
    """
    cost = np.zeros((4, 1, 6))
    cost[:, 0, 2] = 6 * US
    room = (np.full(4, 10.0), np.full(2, 5.0), np.full(2, 7.0))
    problem = make_problem(
        FOUR, [[TW]] * 4, cost, np.full((4, 3), (1.0, 4.0, 7.0)), room,
        objective=Objective.MAX_RANK,
    )  # fmt: skip
    relaxed = Relaxed.of(problem)
    limit = 10 * US
    assert not is_refuted(relaxed, patterns(1.0), limit)  # 3 on 4 ranks
    # 3 + 4 x 0.4 x 10 of DDR against 4 + 10; of SSD 3 + 4 x 0.5 x 10 against 4 + 10.
    assert is_refuted(relaxed, patterns(1.0, ddr=10.0), limit)
    assert is_refuted(relaxed, patterns(1.0, ssd=10.0), limit)
    assert not is_refuted(relaxed, patterns(1.0, ddr=1.0), limit)  # 4.6 against 5
    # 3 + 1.6 d against 4 + d: above d = 1/0.6 by more than all margins.
    margin = (64 + 8 * (1 + 3 + 1) + 4) * ROUNDOFF  # 4 bundles
    # (3 + 1.6 d) (1 - m) = (4 + d) (1 + m), and 4 is scaled up by 3e-9 at most.
    edge = (4 * (1 + margin) - 3 * (1 - margin)) / (1.6 * (1 - margin) - (1 + margin))
    assert is_refuted(relaxed, patterns(1.0, ddr=edge * (1 + 1e-7)), limit)
    assert not is_refuted(relaxed, patterns(1.0, ddr=edge * (1 - 1e-7)), limit)


def test_prices_of_items_need_a_small_menu() -> None:
    """A menu of options with three items has no patterns."""
    three = Shape(CW3.sharding_type, CW3.scope, (1, 1, 1))
    relaxed = menu([[three]], [{2: 1}] * 3, [(1, 0, 0)] * 3)
    with pytest.raises(InvalidCertificateError, match="too large"):
        is_refuted(relaxed, patterns(1.0), 1.0)
