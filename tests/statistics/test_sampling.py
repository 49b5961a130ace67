"""Samples by a hash of the row are the same, however a log is divided."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest

from shardplan.statistics.lookups import sort_lookups
from shardplan.statistics.sampling import LEVELS, RowSample, row_level, sampled
from tests.statistics.logs import KINDS


def sample_of(ids: np.ndarray, most: int) -> RowSample:
    return RowSample.of(sort_lookups(ids), len(ids), most)


def same(one: RowSample, other: RowSample) -> bool:
    arrays = ("rows", "counts", "visits", "first", "last")
    return (
        (one.level, one.num_lookups) == (other.level, other.num_lookups)
        and all((getattr(one, a) == getattr(other, a)).all() for a in arrays)
        and all(
            (a.counts == b.counts).all() and (a.sums == b.sums).all()
            for a, b in zip(one.across, other.across, strict=True)
        )
    )


def test_a_level_more_is_half_of_the_rows() -> None:
    """Levels are those of a hash: rows in a row are as good as any."""
    levels = row_level(np.arange(1 << 18))
    for level in range(8):
        share = float((levels >= level).mean()) * 2**level
        assert share == pytest.approx(1.0, abs=0.05)
    assert sampled(np.arange(100), 0).all()


@pytest.mark.parametrize("most", [10**6, 2000, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_any_order_of_merges_gives_the_same(kind: str, most: int) -> None:
    """From the left, from the right, and as a tree."""
    ids = KINDS[kind](np.random.default_rng(1), 20_000)
    parts = [sample_of(part, most) for part in np.array_split(ids, 8)]
    left = reduce(add, parts)
    right = reduce(lambda later, part: part + later, reversed(parts))
    tree = [parts[i] + parts[i + 1] for i in range(0, 8, 2)]
    assert same(left, right)
    assert same(left, (tree[0] + tree[1]) + (tree[2] + tree[3]))
    assert len(left.rows) <= most


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
