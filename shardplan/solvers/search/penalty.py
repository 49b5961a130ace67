"""What is too much: time above levels, and memory above capacity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.solvers.search.params import SEARCH_DEFAULTS

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats, Singles


@dataclass(frozen=True, eq=False)
class Penalty:
    """A sum over ranks and pools that search makes small.

    Attributes
    ----------
    level : float array (D,)
        Time per dimension that costs nothing.
    memory : float
        Penalty of one whole capacity too much, against (1 = the bound's time)^2.
    ranks_per_pool : float
        How many ranks' memory a pool counts as: those that share it.

    Notes
    -----
    Of a rank: sum_d max(0, x_d - level_d)^2 + w * max(0, hbm - 1); of a pool:
    w * ranks per pool * (max(0, ddr - 1) + max(0, ssd - 1)), for a hundredth of a host
    holds as many tables as a hundredth of each of its ranks. Squares prefer many small
    excesses to a large one; memory is linear, so that a byte too much still counts.
    """

    level: Floats
    memory: float = SEARCH_DEFAULTS.anneal.memory_penalty
    ranks_per_pool: float = 1.0

    def of_ranks(self, load: Floats) -> Floats:
        """Penalty of each rank: load (..., D + 1) -> (...)."""
        over = np.maximum(load[..., :-1] - self.level, 0.0)
        memory = np.maximum(load[..., -1] - 1.0, 0.0)
        return np.asarray(
            np.einsum("...d,...d->...", over, over) + self.memory * memory
        )

    def of_excess(self, excess: Singles) -> Singles:
        """Penalty of ranks that exceed levels and memory by so much; overwrites it."""
        # For the large arrays of exchanges and divisions, where this is most of the
        # time: no copies, half the bytes.
        np.maximum(excess, np.float32(0.0), out=excess)
        time, memory = excess[..., :-1], excess[..., -1]
        squares = np.einsum("...d,...d->...", time, time)
        return np.asarray(squares + np.float32(self.memory) * memory)

    def add_excess(
        self, cost: Singles, excess: Singles, more: Singles, work: Singles
    ) -> None:
        """Add to costs (N,) the penalties of ranks that exceed by so much.

        Parameters
        ----------
        excess : float array (D + 1, N)
        more : float array (D + 1,)
            What each of the ranks exceeds by beside that.
        work : float array (N,)
            Is overwritten.
        """
        # A dimension at a time, in place: of 25,000 ranks three times as fast as
        # `of_excess`, for all stays within a cache.
        for d, added in enumerate(more):
            np.add(excess[d], added, out=work)
            np.maximum(work, np.float32(0.0), out=work)
            work *= work if d < len(self.level) else np.float32(self.memory)
            cost += work

    def rise(self, load: Floats, pool_load: Floats, added: Floats) -> Floats:
        """Rise of the penalty of each rank where shards are added.

        Parameters
        ----------
        load : float array (..., D + 1)
        pool_load : float array (..., 2)
        added : float array (..., D + 3)
        """
        rise = self.of_ranks(load + added[..., :-2]) - self.of_ranks(load)
        more = added[..., -2:]
        if more.any():
            rise += self.of_pools(pool_load + more) - self.of_pools(pool_load)
        return rise

    def of_pools(self, load: Floats) -> Floats:
        """Penalty of each pool: load (..., 2) -> (...)."""
        over: Floats = np.maximum(load - 1.0, 0.0).sum(axis=-1)
        return self.of_bytes * over

    @property
    def of_bytes(self) -> float:
        """Penalty of one whole capacity of a pool."""
        return self.memory * self.ranks_per_pool
