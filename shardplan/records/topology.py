"""The topology record: what the vendor sells, host group by host group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

from pydantic import Field, model_validator

from shardplan.records.brief import Brief
from shardplan.records.hardware import HbmBytes, Latency
from shardplan.records.host_group import HostGroup, Sources
from shardplan.records.network import NetworkModel
from shardplan.records.record import (
    MAX_RANKS,
    Flag,
    Integer,
    Name,
    Number,
    Record,
    SchemaVersion,
)
from shardplan.records.sharding import ReplicaLayout
from shardplan.records.sharding_group import (
    every_nth_rank,
    ranks_in_a_row,
)
from shardplan.units import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

R = TypeVar("R", bound=Record)


class Fabric(Record):
    """The switches between hosts.

    Attributes
    ----------
    hosts_per_leaf : int
        Hosts under one leaf switch (or one group of rails); 0: all of them.
    oversubscription : float
        Bandwidth into a leaf over bandwidth from it to the spine; 1 blocks nothing.
    spine_latency_s : float
        What the way through the spine adds to a message's latency [s].
    in_network_reduction : bool
        Switches add up what passes through them (SHARP), and all-reduces use it.
    network : NetworkModel or None
        What collectives reach between hosts; a file gives its name or path. Without
        it, what the cost model names.
    """

    hosts_per_leaf: Annotated[Integer, Field(ge=0, le=MAX_RANKS)] = 0
    oversubscription: Annotated[Number, Field(ge=1, le=1000)] = 1.0
    spine_latency_s: Latency = 0.0
    in_network_reduction: Flag = False
    network: NetworkModel | None = None
    sources: Sources = Field(default_factory=dict)


class Replication(Record):
    """Copies of a sharding group: two-dimensional parallelism.

    Attributes
    ----------
    replicas : int
        Sharding groups R that hold the same tables, each for its own samples.
    layout : ReplicaLayout
        Which ranks hold copies of the same shards.
    sync_every : int
        Steps k after which copies are averaged.
    cluster : Topology
        The cluster that the groups make up.
    """

    replicas: Annotated[Integer, Field(ge=2, le=MAX_RANKS)]
    layout: ReplicaLayout
    sync_every: Annotated[Integer, Field(ge=1, le=1_000_000)]
    cluster: Topology


class Topology(Brief, Record):
    """A cluster: one host group, or several for a mixed one.

    Ranks are numbered host by host in the order of the groups.

    Attributes
    ----------
    cost_model : str
        Name of the shipped cost model to use where none is asked for.
    rank_hbm_bytes : tuple of int
        HBM of every rank, where it differs inside a host; empty: as its device.
    replication : Replication or None
        Given by `sharding_group`: this is one of several groups of a larger cluster.
    """

    schema_version: SchemaVersion
    name: Name
    description: str = ""
    cost_model: Name | None = None
    host_groups: Annotated[tuple[HostGroup, ...], Field(min_length=1, max_length=1000)]
    fabric: Fabric = Fabric()
    rank_hbm_bytes: tuple[HbmBytes, ...] = ()
    replication: Replication | None = None

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name."""
        size = f"{plural(self.num_hosts, 'host')}, {plural(self.world_size, 'rank')}"
        devices = " and ".join(sorted({g.device.name for g in self.host_groups}))
        return {"name": self.name, "size": size, "devices": devices}

    @model_validator(mode="after")
    def _is_connected(self) -> Self:
        if self.world_size > MAX_RANKS:
            raise ValueError(
                f"{self.num_hosts:,} hosts have {self.world_size:,} ranks, and "
                f"{MAX_RANKS:,} are the most"
            )
        alone = [group.name for group in self.host_groups if self._needs_nics(group)]
        if alone:
            raise ValueError(
                f"host groups {alone} must reach other hosts: set nics_per_host > 0, "
                "or a scale_up domain that spans them all"
            )
        names = [group.name for group in self.host_groups]
        if len(set(names)) < len(names):
            raise ValueError(f"names of host groups must be unique, got {names}")
        kinds = {group.device.kind for group in self.host_groups}
        if len(kinds) > 1:
            raise ValueError("host groups mix device kinds 'gpu' and 'cpu'")
        if self.rank_hbm_bytes and len(self.rank_hbm_bytes) != self.world_size:
            raise ValueError(
                f"rank_hbm_bytes has {len(self.rank_hbm_bytes)} entries for "
                f"{self.world_size} ranks"
            )
        return self

    @model_validator(mode="after")
    def _is_its_sharding_group(self) -> Self:
        found = self.replication
        if found is None:
            return self
        size, rest = divmod(found.cluster.world_size, found.replicas)
        if rest or self != found.cluster.sharding_group(
            size, found.layout, found.sync_every
        ):
            raise ValueError(
                f"is not a sharding group of replication.cluster, of which there are "
                f"{found.replicas}; take what `Topology.sharding_group` returns"
            )
        return self

    def _needs_nics(self, group: HostGroup) -> bool:
        # Domains end with their group.
        domain = min(group.scale_up.domain_size, group.world_size)
        spans_all = domain == self.world_size
        has_nics = bool(group.scale_out.nics_per_host)
        return self.num_hosts > 1 and not spans_all and not has_nics

    @property
    def num_hosts(self) -> int:
        """Hosts of all groups."""
        return sum(group.num_hosts for group in self.host_groups)

    @property
    def world_size(self) -> int:
        """Ranks of all groups."""
        return sum(group.world_size for group in self.host_groups)

    @property
    def replicas(self) -> int:
        """Sharding groups that hold the same tables; 1 without replication."""
        return 1 if self.replication is None else self.replication.replicas

    @property
    def whole(self) -> Topology:
        """The cluster of all replicas; this one without replication."""
        return self if self.replication is None else self.replication.cluster

    def members(self) -> range:
        """Return the ranks of the whole cluster that its first sharding group has."""
        found = self.replication
        is_strided = found is not None and found.layout is ReplicaLayout.INSIDE
        step = self.replicas if is_strided else 1
        return range(0, step * self.world_size, step)

    def sharding_group(
        self, size: int, layout: ReplicaLayout | str, sync_every: int = 1
    ) -> Topology:
        """Return one of several equal groups of ranks that hold the same tables.

        Parameters
        ----------
        size : int
            Ranks of the group G; all ranks W are a whole number of groups.
        layout : ReplicaLayout or str
        sync_every : int
            Steps after which copies are averaged.

        Returns
        -------
        Topology
            G ranks, with their share of what hosts have; this cluster itself if G is W.

        Raises
        ------
        ValueError
            If ranks cannot be grouped like that, with the rule.
        """
        layout = ReplicaLayout(layout)
        if self.replication is not None:
            raise ValueError("is a sharding group already")
        if sync_every < 1:
            raise ValueError(f"sync_every must be at least 1 step, got {sync_every}")
        if size < 1 or self.world_size % size:
            raise ValueError(
                f"a sharding group of {plural(size, 'rank')} must divide "
                f"{self.world_size} ranks"
            )
        replicas = self.world_size // size
        if replicas == 1:
            return self
        if layout is ReplicaLayout.INSIDE:
            hosts = [every_nth_rank(group, replicas) for group in self.host_groups]
        elif len(self.host_groups) > 1:
            raise ValueError(
                "sharding groups of ranks in a row would differ on a mixed cluster; "
                f"use layout {ReplicaLayout.INSIDE.value!r}"
            )
        else:
            hosts = [ranks_in_a_row(self.host_groups[0], size)]
        ratio = self.num_hosts / sum(group.num_hosts for group in hosts)
        leaf = self.fabric.hosts_per_leaf
        if layout is ReplicaLayout.INSIDE and leaf:
            leaf = max(round(leaf / ratio), 1)
        return self.model_copy(
            update={
                "host_groups": tuple(hosts),
                "fabric": self.fabric.replace(hosts_per_leaf=leaf),
                "rank_hbm_bytes": self._least_hbm(replicas, layout),
                "replication": Replication(
                    replicas=replicas,
                    layout=layout,
                    sync_every=sync_every,
                    cluster=self,
                ),
            }
        )

    def _least_hbm(self, replicas: int, layout: ReplicaLayout) -> tuple[int, ...]:
        """Return the HBM that all copies of a shard have (G,); empty as the field."""
        each, size = self.rank_hbm_bytes, self.world_size // replicas
        if not each:
            return ()
        if layout is ReplicaLayout.INSIDE:
            return tuple(
                min(each[i * replicas : (i + 1) * replicas]) for i in range(size)
            )
        return tuple(min(each[i::size]) for i in range(size))

    def with_hosts(self, num_hosts: int) -> Topology:
        """Return the same kind of cluster with another number of hosts.

        Raises
        ------
        ValueError
            If the cluster is mixed, so that it is unclear which hosts to add.
        """
        if self.replication is not None:
            return self._regrouped(self.whole.with_hosts(num_hosts))
        if len(self.host_groups) > 1:
            raise ValueError(
                "a mixed cluster has no single host count; edit num_hosts of its groups"
            )
        if self.rank_hbm_bytes:
            raise ValueError("rank_hbm_bytes lists the ranks of another host count")
        return self.changed(lambda group: group.replace(num_hosts=num_hosts))

    def changed(self, change: Callable[[HostGroup], HostGroup]) -> Topology:
        """Return a copy with every host group changed (what-if by copy).

        Parameters
        ----------
        change : callable
            From a host group to what takes its place.

        Raises
        ------
        ValidationError
            If the hosts do not reach each other any more, or are too many.
        """
        if self.replication is not None:
            return self._regrouped(self.whole.changed(change))
        return self.replace(host_groups=tuple(map(change, self.host_groups)))

    def _regrouped(self, whole: Topology) -> Topology:
        """Return a sharding group as large as this one of a changed cluster."""
        found = self.replication
        assert found is not None
        return whole.sharding_group(self.world_size, found.layout, found.sync_every)

    def scaled(self, part: str, **factors: float) -> Topology:
        """Return a copy in which all hosts have more, or less, of something.

        Parameters
        ----------
        part : str
            What has the fields, such as ``scale_up`` or ``device.peak_flops``.
        **factors : float
            For each field what it is multiplied by. The result may be beyond what any
            machine has.

        Examples
        --------
        >>> from shardplan import load_topology
        >>> fast = load_topology("dgx-h100").scaled("scale_out", nic_bw=2.0)
        >>> fast.host_groups[0].scale_out.nic_bw
        100000000000.0
        """

        def more(group: HostGroup) -> HostGroup:
            return _scaled(group, part.split("."), factors)

        return self.changed(more)


Replication.model_rebuild()


def _scaled(record: R, path: list[str], factors: Mapping[str, float]) -> R:
    """Multiply fields of the record at the end of a path."""
    changes: dict[str, Any]
    if path:
        changes = {path[0]: _scaled(getattr(record, path[0]), path[1:], factors)}
    else:
        changes = {name: getattr(record, name) * by for name, by in factors.items()}
    return record.model_copy(update=changes)
