"""Access curves against exact counts."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.statistics.curve import access_curve
from tests.statistics.logs import KINDS
from tests.statistics.test_reuse import tally_of


def exact_share(ids: np.ndarray, rows: np.ndarray) -> np.ndarray:
    counts = np.sort(np.unique(ids, return_counts=True)[1])[::-1]
    total = np.concatenate(([0], np.cumsum(counts))) / len(ids)
    return np.interp(rows, np.arange(len(total)), total)


@pytest.mark.parametrize("kind", KINDS)
def test_exact_where_all_rows_are_kept(kind: str) -> None:
    """Every point is that of the counts; the last is all rows and all lookups."""
    ids = KINDS[kind](np.random.default_rng(6), 50_000)
    found = tally_of(ids, 4, 10**6)
    curve = access_curve(found.sample, len(ids))
    assert curve.error == 0
    np.testing.assert_allclose(curve.lookups, exact_share(ids, curve.rows), atol=1e-12)
    assert curve.rows[-1] == len(np.unique(ids))
    assert curve.lookups[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_sampled_curves_are_within_their_bound(kind: str) -> None:
    """In all of twenty logs; the bound is for 95 of 100."""
    for seed in range(20):
        ids = KINDS[kind](np.random.default_rng(seed), 50_000)
        found = tally_of(ids, 4, 512)
        curve = access_curve(found.sample, len(ids))
        off = np.abs(curve.lookups - exact_share(ids, curve.rows)).max()
        assert 1e-9 < off <= curve.error < 0.25


def test_no_lookups() -> None:
    """No curve."""
    found = tally_of(np.zeros(0, dtype=np.int64), 1, 100)
    assert len(access_curve(found.sample, 0).rows) == 0
