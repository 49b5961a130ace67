"""Where cutting planes need no linear program, and where they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.certify import kelley
from shardplan.certify.kelley import Domain, maximise
from shardplan.certify.oracle import Point

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats

NO_CHOICE = np.zeros(0, dtype=np.int64)
OPEN = Domain(np.full(2, np.inf))


class Roof:
    """1 - |x - top| - |y|, concave."""

    def __init__(self, top: float) -> None:
        self.top = top
        self.calls = 0

    def __call__(self, prices: Floats) -> Point:
        """Evaluate; the slope to the right of an edge."""
        self.calls += 1
        x, y = prices
        slope = np.array([-1.0 if x >= self.top else 1.0, -1.0])
        return Point(float(1.0 - abs(x - self.top) - abs(y)), slope, NO_CHOICE)


def test_no_program_where_no_price_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slopes that only fall, prices at their ends, and enough are known at once."""
    monkeypatch.delattr(kelley, "Highs")
    start = np.zeros(2)
    found = maximise(Roof(0.0), OPEN, start)
    assert (found.point.value, found.steps, found.prices.tolist()) == (1.0, 1, [0, 0])
    full = Domain(np.array([0.0, 1.0]))
    assert maximise(Roof(5.0), full, start).point.value == -4.0
    assert maximise(Roof(5.0), OPEN, start, enough=-4.0).steps == 1
    nothing = maximise(
        lambda prices: Point(2.0, prices, NO_CHOICE), Domain(NO_CHOICE), np.zeros(0)
    )
    assert (nothing.point.value, nothing.steps) == (2.0, 1)


@pytest.mark.parametrize("start", [[0.0, 0.0], [0.7, 0.0], [0.3, 0.2]])
def test_the_top_is_found(start: list[float]) -> None:
    """From below, from above, and where only the second price is off."""
    roof = Roof(0.3)
    found = maximise(roof, OPEN, np.array(start))
    assert found.prices == pytest.approx([0.3, 0.0], abs=1e-5)
    assert found.point.value == pytest.approx(1.0, abs=1e-5)
    assert found.steps == roof.calls > 1
