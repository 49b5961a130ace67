"""Ids that stand for several rows each."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.costs.memory.access import unique_rows
from shardplan.costs.memory.row_bins import row_bins
from shardplan.records.tables import ZipfAccess


@pytest.mark.parametrize("rows_per_draw", [1, 2, 10, 100, 1000])
@pytest.mark.parametrize("rows", [1, 3, 40, 1000, 10**7])
def test_rows_and_shares_add_up(rows: int, rows_per_draw: int) -> None:
    """All rows and all lookups are in the bins, hottest first."""
    access = ZipfAccess(alpha=1.15, rows_per_draw=rows_per_draw)
    bins = row_bins([rows], [access])
    assert bins.num_rows.sum() == pytest.approx(rows)
    assert (bins.num_rows * bins.probability).sum() == pytest.approx(1.0)
    used = bins.probability[0][bins.num_rows[0] > 0]
    assert (np.diff(used) <= 1e-18).all()


@pytest.mark.parametrize(("rows", "rows_per_draw"), [(20_000, 5), (3_000, 20)])
def test_distinct_rows_of_a_sample(rows: int, rows_per_draw: int) -> None:
    """The expected number of distinct rows is that of sampled batches."""
    rng = np.random.default_rng(0)
    weights = np.arange(1, rows + 1) ** -1.15
    weights /= weights.sum()
    table = rng.integers(rows, size=(rows, rows_per_draw))
    draws = 2_000
    sampled = np.mean(
        [len(np.unique(table[rng.choice(rows, draws, p=weights)])) for _ in range(20)]
    )
    bins = row_bins([rows], [ZipfAccess(alpha=1.15, rows_per_draw=rows_per_draw)])
    expected = unique_rows(bins, np.array([float(draws * rows_per_draw)]))[0]
    assert expected == pytest.approx(sampled, rel=0.1)
