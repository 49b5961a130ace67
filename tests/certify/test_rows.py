"""Rows of a linear program."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.certify.highs import End, Highs
from shardplan.certify.rows import ProgramRows


def test_rows_are_numbered_on() -> None:
    """x + y >= 2 and 2 y = 3: the least x + 2 y is 3.5, y's row is the third."""
    rows = ProgramRows()
    one = np.ones(2)
    assert rows.add(np.array([2.0, 0.0]), [0, 0, 1], [0, 1, 0], [*one, 1.0]) == 0
    assert rows.add(np.array([3.0]), [0], [1], [2.0], equal=True) == 2
    model = Highs("a test", [1.0, 2.0], 0.0, np.full(2, 10.0))
    rows.give(model, 2)
    assert model.run() is End.OPTIMAL
    assert model.values == pytest.approx([0.5, 1.5])
    assert model.row_duals == pytest.approx([1.0, 0.0, 0.5])
