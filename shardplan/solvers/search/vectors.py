"""Shards as vectors: time per phase and memory, as shares of what there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shardplan.sharding import TIERS, Objective

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shardplan.problem import Problem

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

"""Share of a pool left free, so that another order of summation still fits."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """Turns items into vectors of D times, HBM, DDR and SSD.

    Attributes
    ----------
    unit_s : float
        The time that counts as 1 [s].
    phases : int array
        Phases in which anything costs time; D of them for `step`.
    is_sum : bool
        For `max-rank`: D is 1, the sum over the phases.
    room : float array (C, 3)
        Bytes per rank (HBM) or host (DDR, SSD) and class; the least of the class.
    """

    problem: Problem
    unit_s: float
    phases: Ints
    is_sum: bool
    room: Floats

    @classmethod
    def of(cls, problem: Problem, unit_s: float) -> Vectors:
        """Look at what the problem's objective distinguishes."""
        cluster = problem.cluster
        owners, rooms = problem.capacity.classes(cluster), problem.rooms
        room = np.full((len(cluster.groups), len(TIERS)), np.inf)
        for tier, owner in enumerate(owners):
            np.minimum.at(room[:, tier], owner, rooms[tier])
        room = np.maximum(room, 1.0)
        phases = np.flatnonzero(problem.options.item_cost.any(axis=(0, 1)))
        return cls(
            problem=problem,
            unit_s=unit_s,
            phases=phases if len(phases) else np.zeros(1, dtype=np.int64),
            is_sum=problem.objective is Objective.MAX_RANK,
            room=room,
        )

    @property
    def num_times(self) -> int:
        """Number of time dimensions D."""
        return 1 if self.is_sum else len(self.phases)

    def of_items(self, items: Ints) -> Floats:
        """Vectors of K items on each class, float array (K, C, D + 3)."""
        menu = self.problem.options
        cost = menu.item_cost[items][:, :, self.phases] / self.unit_s
        if self.is_sum:
            cost = cost.sum(axis=2, keepdims=True)
        share = menu.item_bytes[items][:, None, :] / self.room
        return np.concatenate([cost, share], axis=2)
