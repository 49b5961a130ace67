"""Random numbers for annealing, from a table, for drawing them anew is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.tolerances import NOISE_TABLE

if TYPE_CHECKING:
    from shardplan.records.arrays import Singles


class Noise:
    """Standard Gumbel noise: the largest of exp(-cost) draws, by adding and sorting."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._table: Singles | None = None

    def draw(self, shape: tuple[int, ...]) -> Singles:
        """Return noise of a shape with at most 2^20 elements."""
        if self._table is None:
            self._table = self._rng.gumbel(size=NOISE_TABLE).astype(np.float32)
        size = int(np.prod(shape))
        start = int(self._rng.integers(len(self._table) - size + 1))
        return self._table[start : start + size].reshape(shape)
