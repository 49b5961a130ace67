"""What every link of a cluster carries per second, and how long bytes take on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from shardplan.costs.communication.link_time import efficiency
from shardplan.costs.communication.links import (
    host_link_bw,
    load_time,
    nic_bw_per_host,
    pcie_links,
)

if TYPE_CHECKING:
    from shardplan.costs.cluster import Cluster
    from shardplan.costs.communication.routing import Routes
    from shardplan.costs.communication.traffic import Traffic
    from shardplan.records.arrays import Bools, Floats, Ints
    from shardplan.records.cost_model import CostModel
    from shardplan.records.network import LinkModel


UPLINK = "uplink of the leaf"
KINDS = ("scale-up links", "PCIe link", "PCIe lane", "NIC", UPLINK)
"""Links that a rank's bytes pass."""


@dataclass(frozen=True, eq=False)
class LinkRates:
    """Peaks times efficiencies, one direction [bytes/s]; W ranks.

    Attributes
    ----------
    scale_up : float array (W,)
    lane : float array (W,)
        PCIe between a rank and its switch, which peers, NIC and host share.
    pcie_link : int array (W,)
        The PCIe link to the host that each rank shares, of `pcie` (number of links,).
    nic_passes_link : bool array (W,)
        NICs hang on the host, not on the switch of each rank.
    port : int array (W,)
        The NIC, or the bundle of NICs, of each rank, of `nic` (number of ports,).
    leaf : int array (W,)
        The uplink of each rank, of `uplink` (U,).
    """

    scale_up: Floats
    lane: Floats
    pcie_link: Ints
    pcie: Floats
    nic_passes_link: Bools
    port: Ints
    nic: Floats
    leaf: Ints
    uplink: Floats

    @classmethod
    def of(
        cls, routes: Routes, cost_model: CostModel, near: LinkModel, far: LinkModel
    ) -> Self:
        """Take a cluster's peaks times the efficiencies of a collective.

        Parameters
        ----------
        routes : Routes
        cost_model : CostModel
            Its ``host_memory.miss_efficiency`` is that of PCIe lanes.
        near, far : LinkModel
            The collective inside a host or a domain, and between them.
        """
        cluster = routes.cluster
        inside = efficiency(near, routes.most_ranks_near)
        outside = far.bw_efficiency.value
        groups, rank_class = cluster.host_groups, cluster.rank_class
        link, link_class = pcie_links(cluster)
        up = np.array([group.scale_up.bw for group in groups])
        lane = np.array([group.host.pcie_bw for group in groups])
        if cluster.is_cpu:
            lane = np.full(len(groups), np.inf)
        port, nic = nic_ports(cluster)
        per_rank = nic_bw_per_host(cluster) / cluster.host_num_ranks
        uplink = outside * uplink_bw(routes, per_rank[cluster.rank_host])
        return cls(
            scale_up=inside * up[rank_class],
            lane=cost_model.host_memory.miss_efficiency.value * lane[rank_class],
            pcie_link=link,
            pcie=inside * host_link_bw(cluster)[link_class],
            nic_passes_link=_nics_on_host(cluster)[rank_class],
            port=port,
            nic=outside * nic,
            leaf=routes.leaf,
            uplink=uplink,
        )

    def seconds(self, traffic: Traffic) -> Floats:
        """Return the time of the fullest link of each rank (W,) [s].

        Notes
        -----
        ``max over links of load / capacity``, out and in apart: a lower bound that a
        max-min fair sharing of the links comes close to. Ranks that share a link
        add up on it.

        References
        ----------
        Bertsekas, Gallager 1992, Data Networks, section 6.5 (max-min fairness).
        """
        return np.asarray(self.seconds_by_kind(traffic).max(axis=0))

    def fullest(self, traffic: Traffic) -> tuple[str, int] | None:
        """Return the kind of the fullest link and a rank on it; None if all rest."""
        times = self.seconds_by_kind(traffic)
        kind, rank = np.unravel_index(int(times.argmax()), times.shape)
        return (KINDS[kind], int(rank)) if times[kind, rank] > 0 else None

    def seconds_by_kind(self, traffic: Traffic) -> Floats:
        """Seconds of each rank's link of every kind (len(KINDS), W)."""
        on_link = traffic.pcie + np.where(self.nic_passes_link, traffic.nic, 0.0)
        uplink = np.zeros(len(self.leaf))
        if len(self.uplink):
            uplink = _slower(traffic.uplink, self.uplink)[self.leaf]
        return np.array(
            [
                _slower(traffic.scale_up, self.scale_up),
                _shared(on_link, self.pcie_link, self.pcie),
                _slower(traffic.pcie + traffic.nic, self.lane),
                _shared(traffic.nic, self.port, self.nic),
                uplink,
            ]
        )

    def seconds_each_way(self, traffic: Traffic) -> Floats:
        """Seconds of every kind of link, out first, then in (2 len(KINDS), W)."""
        ways = [self.seconds_by_kind(traffic.one_way(way)) for way in (0, 1)]
        return np.concatenate(ways)

    def shares(self, traffic: Traffic, seconds: Floats) -> Floats:
        """Return the share of links that bytes take in some seconds (6, W).

        Notes
        -----
        Of each rank: scale-up links, PCIe lane and NIC, out and in. Copies from the
        host come in over the lane, as does what the NIC receives.
        """
        lane = traffic.pcie + traffic.nic
        lane[1] += traffic.copied
        own = (self.nic / np.bincount(self.port, minlength=len(self.nic)))[self.port]
        load = np.stack([traffic.scale_up, lane, traffic.nic])
        capacity = np.stack([self.scale_up, self.lane, own])[:, None]
        # A CPU's lane has no end: its room in no time is none, not inf * 0.
        room = capacity * np.where(seconds > 0, seconds, 1.0)
        used = (room > 0) & (seconds > 0)
        share = np.where(used, load / np.where(used, room, 1.0), 0.0)
        return np.minimum(share, 1.0).reshape(6, -1)


def nic_ports(cluster: Cluster) -> tuple[Ints, Floats]:
    """Return the NIC port of each rank (W,), and the line rate of each [bytes/s].

    Notes
    -----
    A rank has the NICs nearest to it: several, one, or one with other ranks. Where
    ranks cannot be split over NICs evenly, and on CPUs, all share all.
    """
    local = np.array([group.local_world_size for group in cluster.host_groups])
    nics = np.array([group.scale_out.nics_per_host for group in cluster.host_groups])
    even = np.where(local % np.maximum(nics, 1) == 0, nics, 1)
    ports = np.where(nics % local == 0, local, even)
    if cluster.is_cpu:
        ports = np.ones_like(ports)
    ports = np.maximum(ports, 1)[cluster.host_class]
    first = np.cumsum(ports) - ports
    host = cluster.rank_host
    position = np.arange(cluster.world_size) - cluster.host_first_rank[host]
    port = first[host] + position * ports[host] // cluster.host_num_ranks[host]
    return port, np.repeat(nic_bw_per_host(cluster) / ports, ports)


def uplink_bw(routes: Routes, nic_bw: Floats) -> Floats:
    """Return what leafs carry to the spine (U,), from the NICs of ranks (W,)."""
    below = np.bincount(routes.leaf, nic_bw)[: routes.num_uplinks]
    return np.asarray(below / routes.cluster.topology.fabric.oversubscription)


def _nics_on_host(cluster: Cluster) -> Bools:
    """Whether NICs are fewer than PCIe links, so that they are not on each (C,)."""
    groups = cluster.host_groups
    links = np.array([g.local_world_size / g.host.ranks_per_pcie_link for g in groups])
    nics = np.array([g.scale_out.nics_per_host for g in groups])
    return np.asarray((nics < links) & (not cluster.is_cpu))


def _slower(load: Floats, capacity: Floats) -> Floats:
    """Seconds of the fuller direction of each link."""
    return load_time(load.max(axis=0), capacity)


def _shared(load: Floats, link: Ints, capacity: Floats) -> Floats:
    """Seconds of the link of each rank, with the loads of all ranks on it (W,)."""
    total = np.array([np.bincount(link, way, len(capacity)) for way in load], float)
    return np.asarray(_slower(total, capacity)[link])
