"""A topology as arrays: which host, domain and class every rank belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from shardplan.costs.scopes import Scope, make_groups

if TYPE_CHECKING:
    from shardplan.costs.scopes import Groups
    from shardplan.records.arrays import Floats, Ints
    from shardplan.records.host_group import HostGroup
    from shardplan.records.topology import Topology


@dataclass(frozen=True, eq=False)
class Cluster:
    """Index arrays over ranks and hosts; W ranks, N hosts, C classes.

    A class is a host group: ranks of one class are interchangeable.

    Attributes
    ----------
    topology : Topology
    rank_host, rank_domain, rank_class : int arrays of shape (W,)
    host_class, host_first_rank, host_num_ranks : int arrays of shape (N,)
    """

    topology: Topology
    rank_host: Ints
    rank_domain: Ints
    rank_class: Ints
    host_class: Ints
    host_first_rank: Ints
    host_num_ranks: Ints

    @classmethod
    def of(cls, topology: Topology) -> Cluster:
        """Lay out the ranks of a topology."""
        groups = topology.host_groups
        hosts = np.array([group.num_hosts for group in groups])
        local = np.array([group.local_world_size for group in groups])
        host_class = np.repeat(np.arange(len(groups)), hosts)
        host_num_ranks = local[host_class]
        rank_host = np.repeat(np.arange(len(host_class)), host_num_ranks)
        sizes = np.concatenate([_domain_sizes(group) for group in groups])
        return cls(
            topology=topology,
            rank_host=rank_host,
            rank_domain=np.repeat(np.arange(len(sizes)), sizes),
            rank_class=host_class[rank_host],
            host_class=host_class,
            host_first_rank=_starts(host_num_ranks),
            host_num_ranks=host_num_ranks,
        )

    @property
    def world_size(self) -> int:
        """Number of ranks W."""
        return len(self.rank_host)

    @property
    def num_hosts(self) -> int:
        """Number of hosts N."""
        return len(self.host_class)

    @property
    def host_groups(self) -> tuple[HostGroup, ...]:
        """The host groups; index = class."""
        return self.topology.host_groups

    def groups(self, scope: int) -> Groups:
        """Return the ranks that a scope puts together.

        Parameters
        ----------
        scope : int
            A `Scope`, or its number.

        Raises
        ------
        ValueError
            If there is no such scope.
        InputError
            If the scope does not fit the cluster.
        """
        found = self._groups.get(scope)
        if found is None:
            found = self._groups[scope] = make_groups(Scope(scope), self)
        return found

    @cached_property
    def _groups(self) -> dict[int, Groups]:
        return {}

    @property
    def is_cpu(self) -> bool:
        """Whether rows live in host memory because the ranks are CPUs."""
        return self.host_groups[0].device.kind == "cpu"

    @cached_property
    def rank_hbm_bytes(self) -> Floats:
        """HBM of each rank, shape (W,)."""
        if self.topology.rank_hbm_bytes:
            return np.array(self.topology.rank_hbm_bytes, dtype=np.float64)
        each = np.array([float(g.device.hbm_bytes) for g in self.host_groups])
        return np.asarray(each[self.rank_class])

    @cached_property
    def class_ranks(self) -> Ints:
        """Ranks in each class, shape (C,)."""
        return np.bincount(self.rank_class, minlength=len(self.host_groups))

    def class_group_size(self, scope: int) -> Ints:
        """Ranks in the largest group that each class has ranks in, shape (C,)."""
        size = np.zeros(len(self.host_groups), dtype=np.int64)
        np.maximum.at(size, self.rank_class, self.groups(scope).size)
        return size


def _domain_sizes(group: HostGroup) -> Ints:
    """Sizes of a group's domains; the last one may be cut off by the group's end."""
    full, rest = divmod(group.world_size, group.scale_up.domain_size)
    sizes = [group.scale_up.domain_size] * full + ([rest] if rest else [])
    return np.array(sizes, dtype=np.int64)


def _starts(sizes: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(sizes)[:-1]])
