"""Bytes of a checkpoint."""

from __future__ import annotations

import numpy as np

from shardplan.costs.memory.checkpoint import checkpoint_bytes


def test_every_row_with_its_state_once() -> None:
    """100 rows of 64 + 4 bytes, and 10 of 32 + 32: 6,800 + 640."""
    rows, row, state = np.array([[100.0, 10.0], [64.0, 32.0], [4.0, 32.0]])
    assert checkpoint_bytes(rows, row, state) == 7440.0


def test_nothing_is_nothing() -> None:
    assert checkpoint_bytes(*np.zeros((3, 0))) == 0.0
