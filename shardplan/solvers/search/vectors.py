"""Shards as vectors: time per phase and memory, as shares of what there is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope
from shardplan.records.sharding import TIERS, Objective
from shardplan.solvers.tolerances import ALIKE, LEAST_NORMAL, VECTOR_TABLE

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Floats, Ints


@dataclass(frozen=True, eq=False)
class Vectors:
    """Turns items into vectors of D times, HBM, DDR and SSD.

    Attributes
    ----------
    unit_s : float
        The time that counts as 1 [s].
    phases : int array (Q,)
        Phases in which anything costs time.
    time_of : int array (Q,)
        The dimension of time, 0 to D - 1, that each of them adds to: one of its own for
        `step`, unless the same ranks are always slowest in several; 0 for `max-rank`.
    room : float array (C, 3)
        Bytes per rank (HBM) or pool (DDR, SSD) and class; the least of the class.
    """

    problem: Problem
    unit_s: float
    phases: Ints
    time_of: Ints
    room: Floats

    @classmethod
    def of(cls, problem: Problem, unit_s: float) -> Vectors:
        """Look at what the problem's objective distinguishes."""
        cluster = problem.cluster
        owners, rooms = problem.capacity.classes(cluster), problem.rooms
        room = np.full((len(cluster.host_groups), len(TIERS)), np.inf)
        for tier, owner in enumerate(owners):
            np.minimum.at(room[:, tier], owner, rooms[tier])
        room = np.maximum(room, 1.0)
        # Every move works on all dimensions: what costs nothing anywhere is left out.
        phases = np.flatnonzero(problem.options.item_cost.any(axis=(0, 1)))
        phases = phases if len(phases) else np.zeros(1, dtype=np.int64)
        return cls(
            problem=problem,
            unit_s=unit_s,
            phases=phases,
            time_of=_times(problem, phases),
            room=room,
        )

    @property
    def num_times(self) -> int:
        """Number of time dimensions D."""
        return int(self.time_of.max()) + 1

    @property
    def is_sum(self) -> bool:
        """Whether the objective is about the sum over the phases."""
        return self.problem.objective is Objective.MAX_RANK

    def by_phase(self) -> Vectors:
        """Return vectors with a dimension of time per phase; one for `max-rank`."""
        if self.is_sum:
            return self
        return replace(self, time_of=np.arange(len(self.phases)))

    def of_items(self, items: Ints) -> Floats:
        """Vectors of K items on each class, float array (K, C, D + 3)."""
        return self._computed(items) if self._table is None else self._table[items]

    @cached_property
    def _table(self) -> Floats | None:
        """Vectors of all items where that is little memory.

        Moves look up a few items at a time, and very often.
        """
        num_items = len(self.problem.options.item_count)
        size = num_items * len(self.room) * (self.num_times + len(TIERS))
        return self._computed(np.arange(num_items)) if size <= VECTOR_TABLE else None

    def _computed(self, items: Ints) -> Floats:
        menu = self.problem.options
        seconds = menu.item_cost[items][:, :, self.phases]
        own = [self.time_of == time for time in range(self.num_times)]
        cost = np.stack([seconds[:, :, some].sum(axis=2) for some in own], axis=2)
        share = menu.item_bytes[items][:, None, :] / self.room
        return np.concatenate([cost / self.unit_s, share], axis=2)


def _times(problem: Problem, phases: Ints) -> Ints:
    """Give phases with loads in proportion one dimension of time (Q,).

    Notes
    -----
    What is on all ranks alike makes no difference, if the ranks are alike.
    """
    if problem.objective is Objective.MAX_RANK:
        return np.zeros(len(phases), dtype=np.int64)
    # Each dimension less makes all moves faster, and changes no plan's value: the
    # slowest rank of one such phase is that of the other.
    menu = problem.options
    cost = np.where(np.isfinite(menu.item_cost), menu.item_cost, 0.0)
    if cost.shape[1] == 1:
        cost = cost[menu.scope[menu.item_option] != Scope.ALL]
    columns = cost.reshape(-1, cost.shape[2])[:, phases].T
    columns = (
        columns / np.maximum(columns.max(axis=1, initial=0.0), LEAST_NORMAL)[:, None]
    )
    alike = np.abs(columns[:, None] - columns).max(axis=2, initial=0.0) <= ALIKE
    _, found = np.unique(alike.argmax(axis=1), return_inverse=True)
    return np.asarray(found)
