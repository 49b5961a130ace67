"""Scopes: the sets of ranks over which one block of columns may be spread.

Each scope is one entry at the end of this module, or one call of `add_scope`; prices,
menus, solvers, checks and the simulator take what they know of it from there, and its
groups of ranks from :meth:`shardplan.costs.cluster.Cluster.groups`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from shardplan.errors import InputError
from shardplan.records.sharding import ShardingType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shardplan.costs.cluster import Cluster
    from shardplan.records.arrays import Bools, Ints


IN_GROUPS = frozenset({ShardingType.TABLE_ROW_WISE, ShardingType.GRID_SHARD})
"""Sharding types that cut rows over a host, a scale-up domain, or a scope like them."""


class Scope(int):
    """One way to group ranks; arrays hold its number, ``Scope(number)`` finds it.

    The shard of a `RANK` answers by all-to-all. The row shards of a block over a wider
    scope reduce-scatter in their group; groups then exchange their sums by all-to-all,
    unless `ALL` ranks are one group.

    Attributes
    ----------
    name : str
        In the names of operations and variables, and in messages.
    grouping : callable
        From a cluster to the group of each of its ranks, int array (W,).
    types : frozenset of ShardingType
        Sharding types that cut the rows of a block over one group, and reduce there.
    """

    RANK: ClassVar[Scope]
    HOST: ClassVar[Scope]
    DOMAIN: ClassVar[Scope]
    ALL: ClassVar[Scope]

    name: str
    grouping: Callable[[Cluster], Ints]
    types: frozenset[ShardingType]

    def __new__(cls, number: int) -> Self:
        """Return the scope with a number.

        Raises
        ------
        ValueError
            If there is none.
        """
        if not 0 <= number < len(SCOPES):
            known = ", ".join(f"{int(scope)} {scope.name}" for scope in SCOPES)
            raise ValueError(f"{int(number)} is no scope; there are {known}")
        return SCOPES[number]  # type: ignore[return-value]

    def __repr__(self) -> str:
        """Name the scope."""
        return f"<Scope {int(self)}: {self.name}>"

    def __reduce__(self) -> tuple[type[Scope], tuple[int]]:
        """Pickle the number alone."""
        return Scope, (int(self),)


SCOPES: list[Scope] = []
"""All scopes, by number."""


def add_scope(
    name: str,
    grouping: Callable[[Cluster], Ints],
    types: Iterable[ShardingType] = IN_GROUPS,
) -> Scope:
    """Add a scope; do it before anything is planned.

    Parameters
    ----------
    name : str
        One lower-case word that no other scope has.
    grouping : callable
        From a cluster to the group of each of its ranks, int array (W,): ranks with
        equal numbers are a group. A group's ranks follow each other, and a group does
        not cut hosts or scale-up domains: it lies in one, or holds whole ones.
    types : iterable of ShardingType
        Those that cut rows over one group. They are offered for every target whose
        framework cuts rows over any ranks.

    Raises
    ------
    ValueError
        If the name is taken or no such word.
    """
    if not (name.isidentifier() and name.islower()):
        raise ValueError(f"name of a scope: {name!r} must be one lower-case word")
    if name in {scope.name for scope in SCOPES}:
        raise ValueError(f"name of a scope: {name!r} is taken; choose another")
    scope = int.__new__(Scope, len(SCOPES))
    scope.name, scope.grouping, scope.types = name, grouping, frozenset(types)
    SCOPES.append(scope)
    return scope


def scopes_of(kind: ShardingType) -> list[Scope]:
    """Return the scopes in whose groups a sharding type reduces."""
    return [scope for scope in SCOPES if kind in scope.types]


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of one scope on a cluster: W ranks in G groups of consecutive ranks.

    Attributes
    ----------
    of_rank : int array (W,)
        The group of each rank.
    first_rank, num_ranks : int arrays (G,)
    is_own : bool array (G,)
        No earlier scope with one of the sharding types has the same group.
    """

    of_rank: Ints
    first_rank: Ints
    num_ranks: Ints
    is_own: Bools

    @classmethod
    def of(cls, group: Ints) -> Self:
        """Return groups that are numbered in ascending order.

        Raises
        ------
        ValueError
            If the ranks of a group do not follow each other.
        """
        first = np.flatnonzero(np.r_[True, np.diff(group) != 0])
        if len(np.unique(group)) < len(first):
            raise ValueError("the ranks of each group must follow each other")
        size = np.diff(np.r_[first, len(group)])
        every = np.ones(len(first), dtype=bool)
        return cls(np.repeat(np.arange(len(first)), size), first, size, every)

    @cached_property
    def size(self) -> Ints:
        """Ranks in the group of each rank (W,)."""
        return np.asarray(self.num_ranks[self.of_rank])

    @cached_property
    def even_size(self) -> int:
        """Ranks in every group; 0 if some have more than others."""
        first = int(self.num_ranks[0])
        return first if bool((self.num_ranks == first).all()) else 0

    @cached_property
    def start(self) -> Ints:
        """First rank of the group of each rank (W,)."""
        return np.asarray(self.first_rank[self.of_rank])

    def of_size(self, num_ranks: int) -> Ints:
        """Return the scope's own groups of as many ranks."""
        return np.flatnonzero(self.is_own & (self.num_ranks == num_ranks))

    def nests_with(self, other: Groups) -> bool:
        """Whether each group lies in one of the other's, or holds whole ones."""
        end, others_end = self.start + self.size, other.start + other.size
        inner = (self.start >= other.start) & (end <= others_end)
        outer = (self.start <= other.start) & (end >= others_end)
        return bool((inner | outer).all())

    def are_among(self, other: Groups) -> Bools:
        """Whether each group has the same ranks as one of the other's (G,)."""
        same = (self.start == other.start) & (self.size == other.size)
        return np.asarray(same[self.first_rank])


def make_groups(scope: Scope, cluster: Cluster) -> Groups:
    """Group the ranks of a cluster.

    Raises
    ------
    InputError
        If the scope's grouping does not fit the cluster.
    """
    try:
        groups = _checked_groups(scope, cluster)
    except ValueError as error:
        name, rule = cluster.topology.name, f"{error}: change its grouping"
        raise InputError.single(name, f"scope {scope.name}", None, rule) from None
    is_own = groups.is_own
    for earlier in SCOPES[:scope]:
        if earlier.types & scope.types:
            is_own = is_own & ~groups.are_among(cluster.groups(earlier))
    return replace(groups, is_own=is_own)


def _checked_groups(scope: Scope, cluster: Cluster) -> Groups:
    group = np.asarray(scope.grouping(cluster))
    if group.shape != (cluster.world_size,):
        raise ValueError(f"must give a group to each of {cluster.world_size} ranks")
    groups = Groups.of(group)
    if scope > Scope.DOMAIN:
        for other in (Scope.HOST, Scope.DOMAIN):
            if not groups.nests_with(cluster.groups(other)):
                name = other.name
                raise ValueError(
                    f"each group must lie in one {name} or hold whole ones"
                )
    return groups


Scope.RANK = add_scope("rank", lambda cluster: np.arange(cluster.world_size), ())
Scope.HOST = add_scope("host", lambda cluster: cluster.rank_host)
Scope.DOMAIN = add_scope("domain", lambda cluster: cluster.rank_domain)
Scope.ALL = add_scope("all", lambda cluster: np.zeros_like(cluster.rank_host), ())
