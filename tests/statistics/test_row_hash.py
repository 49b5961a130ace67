"""Levels of rows."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.statistics.row_hash import (
    LEVELS,
    has_level,
    level_of,
    row_hash,
    row_level,
    sampled,
)


def test_a_level_more_is_half_of_the_rows() -> None:
    """Levels are those of a hash: rows in a row are as good as any."""
    levels = row_level(np.arange(1 << 18))
    for level in range(8):
        share = float((levels >= level).mean()) * 2**level
        assert share == pytest.approx(1.0, abs=0.05)
    assert sampled(np.arange(100), 0).all()


def test_levels_are_leading_zeros() -> None:
    """Those of numbers next to powers of two as well, which floats would round."""
    hashes = np.array(
        [0, 1, 2**40 - 1, 2**40, 2**62 - 1, 2**63 - 1, 2**63, 2**64 - 1], np.uint64
    )
    levels = [min(LEVELS, 64 - int(h).bit_length()) for h in hashes]
    assert level_of(hashes).tolist() == levels
    for level in range(LEVELS + 1):
        wanted = [found >= level for found in levels]
        assert has_level(hashes, level).tolist() == wanted


def test_the_finaliser_is_the_published_one() -> None:
    """SplitMix64 seeded with 0 and 1 begins with these."""
    found = row_hash(np.array([0, 1]))
    assert found.tolist() == [0xE220A8397B1DCDAF, 0x910A2DEC89025CC1]
