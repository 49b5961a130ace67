"""Attention: matrix products, and a function of every product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shardplan.records.arrays import Floats


def attention_time(
    flops: ArrayLike,
    scores: ArrayLike,
    num_bytes: ArrayLike,
    flop_rate: float,
    score_rate: float | None,
    byte_rate: float,
    launch_s: ArrayLike,
) -> Floats:
    """Return the time of a fused attention kernel.

    Parameters
    ----------
    flops : float array
        Of its matrix products.
    scores : float array
        Evaluations of softmax, SiLU or the like.
    num_bytes : float array
        Queries, keys, values and outputs moved through memory [bytes].
    flop_rate : float
        That its products reach [FLOP/s].
    score_rate : float or None
        Evaluations per second, as registers and special units allow; None for
        products that hide them [1/s].
    byte_rate : float
        Of device memory [bytes/s].
    launch_s : float array
        [s].

    Returns
    -------
    float array of the broadcast shape
        Time [s].

    Notes
    -----
    ``max(flops / flop_rate, bytes / byte_rate) + scores / score_rate + launch``.
    Products and scores of a tile follow each other: kernels on MI350X (forward 43.2 ms
    = 16.7 + 26.5 ms) fit a sum, not the larger of both.

    References
    ----------
    Dao et al. 2022, FlashAttention, arXiv:2205.14135; Zhai et al. 2024, HSTU,
    arXiv:2402.17152; AMD-AGI/Primus@65073b82,
    primus/core/projection/hstu_attention_simulator.py.
    """
    flops, scores = np.asarray(flops, dtype=float), np.asarray(scores, dtype=float)
    moved = np.asarray(num_bytes, dtype=float) / byte_rate
    time = np.maximum(flops / flop_rate, moved)
    if score_rate is not None:
        time = time + scores / score_rate
    return np.asarray(time + np.asarray(launch_s, dtype=float))
