"""The hottest rows of a first look are found again, and hardly any others."""

from __future__ import annotations

import numpy as np

from shardplan.statistics.hot_rows import HotRows
from shardplan.statistics.row_hash import row_hash


def test_the_hottest_are_in_the_set() -> None:
    """All but some that have the place of a hotter one."""
    rows = np.arange(0, 3_000_000, 3)
    counts = np.zeros(len(rows), dtype=np.int64)
    counts[::100] = np.arange(2, 10_002)
    found = HotRows.of(rows, counts, 4000)
    is_hot = found.has(row_hash(rows))
    wanted = counts > 10_001 - 4000
    assert wanted.sum() == 4000
    assert is_hot[wanted].mean() > 0.75
    assert is_hot[counts > 9_900].mean() > 0.95
    assert is_hot[~wanted].sum() < 100


def test_rows_with_one_lookup_are_not_hot() -> None:
    """Nothing says that they are hotter than others."""
    found = HotRows.of(np.arange(10), np.ones(10, dtype=np.int64), 5)
    assert not found.has(row_hash(np.arange(10))).any()
    assert not HotRows.none().has(row_hash(np.arange(10))).any()


def test_the_same_rows_make_the_same_set() -> None:
    """Whatever order equals are in: of these the first are taken."""
    rows, counts = np.arange(1000), np.full(1000, 7)
    one, other = HotRows.of(rows, counts, 100), HotRows.of(rows, counts, 100)
    assert (one.marks == other.marks).all()
