"""Random numbers for annealing, from a table, for drawing them anew is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.tolerances import NOISE_TABLE

if TYPE_CHECKING:
    from shardplan.records.arrays import Singles


class Noise:
    """Standard Gumbel noise.

    Notes
    -----
    With independent G_i, argmin_i (cost_i - T G_i) is i with probability
    proportional to exp(-cost_i / T) (Gumbel 1954): one pass over an array draws from
    the Boltzmann distribution, without its sum and without overflow where T is small.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._table: Singles | None = None

    def draw(self, shape: tuple[int, ...]) -> Singles:
        """Return noise of a shape with at most 2^20 elements."""
        # Rounds use far more numbers than a generator makes in their time. A window
        # of the table at a random place is no longer independent of earlier ones, but
        # it meets other costs there.
        if self._table is None:
            self._table = self._rng.gumbel(size=NOISE_TABLE).astype(np.float32)
        size = int(np.prod(shape))
        start = int(self._rng.integers(len(self._table) - size + 1))
        return self._table[start : start + size].reshape(shape)
