"""Distances between days against those of all rows."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.statistics.drift import drift
from tests.statistics.logs import ROWS, shuffled
from tests.statistics.test_days import days_of

SIZE = 20_000


def drifting_days(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three days; on the last a third of the rows are other ones."""
    rng = np.random.default_rng(seed)
    ids, day = shuffled(rng, SIZE), np.arange(SIZE) * 3 // SIZE
    moved = (day == 2) & (ids % 3 == 0)
    return np.where(moved, (ids + 3 * 1000) % ROWS, ids), day


def truth(ids: np.ndarray, day: np.ndarray) -> list[dict[str, float]]:
    count = [np.bincount(ids[day == n], minlength=ROWS) for n in range(3)]
    hot = []
    for each in count:
        rows = np.flatnonzero(each)
        hottest = np.argsort(-each[rows], kind="stable")[: round(len(rows) / 100)]
        hot.append(set(rows[hottest].tolist()))
    found = []
    for now in (1, 2):
        share, before = (count[n] / count[n].sum() for n in (now, now - 1))
        seen = count[now] > 0
        ever = np.sum(count[:now], axis=0) > 0
        found.append(
            {
                "rows_seen": float(seen.sum()),
                "moved": float(np.abs(share - before).sum() / 2),
                "new_hot": len(hot[now] - hot[now - 1]) / len(hot[now]),
                "new_rows": float(
                    (count[now] > 0)[~ever].sum() / (count[now] > 0).sum()
                ),
            }
        )
    return found


def test_exact_where_all_rows_are_kept() -> None:
    ids, day = drifting_days(0)
    first, *others = drift(days_of(ids, day, 4, 10**6))
    assert (first.moved, first.new_hot, first.new_rows) == (0, 0, 0)
    for found, true in zip(others, truth(ids, day), strict=True):
        for name, value in true.items():
            assert getattr(found, name) == pytest.approx(value, abs=1e-12)
            assert getattr(found, f"{name}_error") == 0
    assert others[1].moved > others[0].moved + 0.05


def within(seeds: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    for seed in range(seeds):
        ids, day = drifting_days(seed)
        found = drift(days_of(ids, day, 4, 4000))[2]
        for name, value in truth(ids, day)[1].items():
            error = getattr(found, f"{name}_error")
            assert error > 0
            off = abs(getattr(found, name) - value)
            counts[name] = counts.get(name, 0) + (off <= error)
    return counts


def test_sampled_days_are_within_their_bounds() -> None:
    assert min(within(3).values()) >= 2


@pytest.mark.long
def test_bounds_of_days_hold_in_95_of_100_logs() -> None:
    counts = within(100)
    assert min(counts.values()) >= 95, counts


def test_days_are_in_the_order_of_their_numbers() -> None:
    found = days_of(np.zeros(12, np.int64), np.arange(12), 1, 100)
    assert [each.day for each in drift(found)] == [str(n) for n in range(12)]
