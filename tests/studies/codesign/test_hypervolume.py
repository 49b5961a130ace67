"""The hypervolume, against areas worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.studies.codesign.hypervolume import hypervolume


@pytest.mark.parametrize(
    ("costs", "area"),
    [
        ([], 0.0),
        ([(1, 3)], 3.0),  # 3 wide, 1 high
        ([(1, 3), (2, 2)], 5.0),  # 3 + 4, less the 2 that both have
        ([(1, 3), (2, 2), (3, 3)], 5.0),  # the last is dominated
        ([(1, 3), (2, 2), (5, 0)], 5.0),  # the last is worse than the reference
        ([(1, 3), (1, 3)], 3.0),
        ([(4, 0)], 0.0),  # at the reference in one objective
        ([(-1, -10), (0, -12)], 78.0),  # 5 x 14, and a strip of 4 x 2
    ],
)
def test_areas(costs: list[tuple[float, float]], area: float) -> None:
    """Up to (4, 4); all objectives are minimised."""
    assert hypervolume(costs, (4.0, 4.0)) == pytest.approx(area)


def test_against_counting() -> None:
    """Of a fine grid below the reference, the share that some point dominates."""
    rng = np.random.default_rng(1)
    points = rng.random((12, 2))
    ticks = (np.arange(500) + 0.5) / 500
    x, y = np.meshgrid(ticks, ticks)
    dominated = np.zeros(x.shape, bool)
    for a, b in points:
        dominated |= (x >= a) & (y >= b)
    assert hypervolume(points.tolist(), (1.0, 1.0)) == pytest.approx(
        dominated.mean(), abs=0.005
    )
