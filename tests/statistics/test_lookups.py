"""One sort groups the lookups of every row."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.statistics.lookups import NEVER, counts_together, sort_lookups


@pytest.mark.parametrize("offset", [0, 2**60])
@pytest.mark.parametrize(("size", "rows"), [(0, 1), (1, 1), (200, 7), (200, 500)])
def test_against_plain_loops(size: int, rows: int, offset: int) -> None:
    """Also for rows too large to be sorted together with their places."""
    ids = np.random.default_rng(size).integers(0, rows, size) + offset
    found = sort_lookups(ids)
    last: dict[int, int] = {}
    before = []
    for place, row in enumerate(ids.tolist()):
        before.append(last.get(row, NEVER))
        last[row] = place
    unique, first, counts = np.unique(ids, return_index=True, return_counts=True)
    for part in {0, size // 3, size}:
        assert found.before(part).tolist() == before[:part]
    assert found.rows.tolist() == unique.tolist()
    assert found.counts.tolist() == counts.tolist()
    assert found.first.tolist() == first.tolist()
    assert found.last.tolist() == [last[row] for row in unique.tolist()]
    gaps = [i - b for i, b in enumerate(before) if b != NEVER]
    assert sorted(found.gaps().tolist()) == sorted(gaps)


def test_counts_add_up() -> None:
    """Rows of either and of both, in their order."""
    one = np.array([2, 5, 9]), np.array([1, 2, 3])
    other = np.array([1, 5]), np.array([4, 5])
    rows, counts = counts_together(one, other)
    assert rows.tolist() == [1, 2, 5, 9]
    assert counts.tolist() == [4, 1, 7, 3]
