"""Samples by a hash of the row are the same, however a log is divided."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest

from shardplan.statistics.hot_rows import HotRows
from shardplan.statistics.lookups import sort_lookups
from shardplan.statistics.row_hash import LEVELS, row_hash, row_level
from shardplan.statistics.sampling import HOT, RowSample
from tests.statistics.logs import KINDS


def sample_of(
    ids: np.ndarray, most: int, hot: HotRows | None = None, level: int = 0
) -> RowSample:
    hot = hot or HotRows.none()
    return RowSample.of(sort_lookups(ids), len(ids), most, hot, level)


def hot_of(ids: np.ndarray, most: int) -> HotRows:
    return HotRows.of(*np.unique(ids, return_counts=True), most)


def same(one: RowSample, other: RowSample) -> bool:
    arrays = ("rows", "levels", "counts", "visits", "first", "last")
    return (
        (one.level, one.num_lookups) == (other.level, other.num_lookups)
        and all((getattr(one, a) == getattr(other, a)).all() for a in arrays)
        and (one.across.counts == other.across.counts).all()
        and (one.across.sums == other.across.sums).all()
    )


@pytest.mark.parametrize("num_hot", [0, 100])
@pytest.mark.parametrize("most", [10**6, 2000, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_any_order_of_merges_gives_the_same(kind: str, most: int, num_hot: int) -> None:
    """From the left, from the right, and as a tree; and if the level is known."""
    ids = KINDS[kind](np.random.default_rng(1), 20_000)
    hot = hot_of(ids[:4000], num_hot)
    parts = [sample_of(part, most, hot) for part in np.array_split(ids, 8)]
    left = reduce(add, parts)
    right = reduce(lambda later, part: part + later, reversed(parts))
    tree = [parts[i] + parts[i + 1] for i in range(0, 8, 2)]
    assert same(left, right)
    assert same(left, (tree[0] + tree[1]) + (tree[2] + tree[3]))
    known = [p for p in np.array_split(ids, 8)]
    for level in range(left.level + 1):
        assert same(
            left, RowSample.sum([sample_of(p, most, hot, level) for p in known])
        )
    assert len(left.rows) <= most + num_hot
    assert (left.is_hot.sum() > num_hot // 2) == (num_hot > 0)


def test_hot_rows_are_exact() -> None:
    """Sums over all rows are off by what the others add alone."""
    ids = KINDS["shuffled"](np.random.default_rng(3), 20_000)
    hot = hot_of(ids, 500)
    found = sample_of(ids, 200, hot)
    rows, counts = np.unique(ids, return_counts=True)
    is_hot = hot.has(row_hash(rows))
    assert 400 < is_hot.sum() <= 520
    assert found.rows[found.is_hot].tolist() == rows[is_hot].tolist()
    assert found.counts[found.is_hot].tolist() == counts[is_hot].tolist()
    assert found.weights.max() == 2**found.level > 1
    drawn = sample_of(ids, 200)
    assert 0 < found.error(found.counts) < drawn.error(drawn.counts) / 4
    across, drawn = (found + found).gaps_across()
    assert across.counts.sum() == is_hot.sum()
    assert 0 < drawn.counts.sum() <= 200


def test_what_is_kept_is_exact() -> None:
    """Lookups, first and last of every sampled row are those of the whole log."""
    ids = KINDS["sessions"](np.random.default_rng(2), 20_000)
    found = reduce(add, [sample_of(part, 500) for part in np.array_split(ids, 5)])
    assert found.level > 0
    for row, count, first, last in zip(
        found.rows, found.counts, found.first, found.last, strict=True
    ):
        places = np.flatnonzero(ids == row)
        assert (count, first, last) == (len(places), places[0], places[-1])
    seen, error = found.num_rows()
    assert abs(seen - len(np.unique(ids))) <= error


def test_rows_seen_are_within_the_bound_in_most_logs() -> None:
    """At least 95 of 100."""
    hits = 0
    for seed in range(100):
        ids = np.random.default_rng(seed).integers(0, 10**9, 4000)
        seen, error = sample_of(ids, 500).num_rows()
        hits += abs(seen - len(np.unique(ids))) <= error
    assert hits >= 93  # of 100 draws with a chance of 95.4 %


def test_levels_end() -> None:
    """A row that is alone in its level is kept, however few rows are wanted."""
    rows = np.flatnonzero(row_level(np.arange(1 << 16)) >= 3)
    found = sample_of(np.repeat(rows, 3), 4)
    assert len(found.rows) <= 4
    assert found.level <= LEVELS
    assert HOT > LEVELS
