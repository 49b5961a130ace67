"""Bytes that collectives put on every link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from shardplan.records.arrays import Floats


@dataclass(frozen=True, eq=False)
class Traffic:
    """Bytes on links; W ranks, U uplinks from leaf switches to the spine.

    Attributes
    ----------
    by_rank : float array (3, 2, W)
        On scale-up links, over PCIe to peers of the host, and on NICs of each rank;
        first out of the rank, then into it [bytes].
    uplink : float array (2, U)
        Up to the spine, and down from it [bytes].
    copied : float array (W,)
        Over PCIe from the host's memory [bytes].
    """

    by_rank: Floats
    uplink: Floats
    copied: Floats

    @classmethod
    def nothing(cls, world_size: int, num_uplinks: int) -> Self:
        """Return links without bytes."""
        return cls(
            np.zeros((3, 2, world_size)),
            np.zeros((2, num_uplinks)),
            np.zeros(world_size),
        )

    def __add__(self, other: Traffic) -> Traffic:
        """Add the bytes of two exchanges."""
        return Traffic(
            self.by_rank + other.by_rank,
            self.uplink + other.uplink,
            self.copied + other.copied,
        )

    def one_way(self, way: int) -> Traffic:
        """Return what goes out (0) or comes in (1) alone."""
        keep = np.arange(2) == way
        return Traffic(
            self.by_rank * keep[:, None], self.uplink * keep[:, None], self.copied
        )

    @property
    def scale_up(self) -> Floats:
        """Bytes on scale-up links, out and in (2, W)."""
        return np.asarray(self.by_rank[0])

    @property
    def pcie(self) -> Floats:
        """Bytes over PCIe to peers of the host, out and in (2, W)."""
        return np.asarray(self.by_rank[1])

    @property
    def nic(self) -> Floats:
        """Bytes on NICs, out and in (2, W)."""
        return np.asarray(self.by_rank[2])
