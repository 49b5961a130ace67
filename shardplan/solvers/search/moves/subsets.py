"""Subsets as rows of a matrix: sums over all of them are one product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Singles


def all_subsets(size: int) -> Singles:
    """All subsets of `size` things as rows of zeros and ones; the empty one first."""
    subsets = np.arange(2**size)[:, None] >> np.arange(size)
    return (subsets & 1).astype(np.float32)
