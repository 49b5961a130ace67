"""Bytes of a checkpoint of the embedding tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats


def checkpoint_bytes(rows: Floats, row_bytes: Floats, state_bytes: Floats) -> float:
    """Return the bytes of all rows with their optimizer state, each row once [bytes].

    Parameters
    ----------
    rows : float array (B,)
        Rows of each block of columns.
    row_bytes : float array (B,)
        Of a stored row of the block [bytes].
    state_bytes : float array (B,)
        Optimizer state of such a row [bytes].

    Notes
    -----
    ``sum(rows * (row_bytes + state_bytes))``. Replicas hold the same rows and are
    written once; a table cut by columns has its numbers per row in every block. Dense
    layers are not counted.

    References
    ----------
    Eisenman et al. 2022, Check-N-Run, NSDI: tables are over 99 % of a checkpoint.
    """
    return float((rows * (row_bytes + state_bytes)).sum())
