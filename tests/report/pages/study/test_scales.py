"""Scales of figures: everything inside, and round ticks."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shardplan.report.pages.study.scales import Scale


@given(st.lists(st.floats(-1e12, 1e12), max_size=8))
@example([5e-324])
@example([0.0, 5e-324])
@example([1.0, 1.0000000000000002])
def test_values_lie_inside_in_order(values: list[float]) -> None:
    """Any values: negative, equal, none at all."""
    scale = Scale.over(values)
    shares = [scale.share(value) for value in sorted(values)]
    assert shares == sorted(shares)
    assert all(0.0 <= share <= 1.0 for share in shares)
    assert scale.low < scale.high
    ticks = scale.ticks()
    assert len(ticks) <= 8
    assert all(scale.low <= t * (1 + 1e-6) for t in ticks if t > 0)
    assert ticks == sorted(ticks)


def test_values_of_many_sizes_are_over_their_logarithm() -> None:
    """1 and 100 differ by more than 30; 10 lies in the middle."""
    scale = Scale.over([1.0, 100.0])
    assert scale.is_log
    assert scale.share(10.0) == pytest.approx(0.5)
    assert scale.ticks() == [1.0, 3.0, 10.0, 30.0, 100.0]


def test_a_scale_does_not_begin_below_zero_for_a_margin() -> None:
    """Nothing costs less than nothing."""
    assert Scale.over([0.0, 10.0]).low == 0.0
    assert Scale.over([0.1, 2.0]).low == 0.1 - 0.04 * 1.9 >= 0.0


def test_even_ticks_are_round() -> None:
    """Steps of 1, 2 or 5 times a power of ten."""
    assert Scale(0.0, 11.0).ticks() == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert Scale(1e9, 1.2e9).ticks()[:2] == [1e9, 1.05e9]
