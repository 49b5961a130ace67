"""Compression of exchanged outputs and gradients by leaving out small values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats
    from shardplan.records.workload import Compression


class Compressed(NamedTuple):
    """What N messages are on the wire, and what it takes to make them so.

    Attributes
    ----------
    share : float array (N,)
        Bytes on the wire over those of the plain form; 1 where that is sent [-].
    encode_s : float array (N, C)
        Encoding and decoding, per class of ranks [s].
    """

    share: Floats
    encode_s: Floats


def compress(
    plain_bytes: Floats,
    s_per_byte: Floats,
    compression: Compression,
    memory_bw: Floats,
) -> Compressed:
    """Decide for each message whether its compressed form is sent.

    Parameters
    ----------
    plain_bytes : float array (N,)
        Messages in their plain form; 0 for what cannot be compressed [bytes].
    s_per_byte : float array (N, C)
        Seconds per byte on the wire, per class of ranks [s/byte].
    compression : Compression
    memory_bw : float array (C,)
        Achieved bandwidth of device memory [bytes/s].

    Notes
    -----
    ``t = V / ratio * s_per_byte + passes * V / memory_bw`` if V reaches the threshold
    and that is less than ``V * s_per_byte`` on the slowest class, else the latter.

    References
    ----------
    Gupta et al. 2021, Training recommender systems at scale: communication-efficient
    model and data parallelism, KDD, arXiv:2010.08899 (dynamic communication
    thresholding, DCT).
    """
    plain = plain_bytes[:, None] * s_per_byte
    encode = plain_bytes[:, None] * (compression.passes / memory_bw)
    small = plain / compression.ratio + encode
    pays = small.max(axis=1, initial=0.0) < plain.max(axis=1, initial=0.0)
    pays &= plain_bytes >= compression.threshold_bytes
    share = np.where(pays, 1.0 / compression.ratio, 1.0)
    return Compressed(share, np.where(pays[:, None], encode, 0.0))
