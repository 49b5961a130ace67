"""Loads in few columns, of single ranks and of ranks that share links."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.problems.weighted import step_pricer
from shardplan.steps.link_sharing import ALL_TO_ALLS, link_sharing
from shardplan.steps.operation_loads import KERNELS
from shardplan.steps.pricing import REPLICA_SYNC

if TYPE_CHECKING:
    from shardplan.problems.problem import Problem
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.steps.pricing import StepPricer


_GLANCE = 1000
"""Items by which columns are compared before all are looked at."""
_CHAINED = ("embedding_forward", "embedding_backward", REPLICA_SYNC)
_CHAIN = "update and next lookup"
"""From its update, and the averaging of its copies, a rank goes on to its next lookup
without meeting others: where all are on the path, the rank with the largest sum
counts."""


@dataclass(frozen=True, eq=False)
class RankGroups:
    """Ranks that have some columns together; W ranks in G groups, C classes.

    Attributes
    ----------
    of_rank : int array (W,)
        The group of each rank.
    members : float array (G, C)
        Ranks of each class in every group.
    part : slice
        Their columns.
    """

    of_rank: Ints
    members: Floats
    part: slice

    @cached_property
    def is_single(self) -> bool:
        """Whether each rank is a group of its own."""
        return len(self.members) == len(self.of_rank)

    @cached_property
    def size(self) -> Floats:
        """Ranks in each group (G,)."""
        return np.asarray(self.members.sum(axis=1))

    def total(self, values: Floats) -> Floats:
        """Add up what all ranks have (..., K') of what groups have (..., G, K')."""
        # Not by BLAS, whose threads wait longer for each other than this takes.
        if self.is_single:
            return np.asarray(np.add.reduce(values, axis=-2))
        return np.asarray(np.einsum("g,...gk->...k", self.size, values))

    def sums(self, load: Floats) -> Floats:
        """Add up loads of ranks (W, K') in groups (G, K')."""
        total = np.zeros((len(self.members), load.shape[1]))
        np.add.at(total, self.of_rank, load)
        return total


class StepColumns:
    """What operations depend on: the fullest rank, or the fullest group on a link.

    An all-to-all has a column for each kind of link that it may wait for: the mean load
    of the ranks that share one. Of columns whose loads are in proportion on all items,
    one stands for all; K are left.

    Parameters
    ----------
    problem : Problem
        Under `time`.

    Attributes
    ----------
    names : tuple of A str
        The operations that items load, collectives first, then kernels; the last one is
        what a rank does in a row: update and next lookup.
    num_sent : int
        How many of them are collectives.
    chained : bool array (A,)
        What the last one consists of.
    item_load : float array (I, C, K)
        What items add to the groups of ranks of each class.
    groups : tuple of RankGroups
        Who has each column; single ranks first.
    """

    def __init__(self, problem: Problem) -> None:
        cost = problem.options.item_cost
        pricer, self._class = step_pricer(problem), problem.cluster.rank_class
        every = np.array([*pricer.phases, _CHAIN])
        used = np.asarray(cost.any(axis=(0, 1)))
        levels = _levels(pricer, used, np.isin(every, _CHAINED))
        groups, loads, number = [], [], 0
        owners: list[tuple[int, int, float]] = []
        self._weights: list[Floats] = []
        for level in levels:
            weight = level.weight / _class_sizes(level.of_rank, self._class)[:, None]
            load = np.einsum("icr,mcr->icm", cost, weight)
            kept, column, times = _in_proportion(load)
            part = slice(number, number + len(kept))
            members = _members(level.of_rank, self._class)
            groups.append(RankGroups(level.of_rank, members, part))
            loads.append(load[:, :, kept])
            self._weights.append(weight[kept])
            owners += zip(level.operation.tolist(), column + number, times, strict=True)
            number = part.stop
        self.groups = tuple(groups)
        self.item_load = np.concatenate(loads, axis=2)
        column, times = _by_operation(owners, len(every))
        is_sent = ~np.isin(every, (*KERNELS, _CHAIN))
        order = np.argsort(~is_sent, kind="stable")
        order = order[times[0, order].astype(bool) | (order == len(every) - 1)]
        self._column, self._times = column[:, order], times[:, order]
        self.names, self.num_sent = tuple(every[order]), int(is_sent[order].sum())
        self.chained = np.isin(self.names, _CHAINED)

    def loads(self, cost: Floats) -> list[Floats]:
        """Return what groups have for loads of ranks (W, R): one (G, K') for each."""
        found = []
        for groups, weight in zip(self.groups, self._weights, strict=True):
            own = np.empty((len(cost), len(weight)))
            for number, each in enumerate(np.moveaxis(weight, 1, 0)):
                ranks = self._class == number
                own[ranks] = cost[ranks] @ each.T
            found.append(own if groups.is_single else groups.sums(own))
        return found

    def fullest(self, cost: Floats) -> Floats:
        """Return the fullest groups (K,) for loads of ranks (W, R)."""
        return np.concatenate([load.max(axis=0) for load in self.loads(cost)])

    def amounts(self, fullest: Floats) -> Floats:
        """Return what operations depend on (..., A) for fullest groups (..., K)."""
        if len(self._column) == 1:
            return np.asarray(fullest[..., self._column[0]] * self._times[0])
        found = fullest[..., self._column] * self._times
        return np.asarray(np.maximum.reduce(found, axis=-2))

    def slopes(self, fullest: Floats, slope: Floats) -> Floats:
        """Return by how much a sum grows with the fullest groups (K,).

        Parameters
        ----------
        fullest : float array (K,)
        slope : float array (A,)
            By how much it grows with the amounts of operations.
        """
        which = (fullest[self._column] * self._times).argmax(axis=0)
        every = np.arange(len(which))
        column, times = self._column[which, every], self._times[which, every]
        number = self.item_load.shape[2]
        return np.asarray(np.bincount(column, slope * times, number), dtype=float)

    def of_collectives(self) -> Ints:
        """Return one column of each collective."""
        return np.unique(self._column[0, : self.num_sent])


class _Level(NamedTuple):
    """M columns of groups of ranks.

    Attributes
    ----------
    of_rank : int array (W,)
    operation : int array (M,)
        Whose amount each is.
    weight : float array (M, C, R)
        What a second of load of all ranks of a group is in each.
    """

    of_rank: Ints
    operation: Ints
    weight: Floats


def _levels(pricer: StepPricer, used: Bools, chained: Bools) -> list[_Level]:
    """List the groups whose loads count, single ranks first."""
    model, names = pricer.model, pricer.phases
    number, classes = len(names), len(model.cluster.host_groups)
    own = np.vstack([np.eye(number), chained[:-1]])
    mine = np.flatnonzero(~np.isin([*names, _CHAIN], ALL_TO_ALLS))
    weight = np.repeat(own[mine][:, None], classes, axis=1)
    ranks = np.arange(model.cluster.world_size)
    levels = [_Level(ranks, mine, weight)]
    for links in link_sharing(pricer, used):
        one = _Level(links.of_rank, links.exchange, links.weight)
        if np.array_equal(links.of_rank, ranks):
            operations = np.append(mine, one.operation)
            levels[0] = _Level(ranks, operations, np.concatenate([weight, one.weight]))
        else:
            levels.append(one)
    return levels


def _class_sizes(of_rank: Ints, rank_class: Ints) -> Floats:
    """Return the ranks in a group of each class (C,)."""
    _, first = np.unique(rank_class, return_index=True)
    return np.bincount(of_rank)[of_rank[first]].astype(float)


def _members(of_rank: Ints, rank_class: Ints) -> Floats:
    """Return how many ranks of each class every group has (G, C)."""
    members = np.zeros((int(of_rank.max()) + 1, int(rank_class.max()) + 1))
    np.add.at(members, (of_rank, rank_class), 1.0)
    return members


def _by_operation(
    owners: list[tuple[int, int, float]], number: int
) -> tuple[Ints, Floats]:
    """Return columns and how often each is in its operation (V, R + 1), 0 if not."""
    most = int(np.bincount([operation for operation, _, _ in owners]).max())
    column = np.zeros((most, number), dtype=np.int64)
    times = np.zeros((most, number))
    filled = [0] * number
    for operation, index, often in owners:
        if often > 0:
            place = filled[operation]
            column[place, operation], times[place, operation] = index, often
            filled[operation] += 1
    kept = max(max(filled), 1)
    return column[:kept], times[:kept]


def _in_proportion(load: Floats) -> tuple[Ints, Ints, Floats]:
    """Find columns that are multiples of others.

    Parameters
    ----------
    load : float array (I, C, M)

    Returns
    -------
    kept : int array (K,)
        Columns that stand for all.
    column : int array (M,)
        Which of them stands for each.
    times : float array (M,)
        How often it is in it; 0 for a column without loads.
    """
    flat = load.reshape(-1, load.shape[2])
    top = flat.max(axis=0, initial=0.0)
    shape = (flat / np.where(top > 0, top, 1.0)).T
    few = shape[:, :: max(len(flat) // _GLANCE, 1)]
    kept: list[int] = []
    column, times = np.zeros(len(top), dtype=np.int64), np.zeros(len(top))
    for index in np.flatnonzero(top > 0).tolist():
        alike = [
            place
            for place, other in enumerate(kept)
            if _is_close(few[index], few[other])
            and _is_close(shape[index], shape[other])
        ]
        if not alike:
            kept.append(index)
        column[index] = alike[0] if alike else len(kept) - 1
        times[index] = top[index] / top[kept[column[index]]]
    return np.array(kept, dtype=np.int64), column, times


def _is_close(one: Floats, other: Floats) -> bool:
    return bool(np.isclose(one, other, rtol=1e-9, atol=1e-12).all())
