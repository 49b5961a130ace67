"""Ids of batches and partitions against batches that are counted one by one."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.statistics.batches import PARTITIONS, SIZES, AllBatches, Batches
from shardplan.statistics.lookups import sort_lookups
from tests.statistics.logs import KINDS

BLOCK = 1 << 15


def measured(ids: np.ndarray, lengths: np.ndarray) -> AllBatches:
    """Measure block by block."""
    ends = np.concatenate(([0], np.cumsum(lengths)))
    parts = []
    for start in range(0, len(lengths), BLOCK):
        own = lengths[start : start + BLOCK]
        block = ids[ends[start] : ends[start + len(own)]]
        parts.append(AllBatches.of(sort_lookups(block), block, own))
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def log(kind: str, seed: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 4, samples)
    return KINDS[kind](rng, int(lengths.sum())), lengths


def batches(ids: np.ndarray, lengths: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut every block into whole batches."""
    ends = np.concatenate(([0], np.cumsum(lengths)))
    found = []
    for start in range(0, len(lengths), BLOCK):
        stop = min(start + BLOCK, len(lengths))
        for first in range(start, stop - size + 1, size):
            found.append(ids[ends[first] : ends[first + size]])
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_all_batches_of_a_short_log(kind: str) -> None:
    """Means and fullest partitions are exact, and said to be."""
    ids, lengths = log(kind, 1, 16_000)
    for size, found in zip(SIZES, measured(ids, lengths).each, strict=True):
        every = batches(ids, lengths, size)
        assert found.seen == found.taken == len(every)
        assert found.error(size) == found.exceeded() == 0
        if not every:
            continue
        unique = [np.unique(batch) for batch in every]
        means = np.mean(
            [(len(a), len(b)) for a, b in zip(every, unique, strict=True)], 0
        )
        assert found.mean(size) == pytest.approx(means)
        for column, number in enumerate(PARTITIONS):
            for most, some in zip(found.most, (every, unique), strict=True):
                fullest = max(np.bincount(batch % number).max() for batch in some)
                assert most[column] == fullest


def test_a_whole_block_is_a_batch() -> None:
    """Of the largest size: counted from its distinct rows."""
    size = SIZES[-1]
    ids = KINDS["sessions"](np.random.default_rng(0), size)
    found = AllBatches.of(sort_lookups(ids), ids, np.ones(size, np.int64)).each[-1]
    assert found.mean(size) == (size, len(np.unique(ids)))
    assert found.most[0, 0] == np.bincount(ids % 2).max()
    assert found.most[1, -1] == np.bincount(np.unique(ids) % PARTITIONS[-1]).max()


def coverage(kind: str, size: int, seeds: int) -> int:
    """Count the logs whose mean is within the bound, which is asked to be of use."""
    within = 0
    for seed in range(seeds):
        ids, lengths = log(kind, seed, 3 * BLOCK)
        found = measured(ids, lengths).each[SIZES.index(size)]
        assert found.taken < found.seen
        assert 0 < found.error(size) < (0.02 if size == SIZES[0] else 0.1)
        true = np.mean([len(np.unique(b)) for b in batches(ids, lengths, size)])
        within += abs(found.mean(size)[1] / true - 1) <= found.error(size)
    return within


@pytest.mark.parametrize("kind", KINDS)
def test_measured_batches_stand_for_all(kind: str) -> None:
    """Blocks that are cut short weigh less."""
    assert coverage(kind, SIZES[0], 2) == 2


@pytest.mark.long
@pytest.mark.parametrize("size", SIZES[:2])
@pytest.mark.parametrize("kind", KINDS)
def test_bounds_hold_in_95_of_100_logs(kind: str, size: int) -> None:
    assert coverage(kind, size, 100) >= 95


def test_one_batch_of_many() -> None:
    """Its luck is not known."""
    one = Batches(2, 1, 10, 8, 8, 64, 2, np.zeros((2, 1), np.int64))
    assert one.error(SIZES[-1]) == 1.0
    assert one.exceeded() == pytest.approx(0.95)
