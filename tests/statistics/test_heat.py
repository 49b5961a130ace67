"""Lookups by blocks of rows and by classes modulo ranks."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.statistics.heat import BLOCKS, MODULUS, Heat


def test_blocks_and_classes() -> None:
    """Against sums over rows, in parts as in one."""
    rows, counts = np.arange(5000), np.arange(5000) % 17
    half = len(rows) // 2
    found = Heat.of(rows[:half], counts[:half], 5000)
    found += Heat.of(rows[half:], counts[half:], 5000)
    assert found.blocks.sum() == found.classes.sum() == counts.sum()
    block = rows * BLOCKS // 5000
    assert found.blocks[3] == counts[block == 3].sum()
    for ranks in (2, 8, 12, 64):
        each = [counts[rows % ranks == k].sum() for k in range(ranks)]
        skew = max(each) * ranks / counts.sum()
        assert found.modulo_skew(ranks) == pytest.approx(skew)


def test_no_lookups() -> None:
    """Shares are zero and nothing is skewed."""
    assert Heat.none().shares().sum() == 0
    assert Heat.none().modulo_skew(8) == 1.0
    assert all(MODULUS % n == 0 for n in range(1, 11))
