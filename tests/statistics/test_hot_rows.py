"""Bounds of the hottest rows hold, however a log is divided."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest

from shardplan.statistics.hot_rows import HotRows
from tests.statistics.logs import KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("most", [20, 200])
def test_bounds(kind: str, most: int) -> None:
    """A kept row has between its count and that with what was missed."""
    ids = KINDS[kind](np.random.default_rng(4), 30_000)
    parts = [np.unique(p, return_counts=True) for p in np.array_split(ids, 9)]
    found = reduce(add, [HotRows.of(*part, most) for part in parts])
    rows, counts = np.unique(ids, return_counts=True)
    true = dict(zip(rows.tolist(), counts.tolist(), strict=True))
    assert len(found.rows) == most
    for row, count in zip(found.rows.tolist(), found.counts.tolist(), strict=True):
        assert count <= true.pop(row) <= count + found.missed
    assert max(true.values()) <= found.missed


def test_all_rows_are_known_where_all_are_kept() -> None:
    """Nothing is missed."""
    found = HotRows.of(np.array([1, 5]), np.array([3, 4]), 2)
    assert found.missed == 0
    assert found.rows.tolist() == [1, 5]


def test_of_equals_the_first_is_kept() -> None:
    """So that the same parts give the same rows."""
    found = HotRows.of(np.array([1, 5, 9]), np.array([2, 2, 2]), 2)
    assert found.rows.tolist() == [1, 5]
    assert found.missed == 2
