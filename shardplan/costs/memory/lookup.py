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


def sectors(row_bytes: Any) -> Floats:
    """Bytes that reading a row moves: whole sectors [bytes]."""
    return np.asarray(np.ceil(np.asarray(row_bytes) / SECTOR_BYTES) * SECTOR_BYTES)


def reads_from_memory(num_reads: Any, distinct: Any, cached_share: Any) -> Floats:
    """Return the reads that the last-level cache does not serve.

    Parameters
    ----------
    num_reads, distinct : arrays
        Reads of rows, and the different rows among them.
    cached_share : array
        Share of the reads that go to rows which fit into the cache together.

    Notes
    -----
    ``max(distinct, n (1 - cached share))``: a row comes from memory at least once,
    and whenever it was pushed out since. Exact where everything fits and where rows
    are equally likely; the hottest rows are taken to stay, which hits a little more
    often than the least recently used going first.
    """
    return np.asarray(np.maximum(distinct, num_reads * (1.0 - cached_share)))


def forward_bytes(
    num_ids: Any,
    id_bytes: Any,
    num_rows: Any,
    row_bytes: Any,
    num_outputs: Any,
    output_bytes: Any,
) -> Floats:
    """Bytes that a forward lookup moves through device memory.

    Notes
    -----
    n * id + rows * row padded to 32 B sectors + outputs * (offset 8 + output row).
    `num_rows` are the reads that come from memory.

    References
    ----------
    Lin et al., arXiv 2201.07821, section 4.
    """
    return np.asarray(
        num_ids * id_bytes
        + num_rows * sectors(row_bytes)
        + num_outputs * (8.0 + output_bytes)
    )


def backward_bytes(
    num_gradients: Any, gradient_row_bytes: Any, updated_bytes: Any
) -> Floats:
    """Bytes that the fused backward and optimizer step moves through device memory.

    Notes
    -----
    gradients * gradient row + 2 * updated: each touched row is read and written, with
    its state. `num_gradients` are the reads of gradient rows that come from memory.

    References
    ----------
    FBGEMM split table batched embeddings, exact backward; checked against
    NVIDIA/recsys-examples dynamicemb benchmark results.
    """
    return np.asarray(num_gradients * gradient_row_bytes + 2.0 * updated_bytes)


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
