"""The benchmark of statistics compares what is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.benchmarks.bench_stats.__main__ import report
from tests.benchmarks.bench_stats.log import BATCH, RANKS, shares, write
from tests.benchmarks.bench_stats.sides import of_polars, of_shardplan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("side", "needs"), [(of_shardplan, "pyarrow"), (of_polars, "polars")]
)
def test_sides_count_the_same(
    tmp_path: Path, side: Callable[[Path], dict[str, Any]], needs: str
) -> None:
    """Where all rows are kept both are exact; a batch that is not full is none."""
    pytest.importorskip(needs)
    pq = pytest.importorskip("pyarrow.parquet")
    write(tmp_path, 2 * BATCH + 5, 1000)
    ids = pq.read_table(tmp_path / "log.parquet")["id"].to_numpy()
    found = side(tmp_path)
    counts = np.unique(ids, return_counts=True)[1]
    assert found["rows"] == len(counts)
    assert found["unique"] == np.mean(
        [len(np.unique(ids[k : k + BATCH])) for k in (0, BATCH)]
    )
    # Between points of a curve that keeps four per octave.
    np.testing.assert_allclose(found["access"], shares(counts), atol=1e-2)


def test_shares() -> None:
    """Of 1, 2, 4, ... hottest rows; of more than there are all."""
    assert shares(np.array([1, 5, 2, 2]))[:4] == [0.5, 0.7, 1.0, 1.0]


def test_report() -> None:
    """Ratios are those of what both took."""
    curve = np.linspace(0.1, 1.0, len(RANKS))
    took = {"rows": 10, "unique": 5.0}
    exact = {**took, "access": curve.tolist(), "cpu_s": 4.0, "peak_mib": 1000.0}
    ours = {**took, "access": (curve - 0.002).tolist(), "cpu_s": 2.0, "peak_mib": 100.0}
    page = report({"shardplan": ours, "polars": exact}, 20_000_000, 1000)
    assert "| shardplan | 10.00 | 2.0 s | 100 MiB |" in page
    assert "Polars: 2.00. Memory over that of Polars: 0.10." in page
    assert "0.200 points" in page
