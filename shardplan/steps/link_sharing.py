"""Ranks that share links: what an all-to-all takes follows from their loads together.

The amount of an all-to-all is that of its fullest link. Some links are a rank's own,
others carry what several ranks send: a NIC port, the NICs of a host that forwards
between rails, the uplink of a leaf. Of each kind of link the fullest one is that of the
group of ranks with the largest mean load, times a number that is the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shardplan.costs.communication.groups import Level
from shardplan.costs.communication.link_rates import KINDS, nic_ports
from shardplan.costs.communication.links import pcie_links
from shardplan.costs.scopes import Scope
from shardplan.steps.network import Network
from shardplan.steps.settings import SimulationSettings
from shardplan.steps.step_parts import reduce_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shardplan.costs.communication.traffic import Traffic
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.steps.pricing import StepPricer
    from shardplan.steps.sparse_work import SparseWork

ALL_TO_ALLS = (
    "length_exchange",
    "id_exchange",
    "output_all_to_all",
    "gradient_all_to_all",
)
"""Operations that wait for links which ranks may share."""
_SAME = 1.0 + 1e-6
"""Links that differ by less are as full as each other."""


class AllToAll(NamedTuple):
    """An all-to-all of a step.

    Attributes
    ----------
    columns : dict of str to Scope
        Columns of a `StepPricer` that load it, its own first, and the scope in whose
        groups ranks have the same load.
    carried : callable
        The bytes that it puts on links for some work.
    """

    columns: dict[str, Scope]
    carried: Callable[[SparseWork], Traffic]

    @property
    def name(self) -> str:
        """The operation, as in the program of the step."""
        return next(iter(self.columns))


def all_to_alls(network: Network) -> tuple[AllToAll, ...]:
    """List the all-to-alls of a step.

    Notes
    -----
    Groups exchange what they have reduced; all ranks together have nothing left to
    send.
    """

    def columns(own: str, reduction: str = "") -> dict[str, Scope]:
        groups = reduce_names(reduction)[:-1] if reduction else ()
        return {own: Scope.RANK, **{name: scope for scope, name in groups}}

    lengths, ids, outputs, gradients = ALL_TO_ALLS
    return (
        AllToAll(
            columns(lengths),
            lambda work: network.gather_ids(work.length_bytes).traffic,
        ),
        AllToAll(
            columns(ids),
            lambda work: network.gather_ids(work.id_bytes).traffic,
        ),
        AllToAll(
            columns(outputs, "reduce_scatter"),
            lambda work: network.spread(work.outputs).traffic,
        ),
        AllToAll(
            columns(gradients, "all_gather"),
            lambda work: network.gather(work.gradients).traffic,
        ),
    )


@dataclass(frozen=True, eq=False)
class LinkSharing:
    """Groups of ranks, and what their mean loads are for links that each shares.

    Attributes
    ----------
    of_rank : int array (W,)
        The group of each rank, from 0 on.
    size : float array (G,)
        Ranks in each group.
    exchange : int array (M,)
        The column of the all-to-all that each of M kinds of links carries.
    weight : float array (M, C, R)
        Seconds of a group's link for a second of load of all its ranks, by the class of
        the ranks and the column of the load.
    """

    of_rank: Ints
    size: Floats
    exchange: Ints
    weight: Floats


def link_sharing(pricer: StepPricer, used: Bools) -> tuple[LinkSharing, ...]:
    """Find the links that all-to-alls may wait for, by the ranks that share them.

    Parameters
    ----------
    pricer : StepPricer
    used : bool array (R,)
        Columns that loads may be in.

    Notes
    -----
    One rank of each class is probed, with those that may share its links: of groups
    that are cut off at the end of a cluster, and of loads on several classes, amounts
    are near, not exact. They are also where messages for other rails are forwarded.
    """
    model = pricer.model
    network = Network(model.cluster, model.rates, SimulationSettings.path())
    levels = tuple(_levels(network))
    found: list[list[_Links]] = [[] for _ in levels]
    for exchange in all_to_alls(network):
        links: list[_Links] = []
        for level in levels:
            links += _links(pricer, used, network, exchange, level)
        for one in _fullest(links):
            found[levels.index(one.level)].append(one)
    return tuple(
        LinkSharing(
            level.ids,
            np.bincount(level.ids).astype(float),
            np.array([one.exchange for one in kept]),
            np.array([one.weight for one in kept]),
        )
        for level, kept in zip(levels, found, strict=True)
        if kept
    )


@dataclass(frozen=True, eq=False)
class _Links:
    """Links of one kind, one for each group of ranks, in one all-to-all.

    Attributes
    ----------
    level : Level
        The groups.
    exchange : int
        Column of the all-to-all.
    weight : float array (C, R)
    even : tuple of Level
        By column: groups whose ranks have the same loads (R,).
    """

    level: Level
    exchange: int
    weight: Floats
    even: tuple[Level, ...]

    def covers(self, other: _Links) -> bool:
        """Whether these are as full as others at least, whatever the loads are."""
        if _is_inside(self.level, other.level):
            # A group's mean load is at most that of the fullest of its parts.
            return bool((other.weight <= self.weight * _SAME).all())
        return _is_inside(other.level, self.level) and bool(
            (other.weight <= self._part_of(other.level) * self.weight * _SAME).all()
        )

    def _part_of(self, smaller: Level) -> Floats:
        """Return how much of a part's mean load is that of its group at least (R,)."""
        least = float((smaller.size / self.level.size).max())
        # All shards of a reduction are alike.
        alike = [_is_inside(self.level, groups) for groups in self.even]
        return np.where(alike, 1.0, least)


def _is_inside(smaller: Level, larger: Level) -> bool:
    """Whether the groups of one level are parts of those of another."""
    return int(smaller.split(larger.ids).ids.max()) == int(smaller.ids.max())


def _fullest(links: list[_Links]) -> list[_Links]:
    """Leave out links that are never fuller than others."""
    return [
        one
        for number, one in enumerate(links)
        if not any(
            other.covers(one) and (place < number or not one.covers(other))
            for place, other in enumerate(links)
            if place != number
        )
    ]


def _levels(network: Network) -> Iterator[Level]:
    """Yield groups of ranks that may share links, each once."""
    cluster, routes = network.cluster, network.routes
    seen: set[bytes] = set()
    for ids in (
        np.arange(cluster.world_size),
        pcie_links(cluster)[0],
        nic_ports(cluster)[0],
        cluster.rank_domain,
        cluster.rank_host,
        routes.leaf,
        routes.leaf_group.ids,
        np.zeros(cluster.world_size, dtype=np.int64),
    ):
        _, first, group = np.unique(ids, return_index=True, return_inverse=True)
        group = first.argsort().argsort()[group]
        if group.tobytes() not in seen:
            seen.add(group.tobytes())
            yield Level(group)


def _links(
    pricer: StepPricer, used: Bools, network: Network, exchange: AllToAll, level: Level
) -> Iterator[_Links]:
    """Yield the kinds of links, while all ranks of a group have a second of load."""
    cluster, names = network.cluster, pricer.phases
    rates = network.rates.collectives.all_to_all
    _, first_rank = np.unique(cluster.rank_class, return_index=True)
    weight = np.zeros((2 * len(KINDS), len(cluster.host_groups), len(names)))
    single = Level(np.arange(cluster.world_size))
    even = [single] * len(names)
    for name, scope in exchange.columns.items():
        column = names.index(name)
        even[column] = Level(cluster.groups(scope).of_rank)
        for rank in first_rank.tolist() if used[column] else ():
            cost = np.zeros((cluster.world_size, len(names)))
            cost[level.ids == level.ids[rank], column] = 1.0
            seconds = rates.seconds_each_way(exchange.carried(pricer.work(cost)))
            weight[:, cluster.rank_class[rank], column] = seconds.max(axis=1)
    own = names.index(exchange.name)
    for kind in weight:
        if kind.any():
            yield _Links(level, own, kind, tuple(even))
