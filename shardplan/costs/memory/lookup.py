"""Time of embedding lookups, forward and backward, in each tier of memory.

Every function takes arrays that broadcast, in base units, and returns seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats


SECTOR_BYTES = 32.0
"""A row read moves whole sectors of this size (CUDA programming guide)."""


def narrow_row_ratio(
    num_columns: Any, max_dims: tuple[int, ...], ratios: tuple[float, ...]
) -> Floats:
    """Slow-down of narrow rows: the ratio of the first `max_dims` >= columns, else 1.

    Parameters
    ----------
    num_columns : array
    max_dims : ascending widths up to which the ratio of the same place holds.

    References
    ----------
    FBGEMM kernels measured by TorchRec's planner constants (1.15x below 128
    columns, 1.75x below 64).
    """
    columns = np.asarray(num_columns)
    table = np.array([*ratios, 1.0])
    return np.asarray(table[np.searchsorted(np.array(max_dims), columns)])


def forward_bytes(
    num_ids: Any, id_bytes: Any, row_bytes: Any, num_outputs: Any, output_bytes: Any
) -> Floats:
    """Bytes that a forward lookup moves through device memory.

    Notes
    -----
    n * id + outputs * (offset 8 + output row) + n * row padded to 32 B sectors.

    References
    ----------
    Lin et al., arXiv 2201.07821, section 4.
    """
    padded = np.ceil(np.asarray(row_bytes) / SECTOR_BYTES) * SECTOR_BYTES
    return np.asarray(
        num_ids * (id_bytes + padded) + num_outputs * (8.0 + output_bytes)
    )


def backward_bytes(
    num_ids: Any, gradient_row_bytes: Any, unique_rows: Any, row_and_state_bytes: Any
) -> Floats:
    """Bytes that the fused backward and optimizer step moves through device memory.

    Notes
    -----
    n * gradient row + 2 * U * (row + state): each touched row is read and written.

    References
    ----------
    FBGEMM split table batched embeddings, exact backward; checked against
    NVIDIA/recsys-examples dynamicemb benchmark results.
    """
    return np.asarray(
        num_ids * gradient_row_bytes + 2.0 * unique_rows * row_and_state_bytes
    )


def ssd_time(
    num_rows: Any, row_bytes: Any, block_bytes: float, iops: Any, bandwidth: Any
) -> Floats:
    """Time to read rows from SSD [s]: max(rows / IOPS, rows * block / bandwidth).

    Notes
    -----
    A row costs whole blocks of `block_bytes`. No SSD (iops = 0) gives infinity, and
    so do more blocks than there are numbers.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        blocks = np.ceil(np.asarray(row_bytes) / block_bytes)
        time = num_rows * blocks * np.maximum(1.0 / iops, block_bytes / bandwidth)
    return np.asarray(np.where(num_rows > 0, time, 0.0))
