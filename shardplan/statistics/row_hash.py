"""A hash of rows, and the share of them that it draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Bools, Ints

LEVELS = 24
"""Samples have up to this level."""
_LEADING = np.uint64((1 << 64) - (1 << 11))


def row_hash(rows: Ints) -> Ints:
    """Return 64 bits that look drawn at random for each row.

    Parameters
    ----------
    rows : int array of shape (N,)

    Returns
    -------
    uint64 array of shape (N,)

    References
    ----------
    Steele, Lea, Flood 2014, Fast Splittable Pseudorandom Number Generators, OOPSLA
    (the finaliser of SplitMix64).
    """
    x: Any = rows.astype(np.uint64)
    x += np.uint64(0x9E3779B97F4A7C15)
    shifted = np.empty_like(x)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        np.right_shift(x, np.uint64(shift), out=shifted)
        x ^= shifted
        x *= np.uint64(factor)
    np.right_shift(x, np.uint64(31), out=shifted)
    x ^= shifted
    hashes: Ints = x
    return hashes


def level_of(hashes: Ints) -> Ints:
    """Return the leading zeros of each hash, at most `LEVELS`.

    A share 2^-b of all rows has a level of at least b: half of them have level 0.

    Parameters
    ----------
    hashes : uint64 array of shape (N,)

    Returns
    -------
    uint8 array of shape (N,)
    """
    # The leading bits are exact as a float, whose exponent counts the zeros.
    leading = (hashes & _LEADING).astype(np.float64)
    level = 1023 + 63 - (leading.view(np.int64) >> 52)
    found: Ints = np.minimum(level, LEVELS).astype(np.uint8)
    return found


def has_level(hashes: Ints, level: int) -> Bools:
    """Tell which hashes have at least a level, 0 to `LEVELS`."""
    found: Bools = hashes <= np.uint64((1 << 64 - level) - 1)
    return found


def row_level(rows: Ints) -> Ints:
    """Return the level of the hash of each row."""
    return level_of(row_hash(rows))


def sampled(rows: Ints, level: int) -> Bools:
    """Tell which rows are in the sample of a share 2^-level of all."""
    return has_level(row_hash(rows), level)
