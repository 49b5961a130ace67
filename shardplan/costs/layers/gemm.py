"""Matrix products in waves of tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.memory.storage import FP32_BYTES

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shardplan.records.arrays import Floats


# Ways to cut the inner dimension, so that small products fill the device too.
_SPLITS = (1, 2, 4, 8, 16, 32)


def gemm_time(
    m: ArrayLike,
    n: ArrayLike,
    k: ArrayLike,
    element_bytes: ArrayLike,
    peak_flops: ArrayLike,
    efficiency: ArrayLike,
    tile: ArrayLike,
    num_sms: ArrayLike,
    memory_bw: ArrayLike,
    memory_efficiency: ArrayLike,
    launch_s: ArrayLike,
) -> Floats:
    """Return the time of an (m, k) by (k, n) matrix product.

    Parameters
    ----------
    m, n, k : int arrays
        Sizes.
    element_bytes : float array
        Of both factors and the product [bytes].
    peak_flops : float array
        Of the whole device [FLOP/s].
    efficiency : float array
        Reached by a multiprocessor that has a tile, as a fraction of its peak [-].
    tile : float array
        Side of a square tile of the product [elements].
    num_sms : int array
        Tiles that are worked on at once; 0 where tiles do not matter.
    memory_bw : float array
        Peak [bytes/s].
    memory_efficiency : float array
        Fraction of it that is reached [-].
    launch_s : float array
        Launching the kernel and filling its pipeline [s].

    Returns
    -------
    float array of the broadcast shape
        Time [s].

    Notes
    -----
    ``t = max(2 m n k / (peak * efficiency * fill), bytes / (efficiency_m * bw)) +
    launch`` with ``fill = tiles / (sms * ceil(tiles / sms))``, since the last wave of
    tiles leaves multiprocessors idle. Where tiles are few, k is cut into s parts:
    s times the tiles, whose sums are written and read again,
    ``bytes = e (m k + k n + m n) + [s > 1] 8 s m n``; the fastest s is taken.

    References
    ----------
    NVIDIA, Matrix Multiplication Background User's Guide (tile and
    wave quantization); NVIDIA, CUTLASS, "Efficient GEMM in CUDA" (split-K).
    """
    m, n, k = (np.asarray(size, dtype=float) for size in (m, n, k))
    tile, sms = np.asarray(tile, dtype=float), np.asarray(num_sms, dtype=float)
    flop_rate = np.asarray(peak_flops, dtype=float) * np.asarray(efficiency)
    byte_rate = np.asarray(memory_bw, dtype=float) * np.asarray(memory_efficiency)
    moved = np.asarray(element_bytes, dtype=float) * (m * k + k * n + m * n)
    fastest: Floats = np.asarray(np.inf)
    for split in _SPLITS:
        tiles = np.maximum(np.ceil(m / tile) * np.ceil(n / tile), 1.0) * split
        slots = np.where(sms > 0, sms, tiles)
        fill = tiles / (slots * np.ceil(tiles / slots))
        partial_sums = 2 * FP32_BYTES * split * m * n if split > 1 else 0.0
        compute = 2.0 * m * n * k / (flop_rate * fill)
        time = np.maximum(compute, (moved + partial_sums) / byte_rate)
        allowed = (split == 1) | (k >= split * tile)
        fastest = np.where(allowed, np.minimum(fastest, time), fastest)
    return np.asarray(fastest + np.asarray(launch_s, dtype=float))
