"""Moments and quantiles of lookups per sample."""

from __future__ import annotations

import numpy as np

from shardplan.statistics.lengths import MOST_EXACT, Lengths


def test_against_the_list() -> None:
    """In parts as in one."""
    lengths = np.random.default_rng(0).integers(0, 50, 5000)
    found = Lengths.of(lengths[:1234]) + Lengths.of(lengths[1234:])
    present = lengths[lengths > 0]
    assert found.num_samples == 5000
    assert found.num_present == len(present)
    assert found.total == lengths.sum()
    assert found.squares == (lengths**2).sum()
    assert found.longest == lengths.max()
    for share in (0.1, 0.5, 0.99, 1.0):
        expected = np.quantile(present, share, method="inverted_cdf")
        assert found.quantile(share) == expected


def test_long_samples() -> None:
    """The longest is exact; nothing has no quantile."""
    found = Lengths.of(np.array([3, 10 * MOST_EXACT]))
    assert found.quantile(1.0) == 10 * MOST_EXACT
    assert Lengths.none().quantile(0.5) == 0
