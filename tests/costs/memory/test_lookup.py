"""Bytes and times of lookups, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardplan.costs.memory.lookup import (
    backward_bytes,
    forward_bytes,
    narrow_row_ratio,
    reads_from_memory,
    ssd_time,
)

SIZES = st.floats(0, 1e9)


def test_forward_bytes() -> None:
    """Ids, whole sectors of rows, offsets and outputs move."""
    # 1000 ids * (8 + 512) + 100 outputs * (8 + 512) = 520,000 + 52,000
    assert forward_bytes(1000, 8, 1000, 512, 100, 512) == 572_000
    # A row of 33 bytes reads 2 sectors of 32: 10 * (4 + 64) + 1 * (8 + 132) = 820
    assert forward_bytes(10, 4, 10, 33, 1, 132) == 820
    # Rows that another memory serves leave only their ids: 10 * 4 + 140 = 180
    assert forward_bytes(10, 4, 0, 33, 1, 132) == 180


def test_backward_bytes() -> None:
    """Gradient rows are read; rows that change are read and written."""
    # 1000 * 512 + 2 * 900 * (512 + 4) = 512,000 + 928,800
    assert backward_bytes(1000, 512, 900 * 516) == 1_440_800


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        # Nothing is kept, a quarter of the reads hits, or all do but the first ones.
        (0.0, 1000),
        (0.25, 750),
        (0.95, 100),
        (1.0, 100),
    ],
)
def test_reads_from_memory(share: float, expected: float) -> None:
    """Of 1000 reads of 100 rows, at least the first of each comes from memory."""
    assert reads_from_memory(1000, 100, share) == expected


@pytest.mark.parametrize(
    ("columns", "ratio"), [(4, 1.5), (32, 1.5), (33, 1.25), (64, 1.25), (65, 1.0)]
)
def test_narrow_rows_are_slower(columns: int, ratio: float) -> None:
    """The ratio of the narrowest limit that a row is within holds."""
    assert narrow_row_ratio(columns, (32, 64), (1.5, 1.25)) == ratio


def test_without_penalties_all_rows_are_equal() -> None:
    """A cost model without narrow rows slows nothing."""
    assert narrow_row_ratio(np.array([4, 4096]), (), ()).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # IOPS bind: 1000 rows / 1e5 per second
        (512, 0.01),
        # 5000 bytes are 2 blocks: 2000 blocks / 1e5
        (5000, 0.02),
    ],
)
def test_ssd_is_bound_by_iops(row: int, expected: float) -> None:
    """A read per block, whatever part of it is used."""
    assert ssd_time(1000, row, 4096, 1e5, 1e10) == pytest.approx(expected)


def test_ssd_is_bound_by_bandwidth() -> None:
    """Blocks are read in full: 1000 * 4096 / 1e8 = 41 ms for 512 kB of rows."""
    assert ssd_time(1000, 512, 4096, 1e6, 1e8) == pytest.approx(0.04096)


def test_no_ssd_takes_forever_or_no_time() -> None:
    """Rows on a missing SSD are never read; no rows need none."""
    times = ssd_time(np.array([0.0, 1.0]), 512, 4096, np.float64(0), np.float64(0))
    assert times.tolist() == [0.0, np.inf]


def test_blocks_without_number_take_forever() -> None:
    """A block of next to no bytes is no number of blocks, and no warning either."""
    assert ssd_time(1000, 512, 5e-324, np.float64(1e6), np.float64(1e8)) == np.inf


@given(SIZES, SIZES, SIZES, st.floats(1, 100))
def test_bytes_grow_with_everything(
    ids: float, row: float, outputs: float, factor: float
) -> None:
    """More ids, wider rows or more outputs never move fewer bytes."""
    base = forward_bytes(ids, 8, ids, row, outputs, 512)
    more = ids * factor
    assert forward_bytes(more, 8, more, row, outputs, 512) >= base
    assert forward_bytes(ids, 8, ids, row * factor, outputs, 512) >= base
    assert forward_bytes(ids, 8, ids, row, outputs * factor, 512) >= base
    base = backward_bytes(ids, 512, ids * row)
    assert backward_bytes(more, 512, ids * row) >= base
    assert backward_bytes(ids, 512, ids * row * factor) >= base
