"""Measured statistics beside those of libraries that others rely on.

``libcachesim`` runs caches lookup by lookup; sketches of ``datasketches`` are within
bounds of their own. Neither has wheels for all Pythons, so neither is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from shardplan.records.log_mapping import LogTable
from shardplan.statistics.summary import summarise
from tests.statistics.logs import KINDS, ROWS, exact_misses
from tests.statistics.test_reuse import tally_of

if TYPE_CHECKING:
    from shardplan.records.arrays import Ints
    from shardplan.records.log_statistics import TableStatistics

SIZES = np.array([64.0, 500.0, 3000.0])
WHOLE, SAMPLED = 10**6, 1000


def lookups(kind: str) -> Ints:
    return KINDS[kind](np.random.default_rng(3), 20_000)


def measured(ids: Ints, keep: int) -> TableStatistics:
    table = LogTable(name="item", num_embeddings=ROWS)
    return summarise(table, tally_of(ids, 4, keep), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_caches_of_libcachesim(kind: str) -> None:
    """They miss what the Fenwick tree says, and measured curves are near."""
    library = pytest.importorskip("libcachesim")
    ids = lookups(kind)
    exact = exact_misses(ids, SIZES)
    found = measured(ids, WHOLE)
    for size, misses in zip(SIZES, exact, strict=True):
        cache = library.LRU(int(size), hashpower=14)
        hits = [cache.get(library.Request(obj_id=row)) for row in ids.tolist()]
        assert 1.0 - np.mean(hits) == pytest.approx(misses, abs=1e-12)
        ours = np.interp(size, *np.array(found.miss_ratio).T)
        assert abs(ours - misses) <= found.miss_ratio_error


@pytest.mark.parametrize("keep", [WHOLE, SAMPLED])
def test_distinct_rows_of_datasketches(keep: int) -> None:
    """Both intervals have the truth; without a sample ours is the truth."""
    library = pytest.importorskip("datasketches")
    ids = lookups("shuffled")
    sketch = library.hll_sketch(14, library.HLL_8)
    for row in ids.tolist():
        sketch.update(row)
    found, truth = measured(ids, keep), len(np.unique(ids))
    assert sketch.get_lower_bound(3) <= truth <= sketch.get_upper_bound(3)
    assert abs(found.rows_seen - truth) <= found.rows_seen_error
    assert (found.rows_seen_error == 0) == (keep == WHOLE)


def test_hot_rows_of_datasketches() -> None:
    """The hottest rows get a share of the lookups that frequent items allow."""
    library = pytest.importorskip("datasketches")
    ids = lookups("shuffled")
    sketch = library.frequent_items_sketch(10)
    for row in ids.tolist():
        sketch.update(row)
    items = sketch.get_frequent_items(library.NO_FALSE_NEGATIVES)
    lows, highs = (sorted((i[k] for i in items), reverse=True) for k in (2, 3))
    found = measured(ids, WHOLE)
    assert found.access_error == 0
    for rows in (1, 10, 30):
        hottest = np.interp(rows, *np.array(found.access).T) * len(ids)
        assert sum(lows[:rows]) <= round(hottest) <= sum(highs[:rows])
